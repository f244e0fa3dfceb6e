/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#define _GNU_SOURCE
#include "btns_vici_plugin.h"

#include <dlfcn.h>

/**
 * Name under which a vici plugin may publish its dispatcher.
 */
#define VICI_DISPATCHER "vici-dispatcher"

/*
 * Described in header.
 */
bool btns_same_object(void *a, void *b)
{
	Dl_info info_a, info_b;

	return dladdr(a, &info_a) && dladdr(b, &info_b) &&
		   info_a.dli_fbase == info_b.dli_fbase;
}

/**
 * TRUE if the dispatcher is where it is expected in the vici plugin.
 */
static bool has_dispatcher(btns_vici_plugin_t *vici)
{
	vici_dispatcher_t *published;

	if (!vici->dispatcher)
	{
		return FALSE;
	}
	published = lib->get(lib, VICI_DISPATCHER);
	if (published)
	{
		return vici->dispatcher == published;
	}
	return btns_same_object(vici->plugin.get_name,
							vici->dispatcher->manage_command);
}

/*
 * Described in header.
 */
vici_dispatcher_t *btns_vici_dispatcher()
{
	vici_dispatcher_t *dispatcher;
	btns_vici_plugin_t *vici;

	dispatcher = lib->get(lib, VICI_DISPATCHER);
	if (dispatcher)
	{
		DBG2(DBG_CFG, "btns: the vici plugin publishes its dispatcher");
		return dispatcher;
	}
	vici = btns_vici_plugin_find();
	return vici ? vici->dispatcher : NULL;
}

/*
 * Described in header.
 */
btns_vici_plugin_t *btns_vici_plugin_find()
{
	btns_vici_plugin_t *vici = NULL;
	enumerator_t *enumerator;
	linked_list_t *features;
	plugin_t *plugin;

	enumerator = lib->plugins->create_plugin_enumerator(lib->plugins);
	while (enumerator->enumerate(enumerator, &plugin, &features))
	{
		if (streq(plugin->get_name(plugin), "vici"))
		{
			vici = (btns_vici_plugin_t*)plugin;
		}
		features->destroy(features);
	}
	enumerator->destroy(enumerator);

	return vici && has_dispatcher(vici) ? vici : NULL;
}
