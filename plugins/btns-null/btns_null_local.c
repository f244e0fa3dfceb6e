/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_null_local.h"
#include "btns_id_null.h"

/**
 * Count the rounds of a side that a connection has.
 *
 * @param eap		TRUE to count those by EAP only
 */
static u_int count_rounds(peer_cfg_t *cfg, bool local, bool eap)
{
	enumerator_t *enumerator;
	auth_cfg_t *auth;
	u_int count = 0;

	enumerator = cfg->create_auth_cfg_enumerator(cfg, local);
	while (enumerator->enumerate(enumerator, &auth))
	{
		if (!eap || (uintptr_t)auth->get(auth, AUTH_RULE_AUTH_CLASS) ==
															AUTH_CLASS_EAP)
		{
			count++;
		}
	}
	enumerator->destroy(enumerator);
	return count;
}

/*
 * Described in header.
 */
btns_null_local_t btns_null_local(ike_sa_t *ike_sa)
{
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	auth_cfg_t *auth;

	if (!cfg || ike_sa->get_version(ike_sa) != IKEV2)
	{
		return BTNS_NULL_LOCAL_NO;
	}
	auth = ike_sa->get_auth_cfg(ike_sa, TRUE);
	if ((uintptr_t)auth->get(auth, AUTH_RULE_AUTH_CLASS) != AUTH_CLASS_PSK ||
		!btns_id_null_is(auth->get(auth, AUTH_RULE_IDENTITY)))
	{
		return BTNS_NULL_LOCAL_NO;
	}
	/* who uses EAP has to know the responder: RFC 7619, section 2 */
	if (count_rounds(cfg, TRUE, FALSE) != 1 || count_rounds(cfg, FALSE, TRUE))
	{
		return BTNS_NULL_LOCAL_BAD;
	}
	return BTNS_NULL_LOCAL_YES;
}
