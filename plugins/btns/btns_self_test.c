/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_self_test.h"
#include "btns_cert.h"
#include "btns_certreq.h"
#include "btns_channels.h"
#include "btns_convert.h"

#include <errno.h>

#include <encoding/payloads/auth_payload.h>
#include <encoding/payloads/cert_payload.h>
#include <encoding/payloads/id_payload.h>

/**
 * A key that has to come through unharmed.
 */
typedef struct {
	char *name;
	key_type_t type;
	chunk_t spki;
} known_t;

/**
 * Ed25519 (RFC 8032, section 7.1, test 1)
 */
static const known_t ed25519 = {
	"Ed25519", KEY_ED25519, chunk_from_chars(
	0x30,0x2a,0x30,0x05,0x06,0x03,0x2b,0x65,0x70,0x03,0x21,0x00,
	0xd7,0x5a,0x98,0x01,0x82,0xb1,0x0a,0xb7,0xd5,0x4b,0xfe,0xd3,0xc9,0x64,0x07,
	0x3a,0x0e,0xe1,0x72,0xf3,0xda,0xa6,0x23,0x25,0xaf,0x02,0x1a,0x68,0xf7,0x07,
	0x51,0x1a)
};

/**
 * The base point of P-256
 */
static const known_t p256 = {
	"ECDSA P-256", KEY_ECDSA, chunk_from_chars(
	0x30,0x59,0x30,0x13,0x06,0x07,0x2a,0x86,0x48,0xce,0x3d,0x02,0x01,0x06,0x08,
	0x2a,0x86,0x48,0xce,0x3d,0x03,0x01,0x07,0x03,0x42,0x00,0x04,
	0x6b,0x17,0xd1,0xf2,0xe1,0x2c,0x42,0x47,0xf8,0xbc,0xe6,0xe5,0x63,0xa4,0x40,
	0xf2,0x77,0x03,0x7d,0x81,0x2d,0xeb,0x33,0xa0,0xf4,0xa1,0x39,0x45,0xd8,0x98,
	0xc2,0x96,
	0x4f,0xe3,0x42,0xe2,0xfe,0x1a,0x7f,0x9b,0x8e,0xe7,0xeb,0x4a,0x7c,0x0f,0x9e,
	0x16,0x2b,0xce,0x33,0x57,0x6b,0x31,0x5e,0xce,0xcb,0xb6,0x40,0x68,0x37,0xbf,
	0x51,0xf5)
};

/**
 * Parse and encode a key as the plugin does.
 */
static bool check_key(const known_t *known, bool *usable)
{
	certificate_t *cert;
	public_key_t *public = NULL;
	identification_t *id = NULL;
	btns_key_policy_t policy = {
		.rsa_min = 2048,
		.types = ~0u,
		.encodings = ~0u,
	};
	btns_reason_t reason;
	uint8_t buf[HASH_SIZE_SHA1];
	btns_key_t key;
	chunk_t encoding = chunk_empty, keyid;
	bool ok;

	*usable = FALSE;
	if (btns_key_parse(&policy, BTNS_ENCODING_SPKI, btns_bytes(known->spki),
					   &key, &reason) != BTNS_STATUS_OK)
	{
		DBG1(DBG_CFG, "btns: self-test failed, the core refuses a known %s "
			 "key: %s", known->name, btns_reason_text(reason));
		return FALSE;
	}
	cert = btns_cert_create(&key);
	if (!cert)
	{	/* no loaded plugin does this algorithm, or the daemon is another one */
		return TRUE;
	}
	public = cert->get_public_key(cert);
	id = btns_publickey_id(key.fingerprint);
	keyid = btns_cert_keyid(&key, buf);
	ok = public->get_type(public) == known->type &&
		 public->get_encoding(public, PUBKEY_SPKI_ASN1_DER, &encoding) &&
		 chunk_equals(encoding, known->spki) &&
		 btns_cert_key_equals(public, &key, keyid) &&
		 btns_cert_key_equals(public, &key, chunk_empty) &&
		 id->get_type(id) == ID_KEY_ID && id->equals(id, cert->get_subject(cert));
	if (!ok)
	{
		DBG1(DBG_CFG, "btns: self-test failed, a known %s key comes out "
			 "changed", known->name);
	}
	chunk_free(&encoding);
	id->destroy(id);
	public->destroy(public);
	cert->destroy(cert);
	*usable = ok;
	return ok;
}

/**
 * Wrap octets in a CERT payload and get them back as the plugin does.
 */
static bool check_payload()
{
	cert_payload_t *payload;
	chunk_t *data;
	bool ok;

	payload = cert_payload_create_custom(PLV2_CERTIFICATE,
										 (cert_encoding_t)BTNS_ENCODING_SPKI,
										 chunk_clone(ed25519.spki));
	data = payload_get_field(&payload->payload_interface, CHUNK_DATA, 0);
	ok = (u_int)payload->get_cert_encoding(payload) == BTNS_ENCODING_SPKI &&
		 data && chunk_equals(*data, ed25519.spki);
	payload->destroy(payload);
	if (!ok)
	{
		DBG1(DBG_CFG, "btns: self-test failed, a CERT payload's body cannot be "
			 "read");
	}
	return ok;
}

/**
 * Make a CERTREQ payload as the plugin does and read it.
 */
static bool check_certreq()
{
	payload_t *certreq;
	chunk_t *data;
	bool ok = FALSE;

	certreq = btns_certreq_create(BTNS_ENCODING_SPKI);
	if (certreq)
	{
		data = payload_get_field(certreq, CHUNK_DATA, 0);
		ok = certreq->get_type(certreq) == PLV2_CERTREQ &&
			 btns_certreq_encoding(certreq) == BTNS_ENCODING_SPKI &&
			 data && !data->len;
		certreq->destroy(certreq);
	}
	if (!ok)
	{
		DBG1(DBG_CFG, "btns: self-test failed, a CERTREQ payload cannot be "
			 "made");
	}
	return ok;
}

/**
 * Compare a payload's body with what it was made of.
 */
static bool check_body(payload_t *payload, uint8_t head, chunk_t data)
{
	btns_body_t body;

	btns_view_body(payload, &body);
	return body.head[0] == head && !body.head[1] && !body.head[2] &&
		   !body.head[3] && chunk_equals(btns_chunk(body.data), data);
}

/**
 * Make the payloads that are part of a unique binding and view them.
 */
static bool check_bodies()
{
	chunk_t data = chunk_from_chars(0x01,0x02,0x03,0x04,0x05);
	identification_t *id;
	auth_payload_t *auth;
	id_payload_t *payload;
	bool ok;

	id = identification_create_from_encoding(ID_KEY_ID, data);
	payload = id_payload_create_from_identification(PLV2_ID_INITIATOR, id);
	ok = check_body(&payload->payload_interface, ID_KEY_ID, data);
	payload->destroy(payload);
	id->destroy(id);

	auth = auth_payload_create();
	auth->set_auth_method(auth, AUTH_DS);
	auth->set_data(auth, data);
	ok = check_body(&auth->payload_interface, AUTH_DS, data) && ok;
	auth->destroy(auth);
	if (!ok)
	{
		DBG1(DBG_CFG, "btns: self-test failed, the bodies of ID and AUTH "
			 "payloads cannot be read");
	}
	return ok;
}

/**
 * Compute prf+ of known octets, if a plugin does that already.
 */
static bool check_prf_plus()
{
	chunk_t key = chunk_from_chars(
		0x00,0x01,0x02,0x03,0x04,0x05,0x06,0x07,0x08,0x09,0x0a,0x0b,0x0c,0x0d,
		0x0e,0x0f,0x10,0x11,0x12,0x13,0x14,0x15,0x16,0x17,0x18,0x19,0x1a,0x1b,
		0x1c,0x1d,0x1e,0x1f);
	chunk_t known = chunk_from_chars(
		0x4f,0xae,0x78,0xf3,0x7a,0x58,0x83,0x90,0xe4,0x42,0xa4,0x12,0xcb,0x46,
		0x36,0x34,0xd9,0xdc,0xe6,0x44,0x47,0x3e,0xb1,0xea,0x3b,0x77,0x3f,0x8b,
		0x67,0x5f,0x7a,0x94);
	uint8_t out[BTNS_BINDING_LEN];

	if (btns_prf_plus(PRF_HMAC_SHA2_256, key, chunk_from_str("seed"), out) &&
		!chunk_equals(chunk_from_thing(out), known))
	{
		DBG1(DBG_CFG, "btns: self-test failed, prf+ of known octets comes out "
			 "changed");
		return FALSE;
	}
	return TRUE;
}

/**
 * Set and read the rules of authentication configurations that the plugin
 * depends on.
 */
static bool check_auth_cfg()
{
	identification_t *id, *group;
	auth_cfg_t *required, *done;
	bool ok;

	id = btns_publickey_id((uint8_t[BTNS_FINGERPRINT_LEN]){});
	group = identification_create_from_string("btns");
	required = auth_cfg_create();
	required->add(required, AUTH_RULE_GROUP, group->clone(group));
	done = auth_cfg_create();
	done->add(done, AUTH_RULE_IDENTITY, id->clone(id));

	ok = id->equals(id, done->get(done, AUTH_RULE_IDENTITY)) &&
		 group->equals(group, required->get(required, AUTH_RULE_GROUP)) &&
		 !done->complies(done, required, FALSE);
	done->add(done, AUTH_RULE_GROUP, group->clone(group));
	ok = ok && done->complies(done, required, FALSE);

	required->destroy(required);
	done->destroy(done);
	group->destroy(group);
	id->destroy(id);
	if (!ok)
	{
		DBG1(DBG_CFG, "btns: self-test failed, groups are not enforced as "
			 "expected");
	}
	return ok;
}

/**
 * Compare enumerators that no test above would miss with the daemon's own names
 * for them. Those that are numbers of a protocol cannot move.
 */
static bool check_enumerators()
{
	static const struct {
		enum_name_t **names;
		int value;
		char *name;
	} known[] = {
		{ &auth_rule_names, AUTH_RULE_IDENTITY, "RULE_IDENTITY" },
		{ &auth_rule_names, AUTH_RULE_AUTH_CLASS, "RULE_AUTH_CLASS" },
		{ &auth_rule_names, AUTH_RULE_AAA_IDENTITY, "RULE_AAA_IDENTITY" },
		{ &auth_rule_names, AUTH_RULE_EAP_IDENTITY, "RULE_EAP_IDENTITY" },
		{ &auth_rule_names, AUTH_RULE_XAUTH_IDENTITY, "RULE_XAUTH_IDENTITY" },
		{ &auth_rule_names, AUTH_RULE_CA_CERT, "RULE_CA_CERT" },
		{ &auth_rule_names, AUTH_RULE_IM_CERT, "RULE_IM_CERT" },
		{ &auth_rule_names, AUTH_RULE_SUBJECT_CERT, "RULE_SUBJECT_CERT" },
		{ &auth_rule_names, AUTH_RULE_GROUP, "RULE_GROUP" },
		{ &auth_rule_names, AUTH_RULE_CERT_POLICY, "RULE_CERT_POLICY" },
		{ &auth_class_names, AUTH_CLASS_ANY, "any" },
		{ &auth_class_names, AUTH_CLASS_PUBKEY, "public key" },
		{ &auth_class_names, AUTH_CLASS_PSK, "pre-shared key" },
		{ &auth_class_names, AUTH_CLASS_EAP, "EAP" },
		{ &key_type_names, KEY_RSA, "RSA" },
		{ &key_type_names, KEY_ECDSA, "ECDSA" },
		{ &key_type_names, KEY_ED25519, "ED25519" },
		{ &key_type_names, KEY_ED448, "ED448" },
		{ &certificate_type_names, CERT_X509, "X509" },
		{ &certificate_type_names, CERT_TRUSTED_PUBKEY, "PUBKEY" },
		{ &ike_sa_state_names, IKE_CREATED, "CREATED" },
		{ &ike_sa_state_names, IKE_CONNECTING, "CONNECTING" },
		{ &ike_sa_state_names, IKE_ESTABLISHED, "ESTABLISHED" },
		{ &ike_sa_state_names, IKE_DESTROYING, "DESTROYING" },
		{ &child_sa_state_names, CHILD_INSTALLED, "INSTALLED" },
		{ &ipsec_mode_names, MODE_TRANSPORT, "TRANSPORT" },
		{ &ipsec_mode_names, MODE_TUNNEL, "TUNNEL" },
		{ &ipsec_mode_names, MODE_BEET, "BEET" },
		{ &ipsec_mode_names, MODE_PASS, "PASS" },
		{ &key_derivation_function_names, KDF_PRF_PLUS, "KDF_PRF_PLUS" },
	};
	char *name;
	int i;

	for (i = 0; i < countof(known); i++)
	{
		name = enum_to_name(*known[i].names, known[i].value);
		if (!name || !streq(name, known[i].name))
		{
			DBG1(DBG_CFG, "btns: self-test failed, the daemon knows '%s' as "
				 "'%s'", known[i].name, name ?: "nothing");
			return FALSE;
		}
	}
	return TRUE;
}

/*
 * Described in header.
 */
bool btns_check_version()
{
	char version[32] = "";
	chunk_t *image;

	image = chunk_map("/proc/self/exe", FALSE);
	if (!image)
	{
		DBG1(DBG_CFG, "btns: cannot read the daemon's executable to learn its "
			 "version: %s", strerror(errno));
		return FALSE;
	}
	if (btns_find_version(btns_bytes(*image), version,
						  sizeof(version)) != BTNS_STATUS_OK)
	{
		version[0] = '\0';
	}
	chunk_unmap(image);
	if (!streq(version, BTNS_DAEMON_VERSION))
	{
		DBG1(DBG_CFG, "btns: the plugin was built for strongSwan %s, but this "
			 "is %s: not loaded, build it for this version",
			 BTNS_DAEMON_VERSION, version[0] ? version : "an unknown version");
		return FALSE;
	}
	return TRUE;
}

/**
 * Say that nothing is hooked. FALSE, always.
 */
static bool not_this_daemon()
{
	DBG1(DBG_CFG, "btns: the plugin was built with the headers of package "
		 "%s, the daemon seems to be built with others: hooking nothing, "
		 "nobody is admitted as BTNS peer", BTNS_DEBIAN_VERSION);
	return FALSE;
}

/*
 * Described in header.
 */
bool btns_self_test()
{
	bool ok, one, other;

	if (!check_enumerators())
	{
		return not_this_daemon();
	}
	ok = check_key(&ed25519, &one);
	ok = check_key(&p256, &other) && ok;
	if (ok && !one && !other)
	{
		DBG1(DBG_CFG, "btns: self-test failed, strongSwan parses none of the "
			 "known keys");
		ok = FALSE;
	}
	ok = check_payload() && ok;
	ok = check_certreq() && ok;
	ok = check_bodies() && ok;
	ok = check_prf_plus() && ok;
	ok = check_auth_cfg() && ok;
	return ok ? TRUE : not_this_daemon();
}
