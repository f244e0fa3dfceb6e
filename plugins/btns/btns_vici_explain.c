/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_vici_explain.h"
#include "btns_cert.h"
#include "btns_compat.h"
#include "btns_convert.h"

#include <ctype.h>

/**
 * Longest value but a key's
 */
#define MAX_VALUE 255

/**
 * Most steps that are told
 */
#define MAX_STEPS 64

typedef struct request_t request_t;
typedef struct answer_t answer_t;
typedef struct supposition_t supposition_t;

/**
 * Fields of a request.
 */
enum {
	F_LOCAL_HOST,
	F_REMOTE_HOST,
	F_ASSERTED_ID,
	F_LOCAL_ID,
	F_ENCODING,
	F_FINGERPRINT,
	F_AUTH,
	F_ROLE,
	F_CONNECTION,
	F_VIRTUAL_IP,
	F_MODE,
	F_COUNT
};

static const char *field_names[F_COUNT] = {
	[F_LOCAL_HOST] = "local-host",
	[F_REMOTE_HOST] = "remote-host",
	[F_ASSERTED_ID] = "asserted-id",
	[F_LOCAL_ID] = "local-id",
	[F_ENCODING] = "encoding",
	[F_FINGERPRINT] = "fingerprint",
	[F_AUTH] = "auth",
	[F_ROLE] = "role",
	[F_CONNECTION] = "connection",
	[F_VIRTUAL_IP] = "virtual-ip",
	[F_MODE] = "mode",
};

/**
 * A request as it was sent.
 */
struct request_t {

	/**
	 * Values, empty if the field is missing
	 */
	char fields[F_COUNT][MAX_VALUE + 1];

	/**
	 * The key, in hex
	 */
	chunk_t key;

	/**
	 * Traffic selectors, traffic_selector_t*: what the peer proposes
	 */
	linked_list_t *local_ts;
	linked_list_t *remote_ts;

	/**
	 * What is wrong with it, empty if nothing is
	 */
	char error[128];
};

/**
 * An answer on its way.
 */
struct answer_t {

	/**
	 * Builder
	 */
	vici_builder_t *builder;

	/**
	 * Steps told so far
	 */
	u_int steps;
};

/**
 * Who is supposed to come.
 */
struct supposition_t {

	/**
	 * Public part: what the PAD asks
	 */
	btns_question_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * The same as the core sees it
	 */
	btns_supposed_t peer;

	/**
	 * CERT payload that it shows, if the key is known
	 */
	btns_cert_t cert;

	/**
	 * Its octets
	 */
	chunk_t body;

	/**
	 * Fingerprint, if only that is known
	 */
	uint8_t fingerprint[BTNS_FINGERPRINT_LEN];

	/**
	 * What get_key() found
	 */
	btns_key_t key;

	/**
	 * Our address
	 */
	host_t *me;

	/**
	 * Virtual IP that it has got, may be NULL
	 */
	host_t *vip;

	/**
	 * Identity that it asks for, may be NULL
	 */
	identification_t *my_id;
};

/**
 * Note an error, the first one.
 */
static bool fail(request_t *this, char *fmt, char *arg)
{
	if (!this->error[0])
	{
		snprintf(this->error, sizeof(this->error), fmt, arg);
	}
	return FALSE;
}

/**
 * Add a traffic selector to a list.
 */
static bool add_ts(request_t *this, linked_list_t *list, char *name,
				   chunk_t value)
{
	traffic_selector_t *ts;
	char text[MAX_VALUE + 1];
	btns_ts_t parsed;
	size_t len;

	if (list->get_count(list) >= BTNS_TS_MAX)
	{
		return fail(this, "too many values in '%s'", name);
	}
	snprintf(text, sizeof(text), "%.*s", (int)value.len, value.ptr);
	if (!value.len || value.len > MAX_VALUE ||
		!chunk_printable(value, NULL, 0) ||
		btns_ts_parse(text, &parsed) != BTNS_STATUS_OK)
	{
		return fail(this, "invalid value for '%s'", name);
	}
	len = parsed.family == 4 ? 4 : 16;
	ts = traffic_selector_create_from_bytes(parsed.protocol,
				parsed.family == 4 ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE,
				chunk_create(parsed.from, len), parsed.from_port,
				chunk_create(parsed.to, len), parsed.to_port);
	if (!ts)
	{
		return fail(this, "invalid value for '%s'", name);
	}
	list->insert_last(list, ts);
	return TRUE;
}

/**
 * The list for a field of traffic selectors, NULL if it is none.
 */
static linked_list_t *ts_list(request_t *this, char *name)
{
	if (streq(name, "local-ts"))
	{
		return this->local_ts;
	}
	return streq(name, "remote-ts") ? this->remote_ts : NULL;
}

CALLBACK(parse_section, bool,
	request_t *this, vici_message_t *message, vici_parse_context_t *ctx,
	char *name)
{
	return fail(this, "unexpected section '%.32s'", name);
}

CALLBACK(parse_list, bool,
	request_t *this, vici_message_t *message, char *name, chunk_t value)
{
	linked_list_t *list = ts_list(this, name);

	return list ? add_ts(this, list, name, value)
				: fail(this, "unexpected list '%.32s'", name);
}

CALLBACK(parse_value, bool,
	request_t *this, vici_message_t *message, char *name, chunk_t value)
{
	linked_list_t *list = ts_list(this, name);
	int i;

	if (list)
	{
		return add_ts(this, list, name, value);
	}
	if (streq(name, "key"))
	{
		if (!value.len || value.len > 2 * BTNS_CERT_MAX || value.len % 2)
		{
			return fail(this, "invalid value for '%s'", name);
		}
		this->key = value;
		return TRUE;
	}
	for (i = 0; i < F_COUNT; i++)
	{
		if (streq(field_names[i], name))
		{
			if (!value.len || value.len > MAX_VALUE ||
				!chunk_printable(value, NULL, 0))
			{
				return fail(this, "invalid value for '%s'", name);
			}
			memcpy(this->fields[i], value.ptr, value.len);
			this->fields[i][value.len] = '\0';
			return TRUE;
		}
	}
	return fail(this, "unknown field '%.32s'", name);
}

/**
 * Read an address.
 */
static bool parse_host(request_t *this, int field, host_t **host)
{
	btns_range_t range;
	btns_addr_t addr = {};

	if (this->fields[field][0])
	{
		if (btns_range_parse(this->fields[field], &range) != BTNS_STATUS_OK ||
			!memeq(range.from, range.to, sizeof(range.from)))
		{
			return fail(this, "'%s' has to be an IP address",
						(char*)field_names[field]);
		}
		addr.family = range.family;
		memcpy(addr.bytes, range.from, sizeof(addr.bytes));
		*host = btns_addr_to_host(&addr);
	}
	return TRUE;
}

/**
 * Read one of a list of words, of which the first is the default.
 */
static bool parse_word(request_t *this, int field, const char *words[],
					   int *index)
{
	for (*index = 0; words[*index]; (*index)++)
	{
		if (streq(words[*index], this->fields[field]) ||
			!this->fields[field][0])
		{
			return TRUE;
		}
	}
	return fail(this, "invalid value for '%s'", (char*)field_names[field]);
}

/**
 * TRUE if all of a chunk are hex digits.
 */
static bool is_hex(chunk_t chunk)
{
	int i;

	for (i = 0; i < chunk.len; i++)
	{
		if (!isxdigit(chunk.ptr[i]))
		{
			return FALSE;
		}
	}
	return TRUE;
}

/**
 * Read the key or its fingerprint.
 */
static bool parse_key(request_t *this, supposition_t *to)
{
	static const char *encodings[] = { "spki", "pkcs1", "x509", "openiked-ec",
											   NULL };
	static const u_int numbers[] = {
		BTNS_ENCODING_SPKI, BTNS_ENCODING_PKCS1, BTNS_ENCODING_X509,
		BTNS_ENCODING_OPENIKED_EC,
	};
	chunk_t text = chunk_from_str(this->fields[F_FINGERPRINT]);
	int encoding;

	if (!parse_word(this, F_ENCODING, encodings, &encoding))
	{
		return FALSE;
	}
	if (this->key.len)
	{
		if (text.len)
		{
			return fail(this, "'key' and '%s' exclude each other",
						"fingerprint");
		}
		if (!is_hex(this->key))
		{
			return fail(this, "invalid value for '%s'", "key");
		}
		to->body = chunk_from_hex(this->key, NULL);
		to->cert = (btns_cert_t){
			.encoding = numbers[encoding],
			.body = btns_bytes(to->body),
		};
		to->peer.certs = &to->cert;
		to->peer.cert_count = 1;
	}
	else if (text.len)
	{
		if (text.len != 2 * BTNS_FINGERPRINT_LEN || !is_hex(text))
		{
			return fail(this, "invalid value for '%s'", "fingerprint");
		}
		chunk_from_hex(text, to->fingerprint);
		to->peer.fingerprint = to->fingerprint;
	}
	return TRUE;
}

/**
 * The identity that a peer asserts that has none configured: that of its key,
 * as charon does it, else its address.
 */
static identification_t *default_id(supposition_t *this)
{
	uint8_t keyid[HASH_SIZE_SHA1];
	btns_reason_t reason;
	btns_key_t key;
	chunk_t sha1;

	if (this->peer.cert_count &&
		btns_supposed_key(this->core, &this->peer, btns_now(), &key,
						  &reason) == BTNS_STATUS_OK)
	{
		sha1 = btns_cert_keyid(&key, keyid);
		if (sha1.len)
		{
			return identification_create_from_encoding(ID_KEY_ID, sha1);
		}
	}
	return identification_create_from_sockaddr(
							this->public.other->get_sockaddr(this->public.other));
}

/**
 * Make sense of a request.
 */
static bool parse_request(request_t *this, vici_message_t *request,
						  supposition_t *to)
{
	static const char *auths[] = { "signature", "psk", "eap", "null", NULL };
	static const btns_auth_t methods[] = {
		BTNS_AUTH_SIGNATURE, BTNS_AUTH_PSK, BTNS_AUTH_EAP, BTNS_AUTH_NULL,
	};
	static const char *roles[] = { "responder", "initiator", NULL };
	static const char *modes[] = { "tunnel", "transport", NULL };
	char *asserted = this->fields[F_ASSERTED_ID];
	int auth, role, mode;

	if (!request->parse(request, NULL, parse_section, parse_value, parse_list,
						this))
	{
		return fail(this, "%s", "malformed request");
	}
	if (!parse_host(this, F_REMOTE_HOST, &to->public.other) ||
		!parse_host(this, F_LOCAL_HOST, &to->me) ||
		!parse_host(this, F_VIRTUAL_IP, &to->vip) ||
		!parse_word(this, F_AUTH, auths, &auth) ||
		!parse_word(this, F_ROLE, roles, &role) ||
		!parse_word(this, F_MODE, modes, &mode) ||
		!parse_key(this, to))
	{
		return FALSE;
	}
	if (!to->public.other)
	{
		return fail(this, "'%s' is missing", "remote-host");
	}
	if (!to->me)
	{
		to->me = charon->kernel->get_source_addr(charon->kernel,
												 to->public.other, NULL);
		if (!to->me)
		{
			return fail(this, "there is no route to '%s', name 'local-host'",
						this->fields[F_REMOTE_HOST]);
		}
	}
	if (to->me->get_family(to->me) !=
							to->public.other->get_family(to->public.other))
	{
		return fail(this, "'%s' and 'remote-host' are of different families",
					"local-host");
	}
	if (role && !this->fields[F_CONNECTION][0])
	{
		return fail(this, "'%s' is missing", "connection");
	}
	if (!role && this->fields[F_CONNECTION][0])
	{
		return fail(this, "'%s' is for an initiator: a responder's peer chooses "
					"none", "connection");
	}
	to->public.role = role ? BTNS_ROLE_INITIATOR : BTNS_ROLE_RESPONDER;
	to->public.version = IKEV2;
	to->public.auth = methods[auth];
	to->peer.role = to->public.role;
	btns_addr_from_host(to->public.other, &to->peer.source);
	to->public.id = *asserted ? identification_create_from_string(asserted)
							  : default_id(to);
	if (this->fields[F_LOCAL_ID][0])
	{
		to->my_id = identification_create_from_string(
													this->fields[F_LOCAL_ID]);
	}
	return TRUE;
}

METHOD(btns_question_t, get_key, bool,
	supposition_t *this, btns_key_t *key, btns_reason_t *reason)
{
	if (btns_supposed_key(this->core, &this->peer, btns_now(), &this->key,
						  reason) != BTNS_STATUS_OK)
	{
		return FALSE;
	}
	*key = this->key;
	return TRUE;
}

METHOD(btns_question_t, is_vouched, bool,
	supposition_t *this, const btns_key_t *key)
{
	return btns_vouched_supposed(&this->peer, this->public.id, key,
								 &this->public.voucher);
}

METHOD(btns_question_t, get_limit, btns_reason_t,
	supposition_t *this)
{
	return btns_supposed_admissible(this->core, &this->peer,
			charon->ike_sa_manager->get_count(charon->ike_sa_manager) + 1);
}

/**
 * Tell a step.
 */
static void tell(void *user, const btns_step_t *step)
{
	answer_t *this = user;
	char name[16];

	if (++this->steps > MAX_STEPS)
	{
		return;
	}
	snprintf(name, sizeof(name), "%u", this->steps);
	this->builder->begin_section(this->builder, name);
	this->builder->add_kv(this->builder, "step", "%s", step->step);
	this->builder->add_kv(this->builder, "result", "%s",
						  step->passed ? "ok" : "no");
	if (step->reason != BTNS_REASON_NONE)
	{
		this->builder->add_kv(this->builder, "code", "%s",
							  btns_reason_code(step->reason));
	}
	this->builder->add_kv(this->builder, "text", "%s", step->text);
	this->builder->end_section(this->builder);
}

/**
 * Tell a step that is charon's.
 */
static void tell_charons(answer_t *this, const char *name, bool passed,
						 char *fmt, ...)
{
	char text[1024];
	btns_step_t step = {
		.step = name,
		.passed = passed,
		.text = text,
	};
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	tell(this, &step);
}

/**
 * TRUE if the key that a stranger has verified satisfies what a connection
 * demands of the peer's key.
 */
static bool complies(peer_cfg_t *cfg, const btns_key_t *key)
{
	enumerator_t *enumerator;
	auth_cfg_t *auth, *constraints;
	char group[BTNS_KEY_ID_LEN];
	bool ok = TRUE;

	auth = auth_cfg_create();
	auth->add(auth, AUTH_RULE_AUTH_CLASS, AUTH_CLASS_PUBKEY);
	auth->add(auth, AUTH_RULE_IDENTITY, btns_publickey_id(key->fingerprint));
	btns_key_id(key->fingerprint, group);
	auth->add(auth, AUTH_RULE_GROUP, identification_create_from_string("btns"));
	auth->add(auth, AUTH_RULE_GROUP, identification_create_from_string(group));
	/* as the credential manager notes it */
	switch (key->type)
	{
		case BTNS_KEY_RSA:
			auth->add(auth, AUTH_RULE_RSA_STRENGTH, (uintptr_t)key->bits);
			break;
		case BTNS_KEY_ECDSA:
			auth->add(auth, AUTH_RULE_ECDSA_STRENGTH, (uintptr_t)key->bits);
			break;
		default:
			break;
	}
	enumerator = cfg->create_auth_cfg_enumerator(cfg, FALSE);
	while (ok && enumerator->enumerate(enumerator, &constraints))
	{
		ok = auth->complies(auth, constraints, FALSE);
	}
	enumerator->destroy(enumerator);
	auth->destroy(auth);
	return ok;
}

/**
 * Find the connection that charon takes of those that a stranger may get: the
 * first one that its key is strong enough for.
 */
static peer_cfg_t *select_cfg(answer_t *this, linked_list_t *found,
							  const btns_key_t *key)
{
	enumerator_t *enumerator;
	peer_cfg_t *cfg, *selected = NULL;

	enumerator = found->create_enumerator(found);
	while (!selected && enumerator->enumerate(enumerator, &cfg))
	{
		if (complies(cfg, key))
		{
			selected = cfg;
		}
		else
		{
			tell_charons(this, "strength", FALSE, "connection '%s' demands more "
						 "of a key than this one has, by its remote.auth",
						 cfg->get_name(cfg));
		}
	}
	enumerator->destroy(enumerator);
	return selected;
}

/**
 * A list with one host.
 */
static linked_list_t *hosts_create(host_t *host)
{
	linked_list_t *list = linked_list_create();

	list->insert_last(list, host);
	return list;
}

/**
 * What a peer proposes that says nothing about it: the host.
 */
static void default_ts(linked_list_t *list, host_t *host)
{
	if (!list->get_count(list))
	{
		list->insert_last(list, traffic_selector_create_from_subnet(
									host->clone(host),
									host->get_family(host) == AF_INET ? 32 : 128,
									0, 0, 65535));
	}
}

/**
 * Add a list of traffic selectors to the answer.
 */
static void add_ts_list(answer_t *this, char *name, linked_list_t *list)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;

	this->builder->begin_list(this->builder, name);
	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		this->builder->add_li(this->builder, "%R", ts);
	}
	enumerator->destroy(enumerator);
	this->builder->end_list(this->builder);
}

/**
 * A CHILD_SA that the peer would get.
 */
typedef struct {
	child_cfg_t *cfg;
	linked_list_t *local;
	linked_list_t *remote;
	btns_reason_t reason;
	bool allowed;
} child_t;

static void child_destroy(child_t *this)
{
	DESTROY_IF(this->cfg);
	DESTROY_OFFSET_IF(this->local, offsetof(traffic_selector_t, destroy));
	DESTROY_OFFSET_IF(this->remote, offsetof(traffic_selector_t, destroy));
}

/**
 * Decide over the CHILD_SA that charon makes of a proposal.
 */
static void decide_child(answer_t *this, supposition_t *peer,
						 request_t *request, peer_cfg_t *cfg, child_t *child)
{
	host_t *other = peer->vip ?: peer->public.other;
	linked_list_t *my_hosts, *other_hosts, *labels;
	btns_ts_t *local, *remote;
	btns_addr_t hosts[2];
	btns_child_t plain = {
		.btns = TRUE,
		.connection = cfg->get_name(cfg),
		.hosts = hosts,
	};
	bool ok;

	default_ts(request->local_ts, peer->me);
	default_ts(request->remote_ts, other);
	my_hosts = hosts_create(peer->me);
	other_hosts = hosts_create(other);
	labels = linked_list_create();
	child->cfg = cfg->select_child_cfg(cfg, request->local_ts,
									   request->remote_ts, my_hosts,
									   other_hosts, labels, labels);
	if (!child->cfg)
	{
		tell_charons(this, "child", FALSE, "no child of connection '%s' fits "
					 "local %#R and remote %#R: TS_UNACCEPTABLE",
					 cfg->get_name(cfg), request->local_ts,
					 request->remote_ts);
	}
	else
	{
		child->local = btns_selected_ts(child->cfg, TRUE, request->local_ts,
										my_hosts);
		child->remote = btns_selected_ts(child->cfg, FALSE, request->remote_ts,
										 other_hosts);
		tell_charons(this, "child", TRUE, "child '%s' of connection '%s' makes "
					 "of it local %#R and remote %#R",
					 child->cfg->get_name(child->cfg), cfg->get_name(cfg),
					 child->local, child->remote);

		local = calloc(child->local->get_count(child->local) + 1,
					   sizeof(*local));
		remote = calloc(child->remote->get_count(child->remote) + 1,
						sizeof(*remote));
		ok = btns_ts_from_list(child->local, local, &plain.local_count);
		ok = btns_ts_from_list(child->remote, remote,
							   &plain.remote_count) && ok;
		plain.local = local;
		plain.remote = remote;
		if (btns_addr_from_host(peer->public.other, &hosts[plain.host_count]))
		{
			plain.host_count++;
		}
		if (peer->vip && btns_addr_from_host(peer->vip,
											 &hosts[plain.host_count]))
		{
			plain.host_count++;
		}
		plain.mode_mismatch =
				child->cfg->get_mode(child->cfg) == MODE_TRANSPORT &&
				streq(request->fields[F_MODE], "tunnel");
		child->allowed = ok &&
				btns_supposed_child(peer->core, peer->key.fingerprint, &plain,
									tell, this,
									&child->reason) == BTNS_STATUS_OK;
		free(local);
		free(remote);
	}
	my_hosts->destroy(my_hosts);
	other_hosts->destroy(other_hosts);
	labels->destroy(labels);
}

/**
 * Add the reason of a refusal.
 */
static void add_reason(answer_t *this, btns_reason_t reason)
{
	if (reason != BTNS_REASON_NONE)
	{
		this->builder->add_kv(this->builder, "code", "%s",
							  btns_reason_code(reason));
		this->builder->add_kv(this->builder, "reason", "%s",
							  btns_reason_text(reason));
	}
}

/**
 * Add what the peer and its CHILD_SA come to.
 */
static void add_outcome(answer_t *this, supposition_t *peer,
						btns_choice_t choice, btns_reason_t reason,
						linked_list_t *found, peer_cfg_t *cfg, child_t *child)
{
	enumerator_t *enumerator;
	char id[BTNS_KEY_ID_LEN];

	if (choice == BTNS_CHOICE_STRANGER && cfg)
	{
		btns_key_id(peer->key.fingerprint, id);
		this->builder->add_kv(this->builder, "peer", "accepted");
		this->builder->add_kv(this->builder, "connection", "%s",
							  cfg->get_name(cfg));
		this->builder->add_kv(this->builder, "authorized-id", "%s", id);
		this->builder->add_kv(this->builder, "child-sa", "%s",
							  child->allowed ? "allowed" : "refused");
		if (child->cfg)
		{
			this->builder->add_kv(this->builder, "child", "%s",
								  child->cfg->get_name(child->cfg));
			add_ts_list(this, "local-ts", child->local);
			add_ts_list(this, "remote-ts", child->remote);
		}
		add_reason(this, child->reason);
	}
	else if (choice != BTNS_CHOICE_STRANGER && found->get_count(found))
	{
		this->builder->add_kv(this->builder, "peer", "authenticates");
		this->builder->begin_list(this->builder, "connections");
		enumerator = found->create_enumerator(found);
		while (enumerator->enumerate(enumerator, &cfg))
		{
			this->builder->add_li(this->builder, "%s", cfg->get_name(cfg));
		}
		enumerator->destroy(enumerator);
		this->builder->end_list(this->builder);
		add_reason(this, reason);
	}
	else
	{
		this->builder->add_kv(this->builder, "peer", "refused");
		add_reason(this, reason);
	}
}

/**
 * Tell what would happen.
 */
static void explain(btns_pad_t *pad, request_t *request, supposition_t *peer,
					vici_builder_t *builder)
{
	answer_t answer = {
		.builder = builder,
	};
	child_t child = {};
	peer_cfg_t *cfg = NULL;
	linked_list_t *found;
	btns_choice_t choice;
	btns_reason_t reason;

	found = linked_list_create();
	peer->public.step = tell;
	peer->public.step_user = &answer;
	builder->begin_section(builder, "steps");
	choice = pad->suppose(pad, &peer->public, peer->me, peer->my_id,
						  request->fields[F_CONNECTION], found, &reason);
	if (choice == BTNS_CHOICE_STRANGER)
	{
		cfg = select_cfg(&answer, found, &peer->key);
		if (cfg)
		{
			decide_child(&answer, peer, request, cfg, &child);
		}
	}
	builder->end_section(builder);
	builder->add_kv(builder, "success", "yes");
	add_outcome(&answer, peer, choice, reason, found, cfg, &child);
	child_destroy(&child);
	found->destroy_offset(found, offsetof(peer_cfg_t, destroy));
}

/*
 * Described in header.
 */
void btns_vici_explain(btns_core_t *core, btns_pad_t *pad,
					   vici_message_t *request, vici_builder_t *builder)
{
	request_t *parsed;
	supposition_t *peer;

	INIT(parsed,
		.local_ts = linked_list_create(),
		.remote_ts = linked_list_create(),
	);
	INIT(peer,
		.public = {
			.get_key = _get_key,
			.is_vouched = _is_vouched,
			.get_limit = _get_limit,
		},
		.core = core,
	);
	if (parse_request(parsed, request, peer))
	{
		explain(pad, parsed, peer, builder);
	}
	else
	{
		builder->add_kv(builder, "success", "no");
		builder->add_kv(builder, "errmsg", "%s", parsed->error);
	}
	DESTROY_IF(peer->public.other);
	DESTROY_IF(peer->public.id);
	DESTROY_IF(peer->me);
	DESTROY_IF(peer->vip);
	DESTROY_IF(peer->my_id);
	chunk_free(&peer->body);
	free(peer);
	parsed->local_ts->destroy_offset(parsed->local_ts,
									 offsetof(traffic_selector_t, destroy));
	parsed->remote_ts->destroy_offset(parsed->remote_ts,
									  offsetof(traffic_selector_t, destroy));
	free(parsed);
}
