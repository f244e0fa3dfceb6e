/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_channels.h"
#include "btns_id_null.h"
#include "btns_compat.h"
#include "btns_convert.h"
#include "btns_own_keys.h"
#include "btns_pad.h"

#include <time.h>


/**
 * Exchange of RFC 9242, which charon 5.9 does not know
 */
#define EXCHANGE_IKE_INTERMEDIATE 43

typedef struct private_btns_channels_t private_btns_channels_t;

/**
 * Private data of a btns_channels_t.
 */
struct private_btns_channels_t {

	/**
	 * Public interface
	 */
	btns_channels_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * Worker
	 */
	btns_worker_t *worker;

	/**
	 * Our own public keys, encoded
	 */
	btns_own_keys_t *own_keys;
};

/*
 * Described in header.
 */
void btns_view_body(payload_t *payload, btns_body_t *body)
{
	uint8_t *octet;
	chunk_t *data;
	int i;

	memset(body, 0, sizeof(*body));
	/* the first U_INT_8 is the type of the next payload */
	octet = payload_get_field(payload, U_INT_8, 1);
	body->head[0] = octet ? *octet : 0;
	for (i = 0; i < 3; i++)
	{
		octet = payload_get_field(payload, RESERVED_BYTE, i);
		body->head[i + 1] = octet ? *octet : 0;
	}
	data = payload_get_field(payload, CHUNK_DATA, 0);
	body->data = btns_bytes(data ? *data : chunk_empty);
}

/**
 * View the body of a message's payload.
 *
 * @return				body, NULL if there is no such payload
 */
static btns_body_t *get_body(message_t *message, payload_type_t type,
							 btns_body_t *body)
{
	payload_t *payload;

	payload = message->get_payload(message, type);
	if (!payload)
	{
		return NULL;
	}
	btns_view_body(payload, body);
	return body;
}

/**
 * Hand the identity and the AUTH payload of an IKE_AUTH message to the core.
 */
static void copy_bodies(private_btns_channels_t *this, ike_sa_t *ike_sa,
						message_t *message)
{
	btns_auth_bodies_t bodies = {
		.request = message->get_request(message),
		.message_id = message->get_message_id(message),
	};
	btns_body_t id, auth;

	bodies.id = get_body(message, bodies.request ? PLV2_ID_INITIATOR
												 : PLV2_ID_RESPONDER, &id);
	bodies.auth = get_body(message, PLV2_AUTH, &auth);
	if (bodies.id || bodies.auth)
	{
		btns_sa_auth_bodies(this->core, ike_sa->get_unique_id(ike_sa), &bodies);
	}
}

/*
 * Described in header.
 */
bool btns_prf_plus(pseudo_random_function_t alg, chunk_t key, chunk_t seed,
				   uint8_t *out)
{
	uint8_t block[HASH_SIZE_SHA512], counter = 1;
	size_t size, done = 0;
	chunk_t before = chunk_empty;
	bool derived;
	prf_t *prf;

	/* a KDF of OpenSSL's takes several times as long to be made */
	prf = lib->crypto->create_prf(lib->crypto, alg);
	size = prf ? prf->get_block_size(prf) : 0;
	derived = size && size <= sizeof(block) && prf->set_key(prf, key);
	while (derived && done < BTNS_BINDING_LEN)
	{
		derived = prf->get_bytes(prf, before, NULL) &&
				  prf->get_bytes(prf, seed, NULL) &&
				  prf->get_bytes(prf, chunk_from_thing(counter), block);
		if (derived)
		{
			size = min(size, BTNS_BINDING_LEN - done);
			memcpy(out + done, block, size);
			done += size;
			before = chunk_create(block, prf->get_block_size(prf));
			counter++;
		}
	}
	memwipe(block, sizeof(block));
	DESTROY_IF(prf);
	return derived;
}

/**
 * Compute the unique binding from its seed. SK_d goes nowhere else.
 */
static bool derive_binding(ike_sa_t *ike_sa, chunk_t seed, uint8_t *out)
{
	keymat_v2_t *keymat = (keymat_v2_t*)ike_sa->get_keymat(ike_sa);
	pseudo_random_function_t alg;
	chunk_t skd;

	/* a view, of the key after any PPK */
	alg = keymat->get_skd(keymat, &skd);
	return skd.len && btns_prf_plus(alg, skd, seed, out);
}

/**
 * Have it told that a peer came.
 */
static void tell_up(private_btns_channels_t *this, ike_sa_t *ike_sa)
{
	btns_sa_peer_up(this->core, ike_sa->get_unique_id(ike_sa));
	this->worker->tell(this->worker);
}

/**
 * All of IKE_AUTH is there: compute the unique binding.
 */
static void finish(private_btns_channels_t *this, ike_sa_t *ike_sa)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);
	uint8_t seed[BTNS_SEED_LEN], value[BTNS_BINDING_LEN];
	bool derived;

	if (btns_sa_take_seed(this->core, sa, seed) == BTNS_STATUS_OK)
	{
		derived = derive_binding(ike_sa, chunk_from_thing(seed), value);
		btns_sa_unique(this->core, sa, derived ? value : NULL);
	}
	tell_up(this, ike_sa);
}

/**
 * TRUE if a message is of the IKE_SA that a hook is called with: that is the one
 * which the thread has in its hands, which may be another one when a new IKE_SA
 * is initiated.
 */
static bool is_of(message_t *message, ike_sa_t *ike_sa)
{
	ike_sa_id_t *id = message->get_ike_sa_id(message), *own;

	if (!id || !ike_sa || ike_sa->get_version(ike_sa) != IKEV2)
	{
		return FALSE;
	}
	own = ike_sa->get_id(ike_sa);
	return id->get_initiator_spi(id) == own->get_initiator_spi(own);
}

/**
 * Hand the octets of an IKE_SA_INIT message to the core.
 */
static void copy_message(private_btns_channels_t *this, ike_sa_t *ike_sa,
						 message_t *message, bool incoming)
{
	btns_bytes_t octets = btns_bytes(message->get_packet_data(message));
	ike_sa_id_t *id = message->get_ike_sa_id(message);

	if (!incoming && message->get_request(message))
	{	/* whatever IKE_SA the hook is called with */
		btns_init_request(this->core, be64toh(id->get_initiator_spi(id)),
						  octets);
	}
	else if (is_of(message, ike_sa))
	{
		btns_sa_real_message(this->core, ike_sa->get_unique_id(ike_sa),
							 message->get_request(message), octets);
	}
}

/**
 * Hand to the core what an IKE_INTERMEDIATE message adds to the transcript.
 */
static void follow_intermediate(private_btns_channels_t *this,
								ike_sa_t *ike_sa, message_t *message,
								bool incoming)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);
	bool request = message->get_request(message);
	uint8_t last[BTNS_PRF_MAX];
	chunk_t value;
	size_t len;

	btns_sa_last_int_auth(this->core, sa, request, last, &len);
	if (!btns_int_auth(ike_sa->get_keymat(ike_sa), message, incoming,
					   chunk_create(last, len), &value))
	{
		value = chunk_empty;
	}
	btns_sa_int_auth(this->core, sa, request, message->get_message_id(message),
					 btns_bytes(value));
	chunk_free(&value);
}

METHOD(listener_t, message_, bool,
	private_btns_channels_t *this, ike_sa_t *ike_sa, message_t *message,
	bool incoming, bool plain)
{
	switch ((u_int)message->get_exchange_type(message))
	{
		case IKE_SA_INIT:
			/* what comes in has passed the check of message IDs once it is
			 * called plain, and what goes out has octets once it is not */
			if (incoming == plain)
			{
				copy_message(this, ike_sa, message, incoming);
			}
			break;
		case EXCHANGE_IKE_INTERMEDIATE:
			if (incoming == plain && is_of(message, ike_sa))
			{
				follow_intermediate(this, ike_sa, message, incoming);
			}
			break;
		case IKE_AUTH:
			if (plain && is_of(message, ike_sa))
			{
				copy_bodies(this, ike_sa, message);
				if (!incoming && !message->get_request(message) &&
					ike_sa->get_state(ike_sa) == IKE_ESTABLISHED)
				{
					finish(this, ike_sa);
				}
			}
			break;
		default:
			break;
	}
	return TRUE;
}

/**
 * How a round was authenticated.
 *
 * @param flagged		by a peer whom nobody knows
 * @param null			if by a MAC, that has nobody's key
 */
static btns_method_t get_method(auth_cfg_t *auth, bool flagged, bool null)
{
	certificate_t *cert;

	switch ((uintptr_t)auth->get(auth, AUTH_RULE_AUTH_CLASS))
	{
		case AUTH_CLASS_PUBKEY:
		case AUTH_CLASS_ANY:
			if (flagged)
			{
				return BTNS_METHOD_BTNS;
			}
			cert = auth->get(auth, AUTH_RULE_SUBJECT_CERT);
			return cert && cert->get_type(cert) != CERT_TRUSTED_PUBKEY ?
									BTNS_METHOD_CERTIFICATE :
									BTNS_METHOD_PUBLIC_KEY;
		case AUTH_CLASS_PSK:
			return null ? BTNS_METHOD_NULL : BTNS_METHOD_PSK;
		case AUTH_CLASS_EAP:
			return BTNS_METHOD_EAP;
		default:
			return BTNS_METHOD_UNKNOWN;
	}
}

/**
 * TRUE if a side has signed with the key of its certificate.
 */
static bool has_signed(btns_method_t method)
{
	return method == BTNS_METHOD_CERTIFICATE ||
		   method == BTNS_METHOD_PUBLIC_KEY;
}

/**
 * The key in a certificate of the peer's, as it is.
 */
static chunk_t encode_key(certificate_t *cert)
{
	chunk_t spki = chunk_empty;
	public_key_t *public;

	public = cert->get_public_key(cert);
	if (public)
	{
		if (!public->get_encoding(public, PUBKEY_SPKI_ASN1_DER, &spki))
		{
			spki = chunk_empty;
		}
		public->destroy(public);
	}
	return spki;
}

/**
 * Encodings of a round's certificates, allocated, empty if there is none.
 */
typedef struct {

	/**
	 * SubjectPublicKeyInfo
	 */
	chunk_t key;

	/**
	 * X.509 certificate of that key
	 */
	chunk_t certificate;

	/**
	 * X.509 certificate that it was validated to
	 */
	chunk_t trust_anchor;

} encodings_t;

/**
 * Free what is allocated.
 */
static void encodings_free(encodings_t *this)
{
	chunk_free(&this->key);
	chunk_free(&this->certificate);
	chunk_free(&this->trust_anchor);
}

/**
 * Encode a certificate that applications can do something with.
 *
 * @param cert			certificate, may be NULL
 * @return				allocated, empty if it is no X.509 certificate
 */
static chunk_t encode_certificate(certificate_t *cert)
{
	chunk_t encoding;

	if (!cert || cert->get_type(cert) != CERT_X509 ||
		!cert->get_encoding(cert, CERT_ASN1_DER, &encoding))
	{
		return chunk_empty;
	}
	return encoding;
}

/**
 * Encode the certificates that the peer's round was validated with.
 */
static void encode_chain(auth_cfg_t *auth, encodings_t *encodings)
{
	certificate_t *cert, *anchor;

	cert = auth->get(auth, AUTH_RULE_SUBJECT_CERT);
	anchor = auth->get(auth, AUTH_RULE_CA_CERT);
	if (!anchor && !auth->get(auth, AUTH_RULE_IM_CERT))
	{	/* nobody has issued it for us, so it is trusted itself */
		anchor = cert;
	}
	encodings->certificate = encode_certificate(cert);
	encodings->trust_anchor = encode_certificate(anchor);
}

/**
 * Look at the rounds of a side.
 *
 * @param encodings		to be freed with encodings_free()
 */
static void describe_side(private_btns_channels_t *this, ike_sa_t *ike_sa,
						  bool local, btns_side_t *side, encodings_t *encodings)
{
	bool flagged = !local && btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa));
	enumerator_t *enumerator;
	auth_cfg_t *auth, *last = NULL;
	certificate_t *cert;
	btns_method_t method;
	bool null;

	memset(side, 0, sizeof(*side));
	memset(encodings, 0, sizeof(*encodings));
	enumerator = ike_sa->create_auth_cfg_enumerator(ike_sa, local);
	while (enumerator->enumerate(enumerator, &auth))
	{
		null = local && btns_null_is_on(this->core) &&
			   btns_id_null_is(auth->get(auth, AUTH_RULE_IDENTITY));
		method = get_method(auth, flagged, null || flagged);
		if (side->rounds++ && method != side->method)
		{
			method = BTNS_METHOD_MULTIPLE;
		}
		side->method = method;
		last = auth;
	}
	cert = last ? last->get(last, AUTH_RULE_SUBJECT_CERT) : NULL;
	if (side->rounds == 1 && cert && has_signed(side->method))
	{
		if (!local)
		{
			encodings->key = encode_key(cert);
		}
		else if (!this->own_keys->get(this->own_keys, cert,
									  BTNS_ENCODING_SPKI, &encodings->key))
		{
			encodings->key = chunk_empty;
		}
		if (!local && btns_keeps_certificates(this->core))
		{
			encode_chain(last, encodings);
		}
	}
	enumerator->destroy(enumerator);
	side->key = btns_bytes(encodings->key);
}

/**
 * Tell the core how an IKE_SA was authenticated.
 */
static void tell_root(private_btns_channels_t *this, ike_sa_t *ike_sa)
{
	char authorized[BTNS_TEXT_MAX] = "";
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	btns_root_t root = {
		.ike_version = ike_sa->get_version(ike_sa),
		.connection = cfg ? cfg->get_name(cfg) : "",
		.authorized_id = authorized,
		.established = time(NULL),
	};
	encodings_t local, peer;

	if (!btns_pad_is_flagged(cfg))
	{
		snprintf(authorized, sizeof(authorized), "%Y",
				 ike_sa->get_other_eap_id(ike_sa));
	}
	describe_side(this, ike_sa, TRUE, &root.local, &local);
	describe_side(this, ike_sa, FALSE, &root.peer, &peer);
	root.certificate = btns_bytes(peer.certificate);
	root.trust_anchor = btns_bytes(peer.trust_anchor);
	btns_sa_root(this->core, ike_sa->get_unique_id(ike_sa), &root);
	encodings_free(&local);
	encodings_free(&peer);
}

/**
 * Tell the core where the packets of an IKE_SA go.
 */
static void tell_outer(private_btns_channels_t *this, ike_sa_t *ike_sa,
					   host_t *local, host_t *remote)
{
	btns_outer_t outer = {
		.local_port = local->get_port(local),
		.remote_port = remote->get_port(remote),
		.local_nat = ike_sa->has_condition(ike_sa, COND_NAT_HERE),
		.remote_nat = ike_sa->has_condition(ike_sa, COND_NAT_THERE),
	};

	btns_addr_from_host(local, &outer.local);
	btns_addr_from_host(remote, &outer.remote);
	btns_sa_outer(this->core, ike_sa->get_unique_id(ike_sa), &outer);
}

METHOD(listener_t, authorize, bool,
	private_btns_channels_t *this, ike_sa_t *ike_sa, bool final, bool *success)
{
	if (ike_sa && final && *success)
	{
		tell_root(this, ike_sa);
	}
	return TRUE;
}

METHOD(listener_t, ike_updown, bool,
	private_btns_channels_t *this, ike_sa_t *ike_sa, bool up)
{
	ike_sa_id_t *id;

	if (ike_sa && up)
	{
		id = ike_sa->get_id(ike_sa);
		tell_outer(this, ike_sa, ike_sa->get_my_host(ike_sa),
				   ike_sa->get_other_host(ike_sa));
		if (ike_sa->get_version(ike_sa) != IKEV2)
		{
			tell_root(this, ike_sa);
			tell_up(this, ike_sa);
		}
		else if (id->is_initiator(id))
		{
			finish(this, ike_sa);
		}
	}
	return TRUE;
}

METHOD(listener_t, ike_rekey, bool,
	private_btns_channels_t *this, ike_sa_t *old, ike_sa_t *new)
{
	if (old && new)
	{
		tell_outer(this, new, new->get_my_host(new), new->get_other_host(new));
	}
	return TRUE;
}

METHOD(listener_t, ike_update, bool,
	private_btns_channels_t *this, ike_sa_t *ike_sa, host_t *local,
	host_t *remote)
{
	if (ike_sa)
	{
		tell_outer(this, ike_sa, local, remote);
	}
	return TRUE;
}

METHOD(listener_t, ike_state_change, bool,
	private_btns_channels_t *this, ike_sa_t *ike_sa, ike_sa_state_t state)
{
	if (ike_sa && state == IKE_DESTROYING)
	{
		this->worker->tell(this->worker);
	}
	return TRUE;
}

METHOD(listener_t, child_state_change, bool,
	private_btns_channels_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	child_sa_state_t state)
{
	btns_algorithms_t algorithms;
	btns_child_t child = {
		.child = child_sa->get_unique_id(child_sa),
	};

	if (ike_sa && state == CHILD_INSTALLED)
	{
		btns_describe_channel(child_sa, &child, &algorithms);
		btns_child_installed(this->core, ike_sa->get_unique_id(ike_sa),
							 &child);
	}
	return TRUE;
}

/**
 * TRUE if no other condition than its selectors decides whether a packet is for
 * a CHILD_SA.
 */
static bool has_plain_policies(child_sa_t *child_sa)
{
	child_cfg_t *config = child_sa->get_config(child_sa);
	mark_t in = child_sa->get_mark(child_sa, TRUE);
	mark_t out = child_sa->get_mark(child_sa, FALSE);

	return !in.value && !in.mask && !out.value && !out.mask &&
		   !child_sa->get_if_id(child_sa, TRUE) &&
		   !child_sa->get_if_id(child_sa, FALSE) &&
		   !child_sa->get_label(child_sa) && !config->get_interface(config) &&
		   !config->has_option(config, OPT_NO_POLICIES);
}

/**
 * Name an algorithm and the size of its key.
 */
static void name_algorithm(char name[BTNS_ALGORITHM_MAX], enum_name_t *names,
						   uint16_t alg, uint16_t key_size)
{
	if (key_size)
	{
		snprintf(name, BTNS_ALGORITHM_MAX, "%N-%u", names, alg, key_size);
	}
	else
	{
		snprintf(name, BTNS_ALGORITHM_MAX, "%N", names, alg);
	}
}

/*
 * Described in header.
 */
void btns_describe_channel(child_sa_t *child_sa, btns_child_t *child,
						   btns_algorithms_t *names)
{
	child_cfg_t *config = child_sa->get_config(child_sa);
	proposal_t *proposal = child_sa->get_proposal(child_sa);
	bool ah = child_sa->get_protocol(child_sa) == PROTO_AH;
	uint16_t alg, key_size;

	names->encryption[0] = names->integrity[0] = '\0';
	if (proposal &&
		proposal->get_algorithm(proposal, ENCRYPTION_ALGORITHM, &alg,
								&key_size) && alg != ENCR_UNDEFINED)
	{
		name_algorithm(names->encryption, encryption_algorithm_names, alg,
					   key_size);
		child->confidentiality = !ah && alg != ENCR_NULL &&
								 alg != ENCR_NULL_AUTH_AES_GMAC;
		child->integrity = encryption_algorithm_is_aead(alg);
	}
	if (proposal &&
		proposal->get_algorithm(proposal, INTEGRITY_ALGORITHM, &alg,
								&key_size) && alg != AUTH_UNDEFINED)
	{
		name_algorithm(names->integrity, integrity_algorithm_names, alg,
					   key_size);
		child->integrity = TRUE;
	}
	switch (child_sa->get_mode(child_sa))
	{
		case MODE_TRANSPORT:
			child->mode = BTNS_MODE_TRANSPORT;
			break;
		case MODE_TUNNEL:
			child->mode = BTNS_MODE_TUNNEL;
			break;
		case MODE_BEET:
			child->mode = BTNS_MODE_BEET;
			break;
		default:
			child->mode = BTNS_MODE_NONE;
			break;
	}
	child->name = config->get_name(config);
	child->encryption_algorithm = names->encryption;
	child->integrity_algorithm = names->integrity;
	child->priority = config->get_manual_prio(config);
	child->conditional = !has_plain_policies(child_sa);
}

METHOD(btns_channels_t, destroy, void,
	private_btns_channels_t *this)
{
	this->own_keys->destroy(this->own_keys);
	free(this);
}

/*
 * Described in header.
 */
btns_channels_t *btns_channels_create(btns_core_t *core, btns_worker_t *worker)
{
	private_btns_channels_t *this;

	INIT(this,
		.public = {
			.listener = {
				.message = _message_,
				.authorize = _authorize,
				.ike_updown = _ike_updown,
				.ike_rekey = _ike_rekey,
				.ike_update = _ike_update,
				.ike_state_change = _ike_state_change,
				.child_state_change = _child_state_change,
			},
			.destroy = _destroy,
		},
		.core = core,
		.worker = worker,
		.own_keys = btns_own_keys_create(),
	);
	return &this->public;
}
