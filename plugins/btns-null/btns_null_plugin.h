/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_null btns_null
 * @ingroup cplugins
 *
 * @defgroup btns_null_plugin btns_null_plugin
 * @{ @ingroup btns_null
 */

#ifndef BTNS_NULL_PLUGIN_H_
#define BTNS_NULL_PLUGIN_H_

#include <plugins/plugin.h>

typedef struct btns_null_plugin_t btns_null_plugin_t;

/**
 * NULL authentication (RFC 7619), of peers and of ourselves. Who may use it, and
 * what such a peer gets, the btns plugin decides, which it needs: else it hooks
 * nothing.
 */
struct btns_null_plugin_t {

	/**
	 * Implements plugin interface
	 */
	plugin_t plugin;
};

#endif /** BTNS_NULL_PLUGIN_H_ @}*/
