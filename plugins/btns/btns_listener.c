/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_listener.h"
#include "btns_cert.h"
#include "btns_certreq.h"
#include "btns_channels.h"
#include "btns_children.h"
#include "btns_narrow.h"
#include "btns_convert.h"
#include "btns_id_null.h"
#include "btns_own_keys.h"

#include <time.h>

#include <collections/array.h>
#include <encoding/payloads/auth_payload.h>
#include <encoding/payloads/cert_payload.h>
#include <encoding/payloads/configuration_attribute.h>
#include <encoding/payloads/cp_payload.h>
#include <encoding/payloads/id_payload.h>
#include <encoding/payloads/notify_payload.h>

/**
 * CERT payloads that charon accepts in one message
 */
#define MAX_CERT_PAYLOADS_SENT 8

/**
 * Virtual IPs of a peer that are looked at
 */
#define MAX_HOSTS 8

typedef struct private_btns_listener_t private_btns_listener_t;

/**
 * Private data of a btns_listener_t.
 */
struct private_btns_listener_t {

	/**
	 * Public interface
	 */
	btns_listener_t public;

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

/**
 * Callback of the core: a BTNS IKE_SA has to go.
 */
static void evict_cb(void *user, uint32_t sa, btns_reason_t reason)
{
	private_btns_listener_t *this = user;

	this->worker->evict(this->worker, sa, reason);
}

/**
 * Classify the AUTH payload of a message.
 */
static btns_auth_t get_auth(message_t *message)
{
	auth_payload_t *auth;

	auth = (auth_payload_t*)message->get_payload(message, PLV2_AUTH);
	if (!auth)
	{
		return BTNS_AUTH_EAP;
	}
	switch ((u_int)auth->get_auth_method(auth))
	{
		case AUTH_RSA:
		case AUTH_ECDSA_256:
		case AUTH_ECDSA_384:
		case AUTH_ECDSA_521:
		case AUTH_DS:
			return BTNS_AUTH_SIGNATURE;
		case AUTH_PSK:
			return BTNS_AUTH_PSK;
		case AUTH_NULL:
			return BTNS_AUTH_NULL;
		default:
			return BTNS_AUTH_OTHER;
	}
}

/**
 * Hand the CERT payloads of an IKE_AUTH message to the core.
 */
static void copy_auth_message(private_btns_listener_t *this, ike_sa_t *ike_sa,
							  message_t *message, id_payload_t *id_payload)
{
	btns_cert_t certs[BTNS_CERTS_MAX];
	btns_auth_message_t copy = {
		.auth = get_auth(message),
		.certs = certs,
		.another_follows =
					message->get_notify(message, ANOTHER_AUTH_FOLLOWS) != NULL,
		.requested = btns_certreq_take(ike_sa, message),
	};
	char asserted[BTNS_ID_LEN] = "";
	enumerator_t *enumerator;
	identification_t *id;
	payload_t *payload;
	chunk_t *data;

	btns_addr_from_host(message->get_source(message), &copy.source);
	id = id_payload->get_identification(id_payload);
	if (id)
	{
		if (!btns_id_null_is(id))
		{
			snprintf(asserted, sizeof(asserted), "%Y", id);
		}
		id->destroy(id);
	}
	copy.asserted_id = asserted;

	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (payload->get_type(payload) != PLV2_CERTIFICATE)
		{
			continue;
		}
		copy.cert_total++;
		if (copy.cert_count < countof(certs))
		{
			cert_payload_t *cert = (cert_payload_t*)payload;

			data = payload_get_field(payload, CHUNK_DATA, 0);
			certs[copy.cert_count].encoding = cert->get_cert_encoding(cert);
			certs[copy.cert_count++].body = btns_bytes(data ? *data
															: chunk_empty);
		}
	}
	enumerator->destroy(enumerator);
	btns_sa_message(this->core, ike_sa->get_unique_id(ike_sa), &copy);
}

/**
 * An anonymous responder may not send us elsewhere.
 */
static void remove_redirect(private_btns_listener_t *this, message_t *message)
{
	notify_payload_t *notify;
	enumerator_t *enumerator;
	payload_t *payload;

	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (payload->get_type(payload) == PLV2_NOTIFY)
		{
			notify = (notify_payload_t*)payload;
			if (notify->get_notify_type(notify) == REDIRECT)
			{
				if (btns_refused(this->core, BTNS_REASON_REDIRECT,
								 time_monotonic(NULL)))
				{
					DBG1(DBG_IKE, "btns: ignoring a redirection by a BTNS "
						 "peer");
				}
				message->remove_payload_at(message, enumerator);
				notify->destroy(notify);
			}
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * Tell the core that an IKE_SA begins.
 */
static void begin(private_btns_listener_t *this, ike_sa_t *ike_sa,
				  message_t *message)
{
	ike_sa_id_t *id = ike_sa->get_id(ike_sa);
	btns_init_t init = {
		.role = id->is_initiator(id) ? BTNS_ROLE_INITIATOR
									 : BTNS_ROLE_RESPONDER,
		.spi_i = be64toh(id->get_initiator_spi(id)),
		.spi_r = be64toh(id->get_responder_spi(id)),
		.requested = btns_certreq_take(ike_sa, message),
	};

	btns_addr_from_host(message->get_source(message), &init.source);
	btns_sa_init(this->core, ike_sa->get_unique_id(ike_sa), &init);
	if (btns_is_crowded(this->core, charon->ike_sa_manager->get_count(
													charon->ike_sa_manager)))
	{
		this->worker->shed(this->worker);
	}
}

/**
 * Ignore a request for a CHILD_SA if the peer sends too many: charon has not
 * answered it then, so the peer sends it again.
 */
static void limit_requests(private_btns_listener_t *this, ike_sa_t *ike_sa,
						   message_t *message)
{
	btns_reason_t reason;

	if (message->get_request(message))
	{
		reason = btns_sa_may_create_child(this->core,
										  ike_sa->get_unique_id(ike_sa),
										  btns_now());
		if (reason != BTNS_REASON_NONE &&
			btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
		{
			this->worker->reject(this->worker, ike_sa, reason);
			message->set_exchange_type(message, EXCHANGE_TYPE_UNDEFINED);
		}
	}
}

/**
 * TRUE if an attribute is a virtual IP that nobody else has.
 */
static bool is_free_vip(private_btns_listener_t *this,
						configuration_attribute_t *attribute)
{
	chunk_t value = attribute->get_chunk(attribute);
	btns_addr_t addr;
	host_t *host = NULL;
	bool found;

	switch (attribute->get_type(attribute))
	{
		case INTERNAL_IP4_ADDRESS:
			host = host_create_from_chunk(AF_INET, value, 0);
			break;
		case INTERNAL_IP6_ADDRESS:
			/* followed by the length of a prefix */
			value.len = min(value.len, 16);
			host = host_create_from_chunk(AF_INET6, value, 0);
			break;
		default:
			break;
	}
	found = host && btns_addr_from_host(host, &addr) &&
			!btns_is_reserved(this->core, &addr);
	DESTROY_IF(host);
	return found;
}

/**
 * An anonymous responder may give us virtual IPs, which charon puts on an
 * interface before there is any CHILD_SA: not somebody else's, and nothing else
 * at all, DNS servers for instance.
 */
static void clean_configuration(private_btns_listener_t *this,
								ike_sa_t *ike_sa, message_t *message)
{
	configuration_attribute_t *attribute;
	enumerator_t *attributes;
	cp_payload_t *cp, *clean;
	enumerator_t *enumerator;
	payload_t *payload;
	bool refused = FALSE;

	clean = cp_payload_create_type(PLV2_CONFIGURATION, CFG_REPLY);
	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (payload->get_type(payload) != PLV2_CONFIGURATION)
		{
			continue;
		}
		cp = (cp_payload_t*)payload;
		attributes = cp->create_attribute_enumerator(cp);
		while (attributes->enumerate(attributes, &attribute))
		{
			if (is_free_vip(this, attribute))
			{
				clean->add_attribute(clean,
						configuration_attribute_create_chunk(
								PLV2_CONFIGURATION_ATTRIBUTE,
								attribute->get_type(attribute),
								attribute->get_chunk(attribute)));
			}
			else
			{
				refused = TRUE;
			}
		}
		attributes->destroy(attributes);
		message->remove_payload_at(message, enumerator);
		payload->destroy(payload);
	}
	enumerator->destroy(enumerator);
	message->add_payload(message, (payload_t*)clean);
	if (refused)
	{
		this->worker->reject(this->worker, ike_sa, BTNS_REASON_CONFIGURATION);
	}
}

/**
 * Look at a message from the peer.
 */
static void incoming(private_btns_listener_t *this, ike_sa_t *ike_sa,
					 message_t *message)
{
	payload_t *id_payload;

	switch (message->get_exchange_type(message))
	{
		case IKE_SA_INIT:
			begin(this, ike_sa, message);
			break;
		case CREATE_CHILD_SA:
			limit_requests(this, ike_sa, message);
			break;
		case IKE_AUTH:
			id_payload = message->get_payload(message,
								message->get_request(message) ?
									PLV2_ID_INITIATOR : PLV2_ID_RESPONDER);
			if (id_payload)
			{
				copy_auth_message(this, ike_sa, message,
								  (id_payload_t*)id_payload);
			}
			break;
		default:
			break;
	}
	if (message->get_notify(message, REDIRECT) &&
		btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		remove_redirect(this, message);
	}
	if (!message->get_request(message) &&
		message->get_payload(message, PLV2_CONFIGURATION) &&
		btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		clean_configuration(this, ike_sa, message);
	}
}

/**
 * Count the CERT payloads of a message.
 */
static u_int count_certs(message_t *message, bool *x509)
{
	enumerator_t *enumerator;
	cert_payload_t *cert;
	payload_t *payload;
	u_int count = 0;

	*x509 = FALSE;
	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (payload->get_type(payload) == PLV2_CERTIFICATE)
		{
			cert = (cert_payload_t*)payload;
			switch ((u_int)cert->get_cert_encoding(cert))
			{
				case ENC_X509_SIGNATURE:
				case ENC_X509_HASH_AND_URL:
					*x509 = TRUE;
					break;
				default:
					break;
			}
			count++;
		}
	}
	enumerator->destroy(enumerator);
	return count;
}

/**
 * Add our bare key, in what the core chooses of the encodings that it has.
 */
static void add_key(private_btns_listener_t *this, ike_sa_t *ike_sa,
					message_t *message, certificate_t *cert)
{
	u_int encodings[BTNS_ENCODINGS_MAX];
	size_t count, i;
	chunk_t body;

	count = btns_sa_encodings_to_send(this->core,
									  ike_sa->get_unique_id(ike_sa), encodings);
	for (i = 0; i < count; i++)
	{
		if (this->own_keys->get(this->own_keys, cert, encodings[i], &body))
		{
			message->add_payload(message, (payload_t*)
						cert_payload_create_custom(PLV2_CERTIFICATE,
												   encodings[i], body));
		}
	}
}

/**
 * Ask for a raw public key (RFC 7670, section 3): a BTNS peer in IKE_AUTH, and
 * in an IKE_SA_INIT response whoever may become one.
 */
static void ask_for_key(private_btns_listener_t *this, ike_sa_t *ike_sa,
						message_t *message)
{
	u_int encodings[BTNS_ENCODINGS_MAX];
	btns_role_t role = BTNS_ROLE_RESPONDER;
	payload_t *certreq;
	size_t count, i;

	if (message->get_request(message))
	{
		if (!message->get_payload(message, PLV2_ID_INITIATOR) ||
			!btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
		{
			return;
		}
		role = BTNS_ROLE_INITIATOR;
	}
	count = btns_encodings_to_request(this->core, role, encodings);
	for (i = 0; i < count; i++)
	{
		certreq = btns_certreq_create(encodings[i]);
		if (certreq)
		{
			message->add_payload(message, certreq);
		}
	}
}

/**
 * Show our bare key in IKE_AUTH, if we authenticate with a key that charon shows no
 * certificate for, or to a BTNS peer in any case (RFC 5386, section 2).
 */
static void show_key(private_btns_listener_t *this, ike_sa_t *ike_sa,
					 message_t *message)
{
	certificate_t *cert;
	auth_cfg_t *auth;
	bool x509;

	if (get_auth(message) != BTNS_AUTH_SIGNATURE)
	{
		return;
	}
	auth = ike_sa->get_auth_cfg(ike_sa, TRUE);
	cert = auth->get(auth, AUTH_RULE_SUBJECT_CERT);
	if (!cert ||
		count_certs(message, &x509) + 2 > MAX_CERT_PAYLOADS_SENT)
	{
		return;
	}
	if (cert->get_type(cert) != CERT_TRUSTED_PUBKEY &&
		!btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		return;
	}
	add_key(this, ike_sa, message, cert);
}

/**
 * Look at a message to the peer, before it is encoded.
 */
static void outgoing(private_btns_listener_t *this, ike_sa_t *ike_sa,
					 message_t *message)
{
	switch (message->get_exchange_type(message))
	{
		case IKE_SA_INIT:
			/* one that goes on: no cookie, no other group */
			if (!message->get_request(message) &&
				message->get_payload(message, PLV2_SECURITY_ASSOCIATION))
			{
				ask_for_key(this, ike_sa, message);
			}
			break;
		case IKE_AUTH:
			if (message->get_request(message))
			{
				ask_for_key(this, ike_sa, message);
			}
			show_key(this, ike_sa, message);
			break;
		default:
			break;
	}
}

METHOD(listener_t, message_, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, message_t *message,
	bool is_incoming, bool plain)
{
	if (ike_sa && plain && ike_sa->get_version(ike_sa) == IKEV2)
	{
		if (is_incoming)
		{
			incoming(this, ike_sa, message);
		}
		else
		{
			outgoing(this, ike_sa, message);
		}
	}
	return TRUE;
}

/**
 * Take away reserved groups that somebody else has granted: only we vouch for
 * them.
 */
static void strip_groups(auth_cfg_t *auth)
{
	enumerator_t *enumerator;
	identification_t *group;
	auth_rule_t rule;
	chunk_t name;

	enumerator = auth->create_enumerator(auth);
	while (enumerator->enumerate(enumerator, &rule, &group))
	{
		if (rule == AUTH_RULE_GROUP)
		{
			name = group->get_encoding(group);
			if (btns_is_reserved_name(btns_bytes(name)) ||
				(name.len == 4 && strncasecmp((char*)name.ptr, "btns", 4) == 0))
			{
				DBG1(DBG_CFG, "btns: ignoring group '%Y' that is not ours to "
					 "be granted by others", group);
				/* nothing can be removed; any other group would satisfy a
				 * connection that wants any, but no connection can require
				 * a policy without a name */
				auth->replace(auth, enumerator, AUTH_RULE_CERT_POLICY,
							  strdup(""));
			}
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * What the core calls a BTNS peer as an identity.
 */
static identification_t *identity_create(const char *identity)
{
	return identification_create_from_encoding(ID_KEY_ID,
											   chunk_from_str((char*)identity));
}

/**
 * Make the key the peer's identity, in all three parts: other_id,
 * AUTH_RULE_IDENTITY, and the subject of the verified certificate, which has it
 * from the start. Uniqueness, leases, accounting and logs see it from here on.
 * A NULL peer has no certificate, and an identity that no other IKE_SA has.
 */
static void coerce_identity(ike_sa_t *ike_sa, auth_cfg_t *auth,
							const btns_grant_t *grant)
{
	if (grant->null)
	{
		DBG1(DBG_IKE, "btns: that was NULL authentication: nobody knows who the "
			 "peer at %H is, it is %s here, whatever '%Y' says",
			 ike_sa->get_other_host(ike_sa), grant->identity,
			 ike_sa->get_other_id(ike_sa));
	}
	ike_sa->set_other_id(ike_sa, identity_create(grant->identity));
	auth->add(auth, AUTH_RULE_IDENTITY, identity_create(grant->identity));

	if (grant->null)
	{
		auth->add(auth, AUTH_RULE_GROUP,
				  identification_create_from_string("btns:null"));
		return;
	}
	auth->add(auth, AUTH_RULE_GROUP, identification_create_from_string("btns"));
	auth->add(auth, AUTH_RULE_GROUP,
			  identification_create_from_string((char*)grant->identity));
}

/**
 * Check that all parts of the identity are what the core calls the peer.
 */
static bool is_coerced(private_btns_listener_t *this, ike_sa_t *ike_sa)
{
	enumerator_t *enumerator;
	identification_t *id;
	certificate_t *cert = NULL;
	auth_cfg_t *auth;
	char identity[BTNS_KEY_ID_LEN];
	uint32_t sa = ike_sa->get_unique_id(ike_sa);
	btns_key_t key;
	bool coerced, has_key;

	if (btns_sa_identity(this->core, sa, identity) != BTNS_STATUS_OK)
	{
		return FALSE;
	}
	has_key = btns_sa_verified_key(this->core, sa, &key) == BTNS_STATUS_OK;
	enumerator = ike_sa->create_auth_cfg_enumerator(ike_sa, FALSE);
	if (enumerator->enumerate(enumerator, &auth))
	{
		cert = auth->get(auth, AUTH_RULE_SUBJECT_CERT);
	}
	enumerator->destroy(enumerator);

	id = identity_create(identity);
	coerced = id->equals(id, ike_sa->get_other_id(ike_sa)) &&
			  id->equals(id, ike_sa->get_other_eap_id(ike_sa)) &&
			  (has_key ? cert && id->equals(id, cert->get_subject(cert))
					   : !cert);
	id->destroy(id);
	return coerced;
}

/**
 * TRUE if the peer asserts an identity that looks like a PUBLICKEY ID: only we
 * give them.
 */
static bool asserts_reserved_name(ike_sa_t *ike_sa, auth_cfg_t *auth)
{
	identification_t *ids[] = {
		ike_sa->get_other_id(ike_sa),
		ike_sa->get_other_eap_id(ike_sa),
		auth->get(auth, AUTH_RULE_EAP_IDENTITY),
		auth->get(auth, AUTH_RULE_XAUTH_IDENTITY),
	};
	int i;

	for (i = 0; i < countof(ids); i++)
	{
		if (ids[i] &&
			btns_is_reserved_name(btns_bytes(ids[i]->get_encoding(ids[i]))))
		{
			return TRUE;
		}
	}
	return FALSE;
}

METHOD(listener_t, authorize, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, bool final, bool *success)
{
	btns_grant_t grant = {};
	auth_class_t class;
	ike_sa_id_t *id;
	peer_cfg_t *cfg;
	auth_cfg_t *auth;
	uint32_t sa;

	if (!ike_sa)
	{
		*success = FALSE;
		return TRUE;
	}
	sa = ike_sa->get_unique_id(ike_sa);
	cfg = ike_sa->get_peer_cfg(ike_sa);
	auth = ike_sa->get_auth_cfg(ike_sa, FALSE);
	class = (uintptr_t)auth->get(auth, AUTH_RULE_AUTH_CLASS);
	id = ike_sa->get_id(ike_sa);
	if (!final)
	{
		strip_groups(auth);
	}
	btns_authorize_t facts = {
		.flag = btns_pad_flag(cfg, NULL),
		.connection = cfg ? cfg->get_name(cfg) : "",
		.pubkey = class == AUTH_CLASS_PUBKEY,
		.psk = class == AUTH_CLASS_PSK,
		.spi_i = be64toh(id->get_initiator_spi(id)),
		.spi_r = be64toh(id->get_responder_spi(id)),
		.rounds_done = btns_count_rounds(ike_sa),
		.verified = btns_cert_fingerprint(auth->get(auth,
													AUTH_RULE_SUBJECT_CERT)),
		.reserved_name =
				!btns_sa_is_btns(this->core, sa) &&
				asserts_reserved_name(ike_sa, auth),
		.final = final,
		.coerced = final && is_coerced(this, ike_sa),
	};
	btns_addr_from_host(ike_sa->get_other_host(ike_sa), &facts.source);

	btns_sa_authorize(this->core, sa, &facts, &grant);
	if (!grant.allowed)
	{
		btns_sa_refuse(this->core, sa, grant.reason);
		*success = FALSE;
	}
	else if (grant.btns && !final)
	{
		coerce_identity(ike_sa, auth, &grant);
	}
	return TRUE;
}

METHOD(listener_t, alert, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, alert_t alert,
	va_list args)
{
	btns_reason_t reason;
	btns_flag_t flag;

	if (ike_sa && alert == ALERT_PEER_AUTH_FAILED)
	{
		flag = btns_pad_flag(ike_sa->get_peer_cfg(ike_sa), NULL);
		reason = btns_sa_take_refusal(this->core,
							ike_sa->get_unique_id(ike_sa),
							flag != BTNS_FLAG_NONE);
		if (flag == BTNS_FLAG_NULL && reason == BTNS_REASON_NOT_SIGNATURE)
		{	/* nor was it asked for one */
			reason = BTNS_REASON_NOT_NULL;
		}
		if (reason != BTNS_REASON_NONE)
		{
			this->worker->reject(this->worker, ike_sa, reason);
		}
	}
	return TRUE;
}

/**
 * Collect the addresses that are a peer's: its own and its virtual IPs.
 */
static size_t collect_hosts(ike_sa_t *ike_sa, host_t *remote,
							btns_addr_t *hosts, size_t max)
{
	enumerator_t *enumerator;
	size_t count = 0;
	host_t *vip;

	if (btns_addr_from_host(remote, &hosts[count]))
	{
		count++;
	}
	enumerator = ike_sa->create_virtual_ip_enumerator(ike_sa, FALSE);
	while (count < max && enumerator->enumerate(enumerator, &vip))
	{
		if (btns_addr_from_host(vip, &hosts[count]))
		{
			count++;
		}
	}
	enumerator->destroy(enumerator);
	return count;
}

/**
 * Tell the core which addresses an authenticated peer holds.
 */
static void update_holds(private_btns_listener_t *this, ike_sa_t *ike_sa,
						 host_t *remote)
{
	btns_addr_t hosts[MAX_HOSTS];
	size_t count;

	count = collect_hosts(ike_sa, remote, hosts, countof(hosts));
	btns_sa_holds(this->core, ike_sa->get_unique_id(ike_sa), hosts, count,
				  evict_cb, this);
}

/**
 * A CHILD_SA as described to the core, and what that points to.
 */
typedef struct {
	btns_child_t child;
	btns_ts_t *local;
	btns_ts_t *remote;
	btns_addr_t hosts[MAX_HOSTS];
} described_t;

/**
 * Describe a CHILD_SA to the core.
 *
 * @return				FALSE if it has selectors that are no addresses
 */
static bool describe_child(ike_sa_t *ike_sa, child_sa_t *child_sa,
						   linked_list_t *local, linked_list_t *remote,
						   described_t *this)
{
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	bool ok;

	memset(this, 0, sizeof(*this));
	this->local = calloc(local->get_count(local) + 1, sizeof(btns_ts_t));
	this->remote = calloc(remote->get_count(remote) + 1, sizeof(btns_ts_t));
	this->child.btns = btns_pad_is_flagged(cfg);
	this->child.connection = cfg ? cfg->get_name(cfg) : "";
	/* a rekeyed CHILD_SA keeps the configuration it came with */
	this->child.unconfigured = this->child.btns &&
					!btns_has_child(ike_sa, child_sa->get_config(child_sa));
	this->child.child = child_sa->get_unique_id(child_sa);
	this->child.present = ike_sa->get_child_count(ike_sa);
	ok = btns_ts_from_list(local, this->local, &this->child.local_count);
	ok = btns_ts_from_list(remote, this->remote,
						   &this->child.remote_count) && ok;
	this->child.local = this->local;
	this->child.remote = this->remote;
	this->child.host_count = collect_hosts(ike_sa,
										   ike_sa->get_other_host(ike_sa),
										   this->hosts, MAX_HOSTS);
	this->child.hosts = this->hosts;
	return ok;
}

static void described_free(described_t *this)
{
	free(this->local);
	free(this->remote);
}

/**
 * Remove selectors from a list.
 *
 * @param left_out		TRUE for each that goes, in the order of the list
 */
static void leave_out(linked_list_t *list, bool *left_out)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;

	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		if (*left_out++)
		{
			list->remove_at(list, enumerator);
			ts->destroy(ts);
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * A stranger asks for selectors of which some would take latched connections:
 * leave these out, if what is left may be its own.
 *
 * @param described		CHILD_SA, described anew
 * @return				TRUE if there is something left
 */
static bool narrow_latched(private_btns_listener_t *this, ike_sa_t *ike_sa,
						   child_sa_t *child_sa, linked_list_t *local,
						   linked_list_t *remote, described_t *described,
						   btns_reason_t *reason)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);
	bool installing = described->child.installing, *locals, *remotes, ok;
	u_int count;

	locals = calloc(described->child.local_count + 1, sizeof(bool));
	remotes = calloc(described->child.remote_count + 1, sizeof(bool));
	ok = locals && remotes &&
		 btns_child_narrow(this->core, sa, &described->child, locals,
						   remotes) == BTNS_STATUS_OK;
	if (ok)
	{
		count = local->get_count(local) + remote->get_count(remote);
		leave_out(local, locals);
		leave_out(remote, remotes);
		count -= local->get_count(local) + remote->get_count(remote);
		described_free(described);
		ok = describe_child(ike_sa, child_sa, local, remote, described);
		described->child.installing = installing;
		ok = btns_child_authorize(this->core, sa, &described->child, evict_cb,
								  this, reason) == BTNS_STATUS_OK && ok;
		if (ok)
		{
			DBG1(DBG_CFG, "btns: %u of the traffic selectors that a stranger "
				 "asks for are left out: connections are latched there", count);
		}
	}
	free(locals);
	free(remotes);
	return ok;
}

/**
 * Empty a list of traffic selectors: this is how a hook says no.
 */
static void empty(linked_list_t *list)
{
	traffic_selector_t *ts;

	while (list->remove_first(list, (void**)&ts) == SUCCESS)
	{
		ts->destroy(ts);
	}
}

/**
 * child_cfg_t.get_manual_prio of charon's own child configurations
 */
static uint32_t (*charons_manual_prio)(child_cfg_t *this);

/**
 * Replaces child_cfg_t.get_manual_prio for children of flagged entries.
 */
static uint32_t weaker_manual_prio(child_cfg_t *this)
{
	return max(charons_manual_prio(this), BTNS_POLICY_PRIORITY);
}

/**
 * Give the policies of a BTNS peer's CHILD_SA a weaker priority than those of
 * authenticated peers. There is no hook for it; charon asks the child
 * configuration, whose methods are its own, when it installs and again when it
 * removes. A trap that is installed already has to be removed with the priority
 * it came with, so children with traps keep theirs.
 */
static void weaken_priority(child_cfg_t *child)
{
	if (((child->get_start_action(child) | child->get_dpd_action(child) |
		  child->get_close_action(child)) & ACTION_TRAP) ||
		child->get_manual_prio == weaker_manual_prio)
	{
		return;
	}
	if (!charons_manual_prio)
	{
		charons_manual_prio = child->get_manual_prio;
	}
	if (child->get_manual_prio == charons_manual_prio)
	{
		child->get_manual_prio = weaker_manual_prio;
	}
}

METHOD(listener_t, narrow, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	narrow_hook_t type, linked_list_t *local, linked_list_t *remote)
{
	btns_reason_t reason = BTNS_REASON_CHILD_NOT_PREFIX;
	described_t described;
	bool ok;

	switch (type)
	{
		case NARROW_RESPONDER:
		case NARROW_RESPONDER_POST:
		case NARROW_INITIATOR_POST_NOAUTH:
		case NARROW_INITIATOR_POST_AUTH:
			break;
		default:
			return TRUE;
	}
	if (!ike_sa)
	{
		empty(local);
		empty(remote);
		return TRUE;
	}
	if (!local->get_count(local) || !remote->get_count(remote))
	{	/* charon refuses on its own */
		return TRUE;
	}
	ok = describe_child(ike_sa, child_sa, local, remote, &described);
	described.child.installing = type != NARROW_RESPONDER;
	/* what is final for an authenticated peer comes with RESPONDER_POST */
	if (described.child.btns || described.child.installing)
	{
		ok = (ok || !described.child.btns) &&
			 btns_child_authorize(this->core, ike_sa->get_unique_id(ike_sa),
								  &described.child, evict_cb, this,
								  &reason) == BTNS_STATUS_OK;
	}
	if (!ok && type == NARROW_RESPONDER && described.child.btns &&
		reason == BTNS_REASON_LATCHED)
	{
		ok = narrow_latched(this, ike_sa, child_sa, local, remote, &described,
							&reason);
	}
	if (described.child.btns)
	{
		if (ok)
		{
			weaken_priority(child_sa->get_config(child_sa));
		}
		else
		{
			empty(local);
			empty(remote);
			this->worker->reject(this->worker, ike_sa, reason);
		}
	}
	described_free(&described);
	return TRUE;
}

/**
 * Check a CHILD_SA that came up, and put it into the core's index.
 *
 * @param old			CHILD_SA that it was rekeyed from, NULL for none
 */
static void child_up(private_btns_listener_t *this, ike_sa_t *ike_sa,
					 child_sa_t *child_sa, child_sa_t *old)
{
	btns_reason_t reason = BTNS_REASON_CHILD_NOT_PREFIX;
	child_cfg_t *config = child_sa->get_config(child_sa);
	linked_list_t *local, *remote;
	btns_algorithms_t algorithms;
	described_t described;
	bool ok;

	local = linked_list_create_from_enumerator(
						child_sa->create_ts_enumerator(child_sa, TRUE));
	remote = linked_list_create_from_enumerator(
						child_sa->create_ts_enumerator(child_sa, FALSE));
	ok = describe_child(ike_sa, child_sa, local, remote, &described);
	btns_describe_channel(child_sa, &described.child, &algorithms);
	described.child.rekeys = old ? old->get_unique_id(old) : 0;
	/* it is one of them now */
	described.child.present--;
	described.child.mode_mismatch = config->get_mode(config) == MODE_TRANSPORT &&
								child_sa->get_mode(child_sa) != MODE_TRANSPORT;
	ok = (ok || !described.child.btns) &&
		 btns_child_up(this->core, ike_sa->get_unique_id(ike_sa),
					   &described.child, evict_cb, this,
					   &reason) == BTNS_STATUS_OK;
	if (!ok && described.child.btns)
	{
		this->worker->evict(this->worker, ike_sa->get_unique_id(ike_sa),
							reason);
	}
	else if (old)
	{
		btns_child_down(this->core, ike_sa->get_unique_id(ike_sa),
						old->get_unique_id(old));
	}
	described_free(&described);
	local->destroy(local);
	remote->destroy(remote);
}

/**
 * A CHILD_SA of a BTNS peer goes: keep when it was last used.
 */
static void note_use(private_btns_listener_t *this, ike_sa_t *ike_sa,
					 child_sa_t *child_sa)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);

	if (btns_sa_is_btns(this->core, sa))
	{
		btns_sa_used(this->core, sa, btns_last_use(child_sa));
	}
}

METHOD(listener_t, child_updown, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	bool up)
{
	if (ike_sa)
	{
		if (up)
		{
			child_up(this, ike_sa, child_sa, NULL);
		}
		else
		{
			note_use(this, ike_sa, child_sa);
			btns_child_down(this->core, ike_sa->get_unique_id(ike_sa),
							child_sa->get_unique_id(child_sa));
		}
	}
	return TRUE;
}

METHOD(listener_t, child_rekey, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, child_sa_t *old,
	child_sa_t *new)
{
	if (ike_sa)
	{
		note_use(this, ike_sa, old);
		child_up(this, ike_sa, new, old);
	}
	return TRUE;
}

METHOD(listener_t, children_migrate, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, ike_sa_id_t *new,
	uint32_t unique)
{
	enumerator_t *enumerator;
	child_sa_t *child_sa;

	if (ike_sa && !new)
	{	/* IKEv1 reauthentication, these are authenticated peers' */
		enumerator = ike_sa->create_child_sa_enumerator(ike_sa);
		while (enumerator->enumerate(enumerator, &child_sa))
		{
			child_up(this, ike_sa, child_sa, NULL);
		}
		enumerator->destroy(enumerator);
	}
	return TRUE;
}

/**
 * Tell the core how to show an IKE_SA that is up.
 */
static void sa_up(private_btns_listener_t *this, ike_sa_t *ike_sa,
				  int64_t since)
{
	ike_sa_id_t *id = ike_sa->get_id(ike_sa);
	btns_addr_t local, remote;

	if (btns_sa_is_btns(this->core, ike_sa->get_unique_id(ike_sa)))
	{
		btns_addr_from_host(ike_sa->get_my_host(ike_sa), &local);
		btns_addr_from_host(ike_sa->get_other_host(ike_sa), &remote);
		btns_sa_up(this->core, ike_sa->get_unique_id(ike_sa),
				   be64toh(id->get_initiator_spi(id)),
				   be64toh(id->get_responder_spi(id)), &local, &remote, since);
	}
	else if (!btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		update_holds(this, ike_sa, ike_sa->get_other_host(ike_sa));
	}
}

METHOD(listener_t, ike_updown, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, bool up)
{
	if (ike_sa && up)
	{
		sa_up(this, ike_sa, time(NULL));
	}
	return TRUE;
}

METHOD(listener_t, ike_rekey, bool,
	private_btns_listener_t *this, ike_sa_t *old, ike_sa_t *new)
{
	if (old && new)
	{
		btns_sa_rekey(this->core, old->get_unique_id(old),
					  new->get_unique_id(new));
		sa_up(this, new, 0);
		this->worker->rekeyed(this->worker, old->get_unique_id(old),
							  new->get_unique_id(new));
		if (btns_pad_is_flagged(new->get_peer_cfg(new)) &&
			!btns_sa_is_btns(this->core, new->get_unique_id(new)))
		{
			this->worker->evict(this->worker, new->get_unique_id(new),
								BTNS_REASON_SA_UNKNOWN);
		}
	}
	return TRUE;
}

/**
 * Take the CHILD_SAs of an IKE_SA out of the kernel at once.
 */
static void destroy_children(private_btns_listener_t *this, ike_sa_t *ike_sa)
{
	enumerator_t *enumerator;
	child_sa_t *child_sa;
	array_t *children;

	children = array_create(0, 0);
	enumerator = ike_sa->create_child_sa_enumerator(ike_sa);
	while (enumerator->enumerate(enumerator, &child_sa))
	{
		array_insert(children, ARRAY_TAIL, child_sa);
	}
	enumerator->destroy(enumerator);

	while (array_remove(children, ARRAY_HEAD, &child_sa))
	{
		btns_child_down(this->core, ike_sa->get_unique_id(ike_sa),
						child_sa->get_unique_id(child_sa));
		ike_sa->destroy_child_sa(ike_sa, child_sa->get_protocol(child_sa),
								 child_sa->get_spi(child_sa, TRUE));
	}
	array_destroy(children);
}

METHOD(listener_t, ike_update, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, host_t *local,
	host_t *remote)
{
	host_t *other;

	if (!ike_sa)
	{
		return TRUE;
	}
	other = ike_sa->get_other_host(ike_sa);
	if (btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		/* ports change with NAT traversal, and before a peer is up its address
		 * is compared in authorize() */
		if (!other->ip_equals(other, remote) &&
			ike_sa->get_state(ike_sa) != IKE_CREATED &&
			ike_sa->get_state(ike_sa) != IKE_CONNECTING)
		{
			destroy_children(this, ike_sa);
			this->worker->evict(this->worker, ike_sa->get_unique_id(ike_sa),
								BTNS_REASON_MOVED);
		}
	}
	else if (ike_sa->get_state(ike_sa) == IKE_ESTABLISHED)
	{
		update_holds(this, ike_sa, remote);
	}
	return TRUE;
}

METHOD(listener_t, assign_vips, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, bool assign)
{
	if (ike_sa && assign && !btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		update_holds(this, ike_sa, ike_sa->get_other_host(ike_sa));
	}
	return TRUE;
}

METHOD(listener_t, ike_state_change, bool,
	private_btns_listener_t *this, ike_sa_t *ike_sa, ike_sa_state_t state)
{
	if (ike_sa && state == IKE_DESTROYING)
	{
		btns_sa_drop(this->core, ike_sa->get_unique_id(ike_sa));
	}
	return TRUE;
}

METHOD(btns_listener_t, destroy, void,
	private_btns_listener_t *this)
{
	this->own_keys->destroy(this->own_keys);
	free(this);
}

/*
 * Described in header.
 */
btns_listener_t *btns_listener_create(btns_core_t *core, btns_worker_t *worker)
{
	private_btns_listener_t *this;

	INIT(this,
		.public = {
			.listener = {
				.alert = _alert,
				.ike_state_change = _ike_state_change,
				.message = _message_,
				.ike_updown = _ike_updown,
				.ike_rekey = _ike_rekey,
				.ike_update = _ike_update,
				.child_updown = _child_updown,
				.child_rekey = _child_rekey,
				.children_migrate = _children_migrate,
				.authorize = _authorize,
				.narrow = _narrow,
				.assign_vips = _assign_vips,
			},
			.destroy = _destroy,
		},
		.core = core,
		.worker = worker,
		.own_keys = btns_own_keys_create(),
	);
	return &this->public;
}
