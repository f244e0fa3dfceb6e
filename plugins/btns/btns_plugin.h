/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns btns
 * @ingroup cplugins
 *
 * @defgroup btns_plugin btns_plugin
 * @{ @ingroup btns
 */

#ifndef BTNS_PLUGIN_H_
#define BTNS_PLUGIN_H_

#include <plugins/plugin.h>

typedef struct btns_plugin_t btns_plugin_t;

/**
 * Better-than-nothing security (RFC 5386): admits peers that show nothing but
 * a public key to the connections that ask for the group "btns", and keeps
 * them apart from all others.
 */
struct btns_plugin_t {

	/**
	 * Implements plugin interface
	 */
	plugin_t plugin;
};

#endif /** BTNS_PLUGIN_H_ @}*/
