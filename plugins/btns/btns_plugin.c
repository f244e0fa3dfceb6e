/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_plugin.h"
#include "btns_app.h"
#include "btns_backends.h"
#include "btns_channels.h"
#include "btns_creds.h"
#include "btns_kernel.h"
#include "btns_latching.h"
#include "btns_listener.h"
#include "btns_nulls.h"
#include "btns_options.h"
#include "btns_pad.h"
#include "btns_self_test.h"
#include "btns_vici.h"
#include "btns_worker.h"
#ifdef BTNS_FAULTS
#include "btns_faults.h"
#endif

#include <daemon.h>

#ifndef BTNS_FAULTS
/* only test builds have these */
#define btns_faults_configure()
#define btns_faults_watch(listener)
#define btns_faults_unwatch()
#endif

/**
 * All that strongSwan looks for in the object
 */
#define BTNS_EXPORT __attribute__((visibility("default")))

typedef struct private_btns_plugin_t private_btns_plugin_t;

/**
 * Private data of the plugin.
 */
struct private_btns_plugin_t {

	/**
	 * Public interface
	 */
	btns_plugin_t public;

	/**
	 * Core, NULL if nothing is hooked
	 */
	btns_core_t *core;

	/**
	 * PAD
	 */
	btns_pad_t *pad;

	/**
	 * Worker
	 */
	btns_worker_t *worker;

	/**
	 * Credential set
	 */
	btns_creds_t *creds;

	/**
	 * Decorator on the backends
	 */
	btns_backends_t *backends;

	/**
	 * Bus listener
	 */
	btns_listener_t *listener;

	/**
	 * Bus listener for channel bindings
	 */
	btns_channels_t *channels;

	/**
	 * What latching hears
	 */
	btns_latches_t *latches;

	/**
	 * In front of the kernel interface
	 */
	btns_kernel_t *kernel;

	/**
	 * What the btns-latch plugin switches latching on with
	 */
	btns_latching_t *latching;

	/**
	 * What the btns-null plugin switches NULL authentication on with
	 */
	btns_nulls_t *nulls;

	/**
	 * Application socket, NULL without
	 */
	btns_app_t *app;

	/**
	 * vici commands, NULL without vici
	 */
	btns_vici_t *vici;
};

METHOD(plugin_t, get_name, char*,
	private_btns_plugin_t *this)
{
	return "btns";
}

/**
 * Undo all that start() did, as far as it got.
 */
static void stop(private_btns_plugin_t *this)
{
	DESTROY_IF(this->latching);
	if (this->nulls)
	{
		charon->bus->remove_listener(charon->bus, &this->nulls->first);
		charon->bus->remove_listener(charon->bus, &this->nulls->last);
	}
	if (this->latches)
	{
		charon->bus->remove_listener(charon->bus, &this->latches->listener);
	}
	if (this->channels)
	{
		charon->bus->remove_listener(charon->bus, &this->channels->listener);
	}
	if (this->listener)
	{
		charon->bus->remove_listener(charon->bus, &this->listener->listener);
		btns_faults_unwatch();
	}
	if (this->creds)
	{
		lib->credmgr->remove_set(lib->credmgr, &this->creds->set);
	}
	if (this->backends)
	{
		this->backends->remove(this->backends);
	}
	DESTROY_IF(this->nulls);
	DESTROY_IF(this->kernel);
	DESTROY_IF(this->latches);
	if (this->worker)
	{
		charon->kernel->remove_listener(charon->kernel,
										&this->worker->listener);
	}
	DESTROY_IF(this->worker);
	DESTROY_IF(this->channels);
	DESTROY_IF(this->listener);
	DESTROY_IF(this->creds);
	DESTROY_IF(this->pad);
	if (this->core)
	{
		btns_core_destroy(this->core);
	}
	this->latching = NULL;
	this->nulls = NULL;
	this->latches = NULL;
	this->channels = NULL;
	this->listener = NULL;
	this->creds = NULL;
	this->backends = NULL;
	this->kernel = NULL;
	this->worker = NULL;
	this->pad = NULL;
	this->core = NULL;
}

/**
 * Create everything, then hook it into charon.
 */
static bool start(private_btns_plugin_t *this)
{
	btns_settings_t *settings;

	if (!btns_self_test())
	{
		return FALSE;
	}
	INIT(settings);
	btns_options_read(settings);
	this->core = btns_core_create(&settings->core);
	if (this->core)
	{
		this->pad = btns_pad_create(this->core, charon->backends);
		this->worker = btns_worker_create(this->core, this->pad);
	}
	if (!this->worker)
	{
		DBG1(DBG_CFG, "btns: starting failed, hooking nothing");
		free(settings);
		stop(this);
		return FALSE;
	}
	this->creds = btns_creds_create(this->core, this->pad);
	this->listener = btns_listener_create(this->core, this->worker);
	this->channels = btns_channels_create(this->core, this->worker);
	free(settings);

	this->nulls = btns_nulls_create(this->core, this->pad, this->worker);
	charon->bus->add_listener(charon->bus, &this->nulls->first);
	btns_faults_watch(&this->listener->listener);
	charon->bus->add_listener(charon->bus, &this->listener->listener);
	charon->bus->add_listener(charon->bus, &this->channels->listener);
	this->latches = btns_latches_create(this->core);
	charon->bus->add_listener(charon->bus, &this->latches->listener);
	charon->bus->add_listener(charon->bus, &this->nulls->last);
	lib->credmgr->add_set(lib->credmgr, &this->creds->set);
	charon->kernel->add_listener(charon->kernel, &this->worker->listener);
	this->kernel = btns_kernel_create(this->worker, this->latches);
	this->backends = btns_backends_create(this->pad, this->core);
	btns_faults_configure();
	this->latching = btns_latching_create(this->core);
	return TRUE;
}

/**
 * Feature callback: hook into charon.
 */
static bool register_btns(private_btns_plugin_t *this,
						  plugin_feature_t *feature, bool reg, void *data)
{
	if (reg)
	{
		return start(this);
	}
	stop(this);
	return TRUE;
}

/**
 * Feature callback: serve applications, which are told of latches if there are
 * any.
 */
static bool register_app(private_btns_plugin_t *this,
						 plugin_feature_t *feature, bool reg, void *data)
{
	if (reg)
	{
		this->app = btns_app_create(this->core);
		return TRUE;
	}
	DESTROY_IF(this->app);
	this->app = NULL;
	return TRUE;
}

/**
 * Feature callback: hook into vici.
 */
static bool register_vici(private_btns_plugin_t *this,
						  plugin_feature_t *feature, bool reg, void *data)
{
	if (reg)
	{
		this->vici = btns_vici_create(this->core, this->pad, this->worker);
		this->pad->set_pools(this->pad, btns_pools_create());
		return this->vici != NULL;
	}
	this->pad->set_pools(this->pad, NULL);
	DESTROY_IF(this->vici);
	this->vici = NULL;
	return TRUE;
}

METHOD(plugin_t, get_features, int,
	private_btns_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK((plugin_feature_callback_t)register_btns, NULL),
			PLUGIN_PROVIDE(CUSTOM, "btns"),
				PLUGIN_DEPENDS(CUSTOM, "libcharon"),
				PLUGIN_SDEPEND(KDF, KDF_PRF_PLUS),
				PLUGIN_SDEPEND(PUBKEY, KEY_ANY),
				PLUGIN_SDEPEND(PUBKEY, KEY_ED25519),
				PLUGIN_SDEPEND(PUBKEY, KEY_ECDSA),
		PLUGIN_CALLBACK((plugin_feature_callback_t)register_app, NULL),
			PLUGIN_PROVIDE(CUSTOM, "btns-app"),
				PLUGIN_DEPENDS(CUSTOM, "btns"),
				PLUGIN_SDEPEND(CUSTOM, BTNS_LATCHING),
		PLUGIN_CALLBACK((plugin_feature_callback_t)register_vici, NULL),
			PLUGIN_PROVIDE(CUSTOM, "btns-vici"),
				PLUGIN_DEPENDS(CUSTOM, "btns"),
				PLUGIN_DEPENDS(CUSTOM, "vici"),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, reload, bool,
	private_btns_plugin_t *this)
{
	btns_settings_t *settings;
	bool ok;

	if (!this->core)
	{
		return FALSE;
	}
	INIT(settings);
	ok = btns_options_read(settings);
	ok = btns_core_configure(this->core,
							 &settings->core) == BTNS_STATUS_OK && ok;
	free(settings);
	btns_faults_configure();
	if (this->app)
	{
		ok = this->app->reload(this->app) && ok;
	}
	/* what is reserved holds when this returns, who has it goes soon */
	this->pad->update(this->pad, TRUE);
	this->worker->audit(this->worker);
	return ok;
}

METHOD(plugin_t, destroy, void,
	private_btns_plugin_t *this)
{
	free(this);
}

/**
 * Version that the plugin was built for, compared by strongSwan from 6.0.3 on
 */
BTNS_EXPORT const char *btns_plugin_version = BTNS_DAEMON_VERSION;

/*
 * see header file
 */
BTNS_EXPORT plugin_t *btns_plugin_create()
{
	private_btns_plugin_t *this;

	if (!btns_check_version())
	{
		return NULL;
	}
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
