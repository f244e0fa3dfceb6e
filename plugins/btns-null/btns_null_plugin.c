/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_null_plugin.h"
#include "btns_null_keys.h"
#include "btns_null_self_test.h"
#include "btns_null_wire.h"
#include "btns_nulls.h"

#include <daemon.h>
#include <plugins/plugin_feature.h>

#define BTNS_EXPORT __attribute__((visibility("default")))

typedef struct private_btns_null_plugin_t private_btns_null_plugin_t;

/**
 * Private data of the plugin.
 */
struct private_btns_null_plugin_t {

	/**
	 * Public interface
	 */
	btns_null_plugin_t public;

	/**
	 * The btns plugin's, NULL unless started
	 */
	btns_nulls_t *nulls;

	/**
	 * In front of the credential manager
	 */
	btns_null_keys_t *keys;
};

METHOD(plugin_t, get_name, char*,
	private_btns_null_plugin_t *this)
{
	return "btns-null";
}

/**
 * Read an option that is a number; 0 if it is none that is possible.
 */
static bool get_number(char *name, u_int *value)
{
	int number;

	number = lib->settings->get_int(lib->settings, "%s.plugins.btns-null.%s",
									*value, lib->ns, name);
	if (number < 0 || number > 50000)
	{
		DBG1(DBG_CFG, "btns-null: invalid value for %s.plugins.btns-null.%s: "
			 "no NULL peer is admitted", lib->ns, name);
		*value = 0;
		return FALSE;
	}
	*value = number;
	return TRUE;
}

/**
 * Read the options.
 *
 * @return			FALSE if one of them is invalid: then nobody is admitted
 */
static bool read_options(btns_null_options_t *options)
{
	bool ok;

	/* the defaults, as btns-null.opt has them */
	options->max_peers = 250;
	options->max_peers_per_source = 4;
	ok = get_number("max_peers", &options->max_peers);
	return get_number("max_peers_per_source",
					  &options->max_peers_per_source) && ok;
}

/**
 * Start NULL authentication.
 */
static bool start(private_btns_null_plugin_t *this)
{
	btns_null_options_t options;
	btns_nulls_t *nulls;

	nulls = lib->get(lib, BTNS_NULLS);
	if (!nulls || !streq(nulls->version, BTNS_NULLS_VERSION))
	{
		DBG1(DBG_CFG, "btns-null: the btns plugin is not the one that this was "
			 "built with, there is no NULL authentication");
		return FALSE;
	}
	if (!btns_null_self_test())
	{
		return FALSE;
	}
	read_options(&options);
	this->keys = btns_null_keys_create(nulls);
	if (nulls->start(nulls, &options, &btns_null_wire) != BTNS_STATUS_OK)
	{
		DBG1(DBG_CFG, "btns-null: starting failed, there is no NULL "
			 "authentication");
		this->keys->destroy(this->keys);
		return FALSE;
	}
	this->nulls = nulls;
	return TRUE;
}

/**
 * Feature callback: start or stop.
 */
static bool register_null(private_btns_null_plugin_t *this,
						  plugin_feature_t *feature, bool reg, void *data)
{
	if (reg)
	{
		return start(this);
	}
	this->nulls->stop(this->nulls);
	this->keys->destroy(this->keys);
	this->nulls = NULL;
	return TRUE;
}

METHOD(plugin_t, get_features, int,
	private_btns_null_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK((plugin_feature_callback_t)register_null, NULL),
			PLUGIN_PROVIDE(CUSTOM, BTNS_NULLS),
				PLUGIN_DEPENDS(CUSTOM, "btns"),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, reload, bool,
	private_btns_null_plugin_t *this)
{
	btns_null_options_t options;
	bool ok;

	ok = read_options(&options);
	return this->nulls && this->nulls->start(this->nulls, &options,
								&btns_null_wire) == BTNS_STATUS_OK && ok;
}

METHOD(plugin_t, destroy, void,
	private_btns_null_plugin_t *this)
{
	free(this);
}

/**
 * Version that the plugin was built for, compared by strongSwan from 6.0.3 on
 */
BTNS_EXPORT const char *btns_null_plugin_version = BTNS_DAEMON_VERSION;

/*
 * see header file
 */
BTNS_EXPORT plugin_t *btns_null_plugin_create()
{
	private_btns_null_plugin_t *this;

	INIT(this,
		.public = {
			.plugin = {
				.get_name = _get_name,
				.get_features = _get_features,
				.reload = _reload,
				.destroy = _destroy,
			},
		},
	);
	return &this->public.plugin;
}
