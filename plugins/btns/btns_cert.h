/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_cert btns_cert
 * A presented key in a certificate_t.
 * @{ @ingroup btns
 */

#ifndef BTNS_CERT_H_
#define BTNS_CERT_H_

#include <daemon.h>
#include <crypto/hashers/hasher.h>

#include "btns/core.h"

/**
 * Wrap a presented key.
 *
 * The certificate is of type CERT_TRUSTED_PUBKEY, its subject is the key's
 * PUBLICKEY ID from the start. Unlike strongSwan's own raw key certificates it
 * says that it was not issued by itself: so it stays out of the credential
 * manager's cache of relations, and the key's strength is noted for the
 * configured constraints.
 *
 * @param key		canonical key
 * @return			certificate, NULL if strongSwan cannot use the key
 */
certificate_t *btns_cert_create(const btns_key_t *key);

/**
 * Fingerprint of the key in a certificate, if btns_cert_create() made it.
 *
 * @param cert		any certificate, may be NULL
 * @return			BTNS_FINGERPRINT_LEN octets that live as long as cert, or NULL
 */
const uint8_t *btns_cert_fingerprint(certificate_t *cert);

/**
 * What strongSwan calls the KEYID_PUBKEY_INFO_SHA1 of a key: the SHA-1 of its
 * SubjectPublicKeyInfo.
 *
 * @param key		canonical key
 * @param buf		where it goes
 * @return			identifier, points to buf; empty if there is no SHA-1
 */
chunk_t btns_cert_keyid(const btns_key_t *key, uint8_t buf[HASH_SIZE_SHA1]);

/**
 * Compare strongSwan's public key with a canonical one.
 *
 * @param public	any public key
 * @param key		canonical key; only its fingerprint if it has no octets
 * @param keyid		its identifier by btns_cert_keyid(), may be empty
 * @return			TRUE if they are the same
 */
bool btns_cert_key_equals(public_key_t *public, const btns_key_t *key,
						  chunk_t keyid);

#endif /** BTNS_CERT_H_ @}*/
