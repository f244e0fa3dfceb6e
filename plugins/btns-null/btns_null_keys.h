/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_null_keys btns_null_keys
 * The key of nobody.
 * @{ @ingroup btns_null
 */

#ifndef BTNS_NULL_KEYS_H_
#define BTNS_NULL_KEYS_H_

#include "btns_nulls.h"

typedef struct btns_null_keys_t btns_null_keys_t;

/**
 * Stands in front of the credential manager where shared keys for IKE are looked
 * for. For NULL authentication, ours or the peer's, there is one key, which has
 * no octets: with that strongSwan computes what RFC 7619 says. It is given to
 * nobody else, and to whom it is given gets no other: a peer that used NULL
 * authentication is verified with nobody's secret, and one that has a shared
 * secret never with the empty key.
 *
 * A credential set would not do: whatever it offers, strongSwan also tries the
 * keys of all others. One that belongs to a thread, and excludes others, would
 * hide all secrets from whoever comes next if once it is not taken away.
 */
struct btns_null_keys_t {

	/**
	 * Leave the credential manager as it was, and destroy a btns_null_keys_t.
	 */
	void (*destroy)(btns_null_keys_t *this);
};

/**
 * Put it in front of the credential manager. There is one at a time.
 *
 * @param nulls		whom to ask, used until destroy
 */
btns_null_keys_t *btns_null_keys_create(btns_nulls_t *nulls);

#endif /** BTNS_NULL_KEYS_H_ @}*/
