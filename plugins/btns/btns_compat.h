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
#include <sa/ikev2/keymat_v2.h>

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

/**
 * Proposals of a child.
 *
 * @return				proposal_t*, owned by the caller
 */
static inline linked_list_t *btns_child_proposals(child_cfg_t *child)
{
#ifdef BTNS_CHILD_CFG_SELECTS_TS
	return child->get_proposals(child, FALSE, FALSE);
#else
	return child->get_proposals(child, FALSE);
#endif
}

/**
 * Compute the value of an IKE_INTERMEDIATE message that IKE_AUTH authenticates
 * (RFC 9242, section 3.3.2), with the keys that protect the message. Releases
 * that cannot do it have no such messages.
 *
 * @param incoming		TRUE if the message was received
 * @param prev			value of the message before, empty for none
 * @param value			allocated value
 * @return				FALSE if it cannot be computed
 */
static inline bool btns_int_auth(keymat_t *keymat, message_t *message,
								 bool incoming, chunk_t prev, chunk_t *value)
{
	bool computed = FALSE;

	*value = chunk_empty;
#ifdef BTNS_KEYMAT_HAS_INT_AUTH
	keymat_v2_t *keymat_v2 = (keymat_v2_t*)keymat;
	chunk_t plain;

	if (message->get_plain(message, &plain))
	{
		computed = keymat_v2->get_int_auth(keymat_v2, incoming, plain, prev,
										   value);
		chunk_free(&plain);
	}
#endif
	return computed;
}

/**
 * Traffic selectors of one side of a child that are left of those that a peer
 * proposes.
 *
 * @param hosts			host_t*, what dynamic ones stand for
 * @return				traffic_selector_t*, owned by the caller
 */
static inline linked_list_t *btns_selected_ts(child_cfg_t *child, bool local,
											  linked_list_t *proposed,
											  linked_list_t *hosts)
{
#ifdef BTNS_CHILD_CFG_SELECTS_TS
	return child->select_traffic_selectors(child, local, proposed, hosts);
#else
	return child->get_traffic_selectors(child, local, proposed, hosts, FALSE);
#endif
}

#endif /** BTNS_COMPAT_H_ @}*/
