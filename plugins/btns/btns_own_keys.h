/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_own_keys btns_own_keys
 * Our own public keys as CERT payload bodies, encoded once.
 * @{ @ingroup btns
 */

#ifndef BTNS_OWN_KEYS_H_
#define BTNS_OWN_KEYS_H_

#include <daemon.h>

#include "btns/core.h"

typedef struct btns_own_keys_t btns_own_keys_t;

/**
 * Keeps the encodings of the keys in configured certificates.
 */
struct btns_own_keys_t {

	/**
	 * Get the body of a CERT payload for the key in a certificate of ours.
	 * Touches nothing but the certificate, and that once only.
	 *
	 * @param cert			configured certificate
	 * @param encoding		CERT encoding, 15, 11 or 201
	 * @param body			allocated body
	 * @return				FALSE if the key has no such encoding
	 */
	bool (*get)(btns_own_keys_t *this, certificate_t *cert, u_int encoding,
				chunk_t *body);

	/**
	 * Destroy a btns_own_keys_t.
	 */
	void (*destroy)(btns_own_keys_t *this);
};

/**
 * Create an empty store.
 */
btns_own_keys_t *btns_own_keys_create();

#endif /** BTNS_OWN_KEYS_H_ @}*/
