/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_rogue_rules.h"
#include "btns_rogue_vici.h"

#include <daemon.h>
#include <plugins/plugin.h>

/**
 * All that strongSwan looks for in the object
 */
#define BTNS_EXPORT __attribute__((visibility("default")))

typedef struct private_btns_rogue_plugin_t private_btns_rogue_plugin_t;

/**
 * Private data of the plugin.
 */
struct private_btns_rogue_plugin_t {

	/**
	 * Public interface
	 */
	plugin_t public;

	/**
	 * Rules
	 */
	btns_rogue_rules_t *rules;

	/**
	 * vici commands
	 */
	btns_rogue_vici_t *vici;
};

METHOD(plugin_t, get_name, char*,
	private_btns_rogue_plugin_t *this)
{
	return "btns-rogue";
}

/**
 * Feature callback: hook into charon, or undo it.
 */
static bool register_rogue(private_btns_rogue_plugin_t *this,
						   plugin_feature_t *feature, bool reg, void *data)
{
	if (reg)
	{
		this->rules = btns_rogue_rules_create();
		this->vici = btns_rogue_vici_create(this->rules);
		if (this->vici)
		{
			charon->bus->add_listener(charon->bus, &this->rules->listener);
			DBG1(DBG_CFG, "btns-rogue: TEST BUILD, this daemon misbehaves");
			return TRUE;
		}
	}
	else
	{
		charon->bus->remove_listener(charon->bus, &this->rules->listener);
		this->vici->destroy(this->vici);
	}
	this->rules->destroy(this->rules);
	return !reg;
}

METHOD(plugin_t, get_features, int,
	private_btns_rogue_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK((plugin_feature_callback_t)register_rogue, NULL),
			PLUGIN_PROVIDE(CUSTOM, "btns-rogue"),
				PLUGIN_DEPENDS(CUSTOM, "vici"),
				/* rules change what btns has built, too */
				PLUGIN_SDEPEND(CUSTOM, "btns"),
				PLUGIN_SDEPEND(CUSTOM, "btns-null"),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, destroy, void,
	private_btns_rogue_plugin_t *this)
{
	free(this);
}

/**
 * Version that the plugin was built for, compared by strongSwan from 6.0.3 on
 */
BTNS_EXPORT const char *btns_rogue_plugin_version = BTNS_DAEMON_VERSION;

/*
 * What strongSwan calls
 */
BTNS_EXPORT plugin_t *btns_rogue_plugin_create()
{
	private_btns_rogue_plugin_t *this;

	INIT(this,
		.public = {
			.get_name = _get_name,
			.get_features = _get_features,
			.destroy = _destroy,
		},
	);
	return &this->public;
}
