/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_null_self_test.h"
#include "btns_id_null.h"

#include <daemon.h>
#include <encoding/payloads/auth_payload.h>
#include <encoding/payloads/id_payload.h>

/**
 * Clone an identity without octets. Before Debian's 5.9.8-5+deb12u5 the clone had
 * the same octets, none, at the same place, and both freed them.
 */
static bool check_clone(identification_t *id)
{
	identification_t *clone;
	chunk_t one, two;
	bool ok;

	clone = id->clone(id);
	one = id->get_encoding(id);
	two = clone->get_encoding(clone);
	ok = btns_id_null_is(clone) && (!one.ptr || one.ptr != two.ptr);
	if (ok)
	{	/* else it is better lost than freed twice */
		clone->destroy(clone);
	}
	return ok;
}

/**
 * Make ID_NULL as configurations and messages do, and have it compared.
 */
static bool check_id(identification_t *id)
{
	identification_t *other;
	id_payload_t *payload;
	auth_cfg_t *required, *done;
	bool ok;

	if (!btns_id_null_is(id) || !check_clone(id))
	{
		return FALSE;
	}
	payload = id_payload_create_from_identification(PLV2_ID_INITIATOR, id);
	other = payload->get_identification(payload);
	payload->destroy(payload);
	if (!btns_id_null_is(other) || !check_clone(other))
	{
		return FALSE;
	}
	btns_id_null_mend(id);
	required = auth_cfg_create();
	required->add(required, AUTH_RULE_IDENTITY, other->clone(other));
	done = auth_cfg_create();
	done->add(done, AUTH_RULE_IDENTITY, id->clone(id));
	ok = done->complies(done, required, FALSE) && id->equals(id, other);
	required->destroy(required);
	done->destroy(done);
	other->destroy(other);
	return ok;
}

/**
 * Change the method of an AUTH payload.
 */
static bool check_auth()
{
	chunk_t data = chunk_from_chars(0x01,0x02,0x03);
	auth_payload_t *auth;
	bool ok;

	auth = auth_payload_create();
	auth->set_auth_method(auth, AUTH_PSK);
	auth->set_data(auth, data);
	auth->set_auth_method(auth, AUTH_NULL);
	ok = (u_int)auth->get_auth_method(auth) == 13 &&
		 chunk_equals(auth->get_data(auth), data);
	auth->destroy(auth);
	return ok;
}

/**
 * Create a key without octets.
 */
static bool check_key()
{
	shared_key_t *key;
	bool ok;

	key = shared_key_create(SHARED_IKE, chunk_empty);
	ok = key->get_type(key) == SHARED_IKE && !key->get_key(key).len;
	key->destroy(key);
	return ok;
}

/*
 * Described in header.
 */
bool btns_null_self_test()
{
	identification_t *id;
	bool ok;

	id = identification_create_from_string("{13}:");
	ok = check_id(id);
	if (ok)
	{
		id->destroy(id);
	}
	ok = ok && check_auth() && check_key();
	if (!ok)
	{
		DBG1(DBG_CFG, "btns-null: self-test failed, this daemon cannot handle "
			 "identities without octets as NULL authentication needs it: an "
			 "upgrade of strongSwan may help");
	}
	return ok;
}
