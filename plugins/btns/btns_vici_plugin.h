/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vici_plugin btns_vici_plugin
 * The loaded vici plugin from the inside.
 * @{ @ingroup btns
 */

#ifndef BTNS_VICI_PLUGIN_H_
#define BTNS_VICI_PLUGIN_H_

#include <daemon.h>

#include <plugins/vici/vici_dispatcher.h>

/**
 * The first private members of the vici plugin, the same from 5.2 to 6.1.
 */
typedef struct {
	plugin_t plugin;
	vici_dispatcher_t *dispatcher;
	void *query;
	void *control;
	void *cred;
	void *authority;
	void *config;
	void *attrs;
} btns_vici_plugin_t;

/**
 * Get the dispatcher of the loaded vici plugin: the one that it publishes, else
 * the one that is found in it.
 *
 * @return			NULL if there is none
 */
vici_dispatcher_t *btns_vici_dispatcher();

/**
 * Find the loaded vici plugin.
 *
 * @return			NULL if there is none, or its dispatcher is not its own
 */
btns_vici_plugin_t *btns_vici_plugin_find();

/**
 * TRUE if two functions are in the same shared object.
 */
bool btns_same_object(void *a, void *b);

#endif /** BTNS_VICI_PLUGIN_H_ @}*/
