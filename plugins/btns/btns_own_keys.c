/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_own_keys.h"
#include "btns_convert.h"

#include <threading/mutex.h>

/**
 * Keys that are kept; the oldest goes when the configuration changed so often.
 */
#define MAX_KEYS 64

typedef struct private_btns_own_keys_t private_btns_own_keys_t;
typedef struct own_key_t own_key_t;

/**
 * A key of ours.
 */
struct own_key_t {

	/**
	 * The certificate that has it, with a reference: so its address is not
	 * reused
	 */
	certificate_t *cert;

	/**
	 * SubjectPublicKeyInfo, empty if it could not be encoded
	 */
	chunk_t spki;

	/**
	 * RSAPublicKey, empty unless it is an RSA key
	 */
	chunk_t pkcs1;

	/**
	 * SubjectPublicKeyInfo, empty unless it is an EC key
	 */
	chunk_t ec;
};

/**
 * Private data of a btns_own_keys_t.
 */
struct private_btns_own_keys_t {

	/**
	 * Public interface
	 */
	btns_own_keys_t public;

	/**
	 * own_key_t*, the newest first
	 */
	linked_list_t *keys;

	/**
	 * Lock for keys
	 */
	mutex_t *mutex;
};

/**
 * Encode a SubjectPublicKeyInfo as the body of a CERT payload.
 */
static chunk_t encode(u_int encoding, chunk_t spki)
{
	uint8_t buf[BTNS_SPKI_MAX];
	size_t len;

	if (btns_key_encode(encoding, btns_bytes(spki), buf,
						&len) != BTNS_STATUS_OK)
	{
		return chunk_empty;
	}
	return chunk_clone(chunk_create(buf, len));
}

static own_key_t *own_key_create(certificate_t *cert)
{
	public_key_t *public;
	own_key_t *this;
	chunk_t spki;

	INIT(this,
		.cert = cert->get_ref(cert),
	);
	public = cert->get_public_key(cert);
	if (public)
	{
		if (public->get_encoding(public, PUBKEY_SPKI_ASN1_DER, &spki))
		{
			this->spki = encode(BTNS_ENCODING_SPKI, spki);
			this->pkcs1 = encode(BTNS_ENCODING_PKCS1, spki);
			this->ec = encode(BTNS_ENCODING_OPENIKED_EC, spki);
			chunk_free(&spki);
		}
		public->destroy(public);
	}
	return this;
}

static void own_key_destroy(own_key_t *this)
{
	this->cert->destroy(this->cert);
	free(this->spki.ptr);
	free(this->pkcs1.ptr);
	free(this->ec.ptr);
	free(this);
}

/**
 * The body of a CERT payload, empty if the key has no such encoding.
 */
static chunk_t select_body(own_key_t *this, u_int encoding)
{
	switch (encoding)
	{
		case BTNS_ENCODING_SPKI:
			return this->spki;
		case BTNS_ENCODING_PKCS1:
			return this->pkcs1;
		case BTNS_ENCODING_OPENIKED_EC:
			return this->ec;
		default:
			return chunk_empty;
	}
}

METHOD(btns_own_keys_t, get, bool,
	private_btns_own_keys_t *this, certificate_t *cert, u_int encoding,
	chunk_t *body)
{
	enumerator_t *enumerator;
	own_key_t *current, *found = NULL;

	this->mutex->lock(this->mutex);
	enumerator = this->keys->create_enumerator(this->keys);
	while (!found && enumerator->enumerate(enumerator, &current))
	{
		found = current->cert == cert ? current : NULL;
	}
	enumerator->destroy(enumerator);
	if (!found)
	{
		found = own_key_create(cert);
		this->keys->insert_first(this->keys, found);
		if (this->keys->get_count(this->keys) > MAX_KEYS &&
			this->keys->remove_last(this->keys, (void**)&current) == SUCCESS)
		{
			own_key_destroy(current);
		}
	}
	*body = chunk_clone(select_body(found, encoding));
	this->mutex->unlock(this->mutex);
	return body->len != 0;
}

METHOD(btns_own_keys_t, destroy, void,
	private_btns_own_keys_t *this)
{
	own_key_t *key;

	while (this->keys->remove_first(this->keys, (void**)&key) == SUCCESS)
	{
		own_key_destroy(key);
	}
	this->keys->destroy(this->keys);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * Described in header.
 */
btns_own_keys_t *btns_own_keys_create()
{
	private_btns_own_keys_t *this;

	INIT(this,
		.public = {
			.get = _get,
			.destroy = _destroy,
		},
		.keys = linked_list_create(),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
	);
	return &this->public;
}
