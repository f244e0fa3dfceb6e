/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_creds.h"
#include "btns_cert.h"
#include "btns_convert.h"

typedef struct private_btns_creds_t private_btns_creds_t;

/**
 * Private data of a btns_creds_t.
 */
struct private_btns_creds_t {

	/**
	 * Public interface
	 */
	btns_creds_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * PAD
	 */
	btns_pad_t *pad;
};

/**
 * Get the key to offer for an identity to the thread's IKE_SA.
 */
static bool get_key(private_btns_creds_t *this, identification_t *id,
					btns_key_t *key)
{
	identification_t *publickey;
	ike_sa_t *ike_sa;
	uint32_t sa;
	bool match;

	ike_sa = charon->bus->get_sa(charon->bus);
	if (!ike_sa || !id || id->get_type(id) == ID_ANY)
	{
		return FALSE;
	}
	sa = ike_sa->get_unique_id(ike_sa);
	if (btns_sa_verified_key(this->core, sa, key) == BTNS_STATUS_OK)
	{
		publickey = btns_publickey_id(key->fingerprint);
		match = publickey->equals(publickey, id);
		publickey->destroy(publickey);
		return match;
	}
	if (!id->equals(id, ike_sa->get_other_id(ike_sa)))
	{
		return FALSE;
	}
	if (btns_sa_armed_key(this->core, sa, key) == BTNS_STATUS_OK)
	{
		return TRUE;
	}
	return btns_pad_decide_initiator(this->pad, ike_sa, id) &&
		   btns_sa_armed_key(this->core, sa, key) == BTNS_STATUS_OK;
}

CALLBACK(destroy_cert, void,
	certificate_t *cert)
{
	cert->destroy(cert);
}

METHOD(credential_set_t, create_cert_enumerator, enumerator_t*,
	private_btns_creds_t *this, certificate_type_t cert, key_type_t type,
	identification_t *id, bool trusted)
{
	certificate_t *found;
	public_key_t *public;
	key_type_t found_type;
	btns_key_t key;

	if (!trusted || (cert != CERT_ANY && cert != CERT_TRUSTED_PUBKEY) ||
		!get_key(this, id, &key))
	{
		return NULL;
	}
	found = btns_cert_create(&key);
	if (!found)
	{
		return NULL;
	}
	public = found->get_public_key(found);
	found_type = public->get_type(public);
	public->destroy(public);
	if (type != KEY_ANY && type != found_type)
	{
		found->destroy(found);
		return NULL;
	}
	return enumerator_create_single(found, (void*)destroy_cert);
}

METHOD(btns_creds_t, destroy, void,
	private_btns_creds_t *this)
{
	free(this);
}

/*
 * Described in header.
 */
btns_creds_t *btns_creds_create(btns_core_t *core, btns_pad_t *pad)
{
	private_btns_creds_t *this;

	INIT(this,
		.public = {
			.set = {
				.create_private_enumerator = (void*)return_null,
				.create_cert_enumerator = _create_cert_enumerator,
				.create_shared_enumerator = (void*)return_null,
				.create_cdp_enumerator = (void*)return_null,
				.cache_cert = (void*)nop,
			},
			.destroy = _destroy,
		},
		.core = core,
		.pad = pad,
	);
	return &this->public;
}
