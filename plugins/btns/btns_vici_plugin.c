/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#define _GNU_SOURCE
#include "btns_vici_plugin.h"

#include <dlfcn.h>

/*
 * Described in header.
 */
bool btns_same_object(void *a, void *b)
{
	Dl_info info_a, info_b;

	return dladdr(a, &info_a) && dladdr(b, &info_b) &&
		   info_a.dli_fbase == info_b.dli_fbase;
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

	if (!vici || !vici->dispatcher ||
		!btns_same_object(vici->plugin.get_name,
						  vici->dispatcher->manage_command))
	{
		return NULL;
	}
	return vici;
}
