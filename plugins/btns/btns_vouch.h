/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vouch btns_vouch
 * Does a credential that is loaded here speak for a peer?
 * @{ @ingroup btns
 */

#ifndef BTNS_VOUCH_H_
#define BTNS_VOUCH_H_

#include <daemon.h>

#include "btns/core.h"

/**
 * TRUE if some non-BTNS credential speaks for a peer: a loaded key or
 * certificate has the presented key, a loaded CA (valid or not) is the issuer
 * of a presented certificate by name or key identifier, a loaded certificate of
 * somebody else has the asserted identity, or the peer names a certificate
 * that it does not show. Nothing is verified: whoever refers to such a
 * credential has to authenticate with it.
 *
 * Takes the credential manager's lock, not to be called in a bus hook.
 *
 * @param core		core, for the certificates in the message
 * @param ike_sa	IKE_SA, checked out by this thread
 * @param id		asserted identity
 * @param key		presented key, NULL if there is none
 */
bool btns_vouched(btns_core_t *core, ike_sa_t *ike_sa, identification_t *id,
				  const btns_key_t *key);

/**
 * What speaks for a peer, as text.
 */
typedef struct {
	char text[256];
} btns_voucher_t;

/**
 * The same for a peer that is not there, and is supposed to show certificates.
 *
 * @param peer		peer
 * @param id		asserted identity
 * @param key		its key, maybe only the fingerprint; NULL if there is none
 * @param voucher	gets what speaks for it, unchanged if nothing does
 */
bool btns_vouched_supposed(const btns_supposed_t *peer, identification_t *id,
						   const btns_key_t *key, btns_voucher_t *voucher);

/**
 * TRUE if a shared key is bound to an identity that is more specific than %any
 * and matches.
 */
bool btns_named_by_secret(identification_t *id);

#endif /** BTNS_VOUCH_H_ @}*/
