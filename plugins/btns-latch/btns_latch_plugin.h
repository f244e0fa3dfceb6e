/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_latch btns_latch
 * @ingroup cplugins
 *
 * @defgroup btns_latch_plugin btns_latch_plugin
 * @{ @ingroup btns_latch
 */

#ifndef BTNS_LATCH_PLUGIN_H_
#define BTNS_LATCH_PLUGIN_H_

#include <plugins/plugin.h>

typedef struct btns_latch_plugin_t btns_latch_plugin_t;

/**
 * Connection latching (RFC 5660): switches on what the btns plugin has, and asks
 * charon for the SAs that latched connections want. That btns is there, and is
 * for this daemon, is what it needs: else it hooks nothing.
 */
struct btns_latch_plugin_t {

	/**
	 * Implements plugin interface
	 */
	plugin_t plugin;
};

#endif /** BTNS_LATCH_PLUGIN_H_ @}*/
