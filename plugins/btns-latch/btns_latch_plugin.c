/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_latch_plugin.h"
#include "btns_latch_sas.h"
#include "btns_latching.h"

#include <daemon.h>
#include <plugins/plugin_feature.h>
#include <threading/thread.h>

#define BTNS_EXPORT __attribute__((visibility("default")))

typedef struct private_btns_latch_plugin_t private_btns_latch_plugin_t;

/**
 * Private data of the plugin.
 */
struct private_btns_latch_plugin_t {

	/**
	 * Public interface
	 */
	btns_latch_plugin_t public;

	/**
	 * The btns plugin's, NULL unless latching is on
	 */
	btns_latching_t *latching;

	/**
	 * Thread that asks for SAs
	 */
	thread_t *thread;
};

METHOD(plugin_t, get_name, char*,
	private_btns_latch_plugin_t *this)
{
	return "btns-latch";
}

/**
 * The thread that asks for SAs.
 */
static void *ask(btns_latching_t *latching)
{
	btns_latches_acquire_t acquire;

	while (latching->wait(latching, &acquire))
	{
		if (!btns_latch_sas_acquire(&acquire.flow, acquire.narrow))
		{
			latching->refuse(latching, acquire.latch);
		}
	}
	return NULL;
}

/**
 * Stop latching.
 */
static void stop(private_btns_latch_plugin_t *this)
{
	if (this->latching)
	{
		this->latching->stop(this->latching);
		if (this->thread)
		{
			this->thread->join(this->thread);
		}
	}
	this->latching = NULL;
	this->thread = NULL;
}

/**
 * TRUE if the kernel's policies are what protects packets.
 */
static bool has_kernel_ipsec()
{
	return !strstr(lib->plugins->loaded_plugins(lib->plugins),
				   "kernel-libipsec");
}

/**
 * Start latching.
 */
static bool start(private_btns_latch_plugin_t *this)
{
	char error[BTNS_LINE_LEN];
	btns_latching_t *latching;
	btns_latches_options_t options = {
		.latches = max(1, lib->settings->get_int(lib->settings,
							"%s.plugins.btns-latch.max_latches", 16384, lib->ns)),
		.per_client = max(1, lib->settings->get_int(lib->settings,
							"%s.plugins.btns-latch.max_latches_per_client",
							4096, lib->ns)),
		.acquire = TRUE,
		.policy_breaks = lib->settings->get_bool(lib->settings,
							"%s.plugins.btns-latch.policy_breaks", FALSE,
							lib->ns),
	};

	latching = lib->get(lib, BTNS_LATCHING);
	if (!latching || !streq(latching->version, BTNS_LATCHING_VERSION))
	{
		DBG1(DBG_CFG, "btns-latch: the btns plugin is not the one that this was "
			 "built with, connections are not latched");
		return FALSE;
	}
	if (!has_kernel_ipsec())
	{
		DBG1(DBG_CFG, "btns-latch: kernel-libipsec protects packets without the "
			 "kernel's policies, connections are not latched");
		return FALSE;
	}
	if (latching->start(latching, &options, error) != BTNS_STATUS_OK)
	{
		DBG1(DBG_CFG, "btns-latch: %s; connections are not latched", error);
		return FALSE;
	}
#ifdef BTNS_LATCHES_UNENFORCED
	DBG0(DBG_CFG, "btns-latch: THIS BUILD ENFORCES NO LATCH, it is for tests of "
		 "the tests: connections go to whoever comes");
#endif
	this->latching = latching;
	this->thread = thread_create((thread_main_t)ask, latching);
	if (!this->thread)
	{
		DBG1(DBG_CFG, "btns-latch: no thread to ask for SAs with; connections are "
			 "not latched");
		stop(this);
		return FALSE;
	}
	return TRUE;
}

/**
 * Feature callback: latch.
 */
static bool register_latch(private_btns_latch_plugin_t *this,
						   plugin_feature_t *feature, bool reg, void *data)
{
	if (reg)
	{
		return start(this);
	}
	stop(this);
	return TRUE;
}

METHOD(plugin_t, get_features, int,
	private_btns_latch_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK((plugin_feature_callback_t)register_latch, NULL),
			PLUGIN_PROVIDE(CUSTOM, BTNS_LATCHING),
				PLUGIN_DEPENDS(CUSTOM, "btns"),
				PLUGIN_SDEPEND(CUSTOM, "kernel-ipsec"),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, destroy, void,
	private_btns_latch_plugin_t *this)
{
	free(this);
}

/**
 * Version that the plugin was built for, compared by strongSwan from 6.0.3 on
 */
BTNS_EXPORT const char *btns_latch_plugin_version = BTNS_DAEMON_VERSION;

/*
 * see header file
 */
BTNS_EXPORT plugin_t *btns_latch_plugin_create()
{
	private_btns_latch_plugin_t *this;

	INIT(this,
		.public = {
			.plugin = {
				.get_name = _get_name,
				.get_features = _get_features,
				.destroy = _destroy,
			},
		},
	);
	return &this->public.plugin;
}
