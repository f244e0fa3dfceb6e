/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_cert.h"
#include "btns_convert.h"

/**
 * Octets of an Ed25519 public key (RFC 8032)
 */
#define ED25519_KEY_LEN 32

/**
 * Octets of an Ed448 public key (RFC 8032)
 */
#define ED448_KEY_LEN 57

typedef struct private_btns_cert_t private_btns_cert_t;

/**
 * Private data of a presented key's certificate.
 */
struct private_btns_cert_t {

	/**
	 * Public interface
	 */
	certificate_t public;

	/**
	 * strongSwan's key
	 */
	public_key_t *key;

	/**
	 * PUBLICKEY ID, subject and issuer
	 */
	identification_t *subject;

	/**
	 * SHA-256 of the canonical SubjectPublicKeyInfo
	 */
	uint8_t fingerprint[BTNS_FINGERPRINT_LEN];

	/**
	 * Reference count
	 */
	refcount_t ref;
};

METHOD(certificate_t, get_type, certificate_type_t,
	private_btns_cert_t *this)
{
	return CERT_TRUSTED_PUBKEY;
}

METHOD(certificate_t, get_subject, identification_t*,
	private_btns_cert_t *this)
{
	return this->subject;
}

METHOD(certificate_t, has_subject, id_match_t,
	private_btns_cert_t *this, identification_t *subject)
{
	return this->subject->equals(this->subject, subject) ? ID_MATCH_PERFECT
														 : ID_MATCH_NONE;
}

METHOD(certificate_t, has_issuer, id_match_t,
	private_btns_cert_t *this, identification_t *issuer)
{
	return ID_MATCH_NONE;
}

METHOD(certificate_t, issued_by, bool,
	private_btns_cert_t *this, certificate_t *issuer,
	signature_params_t **scheme)
{
	return FALSE;
}

METHOD(certificate_t, get_public_key, public_key_t*,
	private_btns_cert_t *this)
{
	return this->key->get_ref(this->key);
}

METHOD(certificate_t, get_validity, bool,
	private_btns_cert_t *this, time_t *when, time_t *not_before,
	time_t *not_after)
{
	if (not_before)
	{
		*not_before = 0;
	}
	if (not_after)
	{
		*not_after = TIME_32_BIT_SIGNED_MAX;
	}
	return TRUE;
}

METHOD(certificate_t, get_encoding, bool,
	private_btns_cert_t *this, cred_encoding_type_t type, chunk_t *encoding)
{
	return this->key->get_encoding(this->key, type, encoding);
}

METHOD(certificate_t, equals, bool,
	private_btns_cert_t *this, certificate_t *other)
{
	const uint8_t *fingerprint;

	fingerprint = btns_cert_fingerprint(other);
	return fingerprint &&
		   memeq_const(fingerprint, this->fingerprint, BTNS_FINGERPRINT_LEN);
}

METHOD(certificate_t, get_ref, certificate_t*,
	private_btns_cert_t *this)
{
	ref_get(&this->ref);
	return &this->public;
}

METHOD(certificate_t, destroy, void,
	private_btns_cert_t *this)
{
	if (ref_put(&this->ref))
	{
		this->key->destroy(this->key);
		this->subject->destroy(this->subject);
		free(this);
	}
}

/*
 * Described in header.
 */
const uint8_t *btns_cert_fingerprint(certificate_t *cert)
{
	/* whose methods these are tells who made it */
	if (cert && cert->get_subject == (void*)_get_subject)
	{
		return ((private_btns_cert_t*)cert)->fingerprint;
	}
	return NULL;
}

/*
 * Described in header.
 */
chunk_t btns_cert_keyid(const btns_key_t *key, uint8_t buf[HASH_SIZE_SHA1])
{
	hasher_t *hasher;
	bool ok;

	hasher = lib->crypto->create_hasher(lib->crypto, HASH_SHA1);
	ok = hasher && hasher->get_hash(hasher, btns_key_spki(key), buf);
	DESTROY_IF(hasher);
	return ok ? chunk_create(buf, HASH_SIZE_SHA1) : chunk_empty;
}

/*
 * Described in header.
 */
bool btns_cert_key_equals(public_key_t *public, const btns_key_t *key,
						  chunk_t keyid)
{
	uint8_t fingerprint[BTNS_FINGERPRINT_LEN];
	chunk_t other;
	bool equal;

	/* strongSwan keeps the identifiers of loaded keys */
	if (keyid.len &&
		public->get_fingerprint(public, KEYID_PUBKEY_INFO_SHA1, &other))
	{
		return chunk_equals(other, keyid);
	}
	if (!public->get_encoding(public, PUBKEY_SPKI_ASN1_DER, &other))
	{
		return FALSE;
	}
	if (key->spki_len)
	{
		equal = chunk_equals(other, btns_key_spki(key));
	}
	else
	{
		equal = btns_key_fingerprint(btns_bytes(other),
									 fingerprint) == BTNS_STATUS_OK &&
				memeq_const(fingerprint, key->fingerprint, sizeof(fingerprint));
	}
	chunk_free(&other);
	return equal;
}

/**
 * Create strongSwan's public key from a canonical one. NULL if no plugin can
 * use it.
 *
 * EdDSA keys are handed over as the plain octets at the end of their
 * SubjectPublicKeyInfo, RSA keys as RSAPublicKey: OpenSSL 3 spends about half as
 * much on decoding a SubjectPublicKeyInfo as charon on all the rest of an
 * IKE_SA.
 */
static public_key_t *create_public_key(const btns_key_t *key)
{
	chunk_t spki = btns_key_spki(key);
	uint8_t pkcs1[BTNS_SPKI_MAX];
	public_key_t *public = NULL;
	size_t len;

	switch (key->type)
	{
		case BTNS_KEY_RSA:
			if (btns_key_encode(BTNS_ENCODING_PKCS1, btns_bytes(spki), pkcs1,
								&len) == BTNS_STATUS_OK)
			{
				public = lib->creds->create(lib->creds, CRED_PUBLIC_KEY,
							KEY_RSA, BUILD_BLOB_ASN1_DER,
							chunk_create(pkcs1, len), BUILD_END);
			}
			break;
		case BTNS_KEY_ED25519:
			public = lib->creds->create(lib->creds, CRED_PUBLIC_KEY,
						KEY_ED25519, BUILD_EDDSA_PUB,
						chunk_skip(spki, spki.len - ED25519_KEY_LEN), BUILD_END);
			break;
		case BTNS_KEY_ED448:
			public = lib->creds->create(lib->creds, CRED_PUBLIC_KEY,
						KEY_ED448, BUILD_EDDSA_PUB,
						chunk_skip(spki, spki.len - ED448_KEY_LEN), BUILD_END);
			break;
		default:
			break;
	}
	return public ?: lib->creds->create(lib->creds, CRED_PUBLIC_KEY, KEY_ANY,
										BUILD_BLOB_ASN1_DER, spki, BUILD_END);
}

/*
 * Described in header.
 */
certificate_t *btns_cert_create(const btns_key_t *key)
{
	private_btns_cert_t *this;
	public_key_t *public;

	public = create_public_key(key);
	if (!public)
	{
		return NULL;
	}
	INIT(this,
		.public = {
			.get_type = _get_type,
			.get_subject = _get_subject,
			.has_subject = _has_subject,
			.get_issuer = _get_subject,
			.has_issuer = _has_issuer,
			.issued_by = _issued_by,
			.get_public_key = _get_public_key,
			.get_validity = _get_validity,
			.get_encoding = _get_encoding,
			.equals = _equals,
			.get_ref = _get_ref,
			.destroy = _destroy,
		},
		.key = public,
		.subject = btns_publickey_id(key->fingerprint),
		.ref = 1,
	);
	memcpy(this->fingerprint, key->fingerprint, BTNS_FINGERPRINT_LEN);
	return &this->public;
}
