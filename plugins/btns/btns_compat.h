/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_compat btns_compat
 * What strongSwan's releases call by different names. meson.build looks into
 * the headers to see which names they have.
 * @{ @ingroup btns
 */

#ifndef BTNS_COMPAT_H_
#define BTNS_COMPAT_H_

#include <daemon.h>

/**
 * Whether MOBIKE is on for a connection.
 */
static inline bool btns_uses_mobike(peer_cfg_t *cfg)
{
#ifdef BTNS_PEER_CFG_HAS_OPTION
	return !cfg->has_option(cfg, OPT_NO_MOBIKE);
#else
	return cfg->use_mobike(cfg);
#endif
}

/**
 * Configured traffic selectors of one side of a child, dynamic ones as such.
 *
 * @return				traffic_selector_t*, owned by the caller
 */
static inline linked_list_t *btns_configured_ts(child_cfg_t *child, bool local)
{
#ifdef BTNS_CHILD_CFG_SELECTS_TS
	return child->get_traffic_selectors(child, local, NULL);
#else
	return child->get_traffic_selectors(child, local, NULL, NULL, FALSE);
#endif
}

#endif /** BTNS_COMPAT_H_ @}*/
