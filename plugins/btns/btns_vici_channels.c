/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_vici_channels.h"
#include "btns_vici_fields.h"
#include "btns_convert.h"
#include "btns_shunts.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include <plugins/vici/vici_message.h>

#define COMMAND_BINDINGS "btns-get-bindings"

typedef struct private_btns_vici_channels_t private_btns_vici_channels_t;

/**
 * Private data of a btns_vici_channels_t.
 */
struct private_btns_vici_channels_t {

	/**
	 * Public interface
	 */
	btns_vici_channels_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * Worker
	 */
	btns_worker_t *worker;

	/**
	 * vici's dispatcher
	 */
	vici_dispatcher_t *dispatcher;

	/**
	 * vici_builder_create() in the vici plugin
	 */
	vici_builder_t *(*builder_create)();
};

/**
 * Names of events, by btns_peer_event_t
 */
static char *events[] = {
	"btns-peer-up", "btns-peer-down", "btns-peer-changed",
};

/**
 * Fields of a request.
 */
enum {
	FIELD_UNIQUEID,
	FIELD_CHILD,
	FIELD_PROTOCOL,
	FIELD_LOCAL,
	FIELD_REMOTE,
	FIELD_LOCAL_PORT,
	FIELD_REMOTE_PORT,
	FIELD_COUNT,
};

/**
 * A request as it is parsed.
 */
typedef struct {

	/**
	 * Its fields
	 */
	btns_vici_field_t fields[FIELD_COUNT];

	/**
	 * What is wrong with it, empty if nothing is
	 */
	char error[BTNS_VICI_ERROR_LEN];

	/**
	 * What is asked for
	 */
	uint32_t uniqueid;
	uint32_t child;
	btns_flow_t flow;
} request_t;

/**
 * Answer that is being built.
 */
typedef struct {
	private_btns_vici_channels_t *this;
	vici_message_t *message;
} answer_t;

/**
 * Say what is wrong. FALSE, always.
 */
static bool wrong(request_t *request, char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(request->error, sizeof(request->error), format, args);
	va_end(args);
	return FALSE;
}

/**
 * Parse a number from 1 to max; a field that is not there is 0.
 */
static bool parse_number(request_t *request, int field, uint32_t max,
						 uint32_t *number)
{
	char *text = request->fields[field].value;
	uint64_t value = 0;

	*number = 0;
	if (text[0] && !btns_vici_number(text, max, &value))
	{
		return wrong(request, "'%s' has to be a number from 1 to %u",
					 request->fields[field].name, max);
	}
	*number = value;
	return TRUE;
}

/**
 * Parse an address.
 */
static bool parse_address(request_t *request, int field, btns_addr_t *addr)
{
	char *text = request->fields[field].value;

	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, addr->bytes) == 1)
	{
		addr->family = 4;
	}
	else if (inet_pton(AF_INET6, text, addr->bytes) == 1)
	{
		addr->family = 6;
	}
	else
	{
		return wrong(request, "'%s' has to be an IP address",
					 request->fields[field].name);
	}
	return TRUE;
}

/**
 * Parse a protocol: a number, or the name of one with ports.
 */
static bool parse_protocol(request_t *request, uint8_t *protocol)
{
	static const struct {
		char *name;
		uint8_t protocol;
	} known[] = {
		{ "tcp", IPPROTO_TCP },
		{ "udp", IPPROTO_UDP },
		{ "dccp", IPPROTO_DCCP },
		{ "sctp", IPPROTO_SCTP },
	};
	uint32_t number;
	int i;

	for (i = 0; i < countof(known); i++)
	{
		if (streq(request->fields[FIELD_PROTOCOL].value, known[i].name))
		{
			*protocol = known[i].protocol;
			return TRUE;
		}
	}
	if (!parse_number(request, FIELD_PROTOCOL, UINT8_MAX, &number))
	{
		return wrong(request, "'protocol' has to be tcp, udp, dccp, sctp or "
					 "a number from 1 to 255");
	}
	*protocol = number;
	return TRUE;
}

/**
 * TRUE if packets of a protocol have ports.
 */
static bool has_ports(uint8_t protocol)
{
	switch (protocol)
	{
		case IPPROTO_TCP:
		case IPPROTO_UDP:
		case IPPROTO_DCCP:
		case IPPROTO_SCTP:
		case IPPROTO_UDPLITE:
			return TRUE;
		default:
			return FALSE;
	}
}

/**
 * Parse a flow.
 */
static bool parse_flow(request_t *request)
{
	btns_flow_t *flow = &request->flow;
	uint32_t local, remote;
	int i;

	for (i = FIELD_PROTOCOL; i <= FIELD_REMOTE; i++)
	{
		if (!request->fields[i].value[0])
		{
			return wrong(request, "'%s' is missing", request->fields[i].name);
		}
	}
	if (!parse_protocol(request, &flow->protocol) ||
		!parse_address(request, FIELD_LOCAL, &flow->local) ||
		!parse_address(request, FIELD_REMOTE, &flow->remote) ||
		!parse_number(request, FIELD_LOCAL_PORT, UINT16_MAX, &local) ||
		!parse_number(request, FIELD_REMOTE_PORT, UINT16_MAX, &remote))
	{
		return FALSE;
	}
	if (flow->local.family != flow->remote.family)
	{
		return wrong(request, "the addresses are of two families");
	}
	if (has_ports(flow->protocol) != (local != 0) ||
		has_ports(flow->protocol) != (remote != 0))
	{
		return wrong(request, "'local-port' and 'remote-port' belong to "
					 "protocols with ports, both");
	}
	flow->local_port = local;
	flow->remote_port = remote;
	return TRUE;
}

/**
 * Parse a request strictly: what is not understood is an error.
 */
static bool parse_request(vici_message_t *message, request_t *request)
{
	bool flow = FALSE;
	int i;

	*request = (request_t){
		.fields = {
			[FIELD_UNIQUEID] = { "uniqueid" },
			[FIELD_CHILD] = { "child" },
			[FIELD_PROTOCOL] = { "protocol" },
			[FIELD_LOCAL] = { "local" },
			[FIELD_REMOTE] = { "remote" },
			[FIELD_LOCAL_PORT] = { "local-port" },
			[FIELD_REMOTE_PORT] = { "remote-port" },
		},
	};
	if (!btns_vici_fields_read(message, request->fields, FIELD_COUNT,
							   request->error))
	{
		return FALSE;
	}
	for (i = FIELD_PROTOCOL; i < FIELD_COUNT; i++)
	{
		flow = flow || request->fields[i].value[0];
	}
	if (!!request->fields[FIELD_UNIQUEID].value[0] +
		!!request->fields[FIELD_CHILD].value[0] + flow != 1)
	{
		return wrong(request, "either 'uniqueid', 'child' or a flow has to be "
					 "given");
	}
	return flow ? parse_flow(request) :
				  parse_number(request, FIELD_UNIQUEID, UINT32_MAX,
							   &request->uniqueid) &&
				  parse_number(request, FIELD_CHILD, UINT32_MAX,
							   &request->child);
}

/**
 * Answer with an error.
 */
static vici_message_t *create_error(private_btns_vici_channels_t *this,
									char *text)
{
	vici_builder_t *builder;

	builder = this->builder_create();
	builder->add_kv(builder, "success", "no");
	builder->add_kv(builder, "errmsg", "%s", text);
	return builder->finalize(builder);
}

/**
 * Add octets as hex digits, if there are any.
 */
static void add_octets(vici_builder_t *builder, char *key, btns_bytes_t octets)
{
	chunk_t chunk = btns_chunk(octets);

	if (chunk.len)
	{
		builder->add_kv(builder, key, "%+B", &chunk);
	}
}

/**
 * Add a text, unless it is empty.
 */
static void add_text(vici_builder_t *builder, char *key, const char *text)
{
	if (text && text[0])
	{
		builder->add_kv(builder, key, "%s", text);
	}
}

static void add_flag(vici_builder_t *builder, char *key, bool flag)
{
	builder->add_kv(builder, key, "%s", flag ? "yes" : "no");
}

/**
 * Add a fingerprint, if it is known.
 */
static void add_fingerprint(vici_builder_t *builder, char *key,
							const uint8_t *fingerprint)
{
	if (fingerprint)
	{
		add_octets(builder, key, (btns_bytes_t){
			.ptr = fingerprint,
			.len = BTNS_FINGERPRINT_LEN,
		});
	}
}

/**
 * Add an outer end point.
 */
static void add_endpoint(vici_builder_t *builder, bool local,
						 const btns_outer_t *outer)
{
	host_t *host = btns_addr_to_host(local ? &outer->local : &outer->remote);

	if (host)
	{
		builder->add_kv(builder, local ? "local-host" : "remote-host", "%H",
						host);
		builder->add_kv(builder, local ? "local-port" : "remote-port", "%u",
						local ? outer->local_port : outer->remote_port);
		add_flag(builder, local ? "local-nat" : "remote-nat",
				 local ? outer->local_nat : outer->remote_nat);
		host->destroy(host);
	}
}

/**
 * Add a binding in both forms, or why there is none.
 */
static void add_binding(vici_builder_t *builder,
						const btns_binding_info_t *binding)
{
	chunk_t value = chunk_create((u_char*)binding->value, BTNS_BINDING_LEN);
	chunk_t name = chunk_from_str((char*)binding->name), prefixed;

	builder->begin_section(builder, (char*)binding->name);
	if (binding->available)
	{
		prefixed = chunk_cata("ccc", name, chunk_from_str(":"), value);
		builder->add_kv(builder, "bare", "%+B", &value);
		builder->add_kv(builder, "prefixed", "%+B", &prefixed);
	}
	else
	{
		builder->add_kv(builder, "code", "%s", binding->code);
		builder->add_kv(builder, "reason", "%s", binding->reason);
	}
	builder->end_section(builder);
}

/**
 * Add how a side authenticated and who it is.
 */
static void add_root(vici_builder_t *builder, const btns_channel_info_t *info)
{
	builder->add_kv(builder, "uniqueid", "%u", info->sa);
	add_text(builder, "connection", info->connection);
	builder->add_kv(builder, "local-method", "%s",
					btns_method_name(info->local_method));
	builder->add_kv(builder, "peer-method", "%s",
					btns_method_name(info->peer_method));
	add_text(builder, "asserted-id", info->asserted_id);
	add_text(builder, "authorized-id", info->authorized_id);
	add_fingerprint(builder, "local-fingerprint", info->local_fingerprint);
	add_fingerprint(builder, "peer-fingerprint", info->peer_fingerprint);
	add_endpoint(builder, TRUE, &info->outer);
	add_endpoint(builder, FALSE, &info->outer);
	builder->add_kv(builder, "established", "%" PRId64, info->established);
}

/**
 * Add what a CHILD_SA gives to the packets in it.
 */
static void add_child(vici_builder_t *builder, const btns_channel_info_t *info)
{
	builder->add_kv(builder, "child", "%u", info->child);
	add_text(builder, "child-name", info->child_name);
	builder->add_kv(builder, "mode", "%s", btns_mode_name(info->mode));
	add_flag(builder, "confidentiality", info->confidentiality);
	add_flag(builder, "integrity", info->integrity);
	add_text(builder, "encryption-algorithm", info->encryption_algorithm);
	add_text(builder, "integrity-algorithm", info->integrity_algorithm);
}

/**
 * Build the answer from what the core has found.
 */
static void build_answer(void *user, const btns_channel_info_t *info)
{
	static char *protections[] = { "unprotected", "protected", "ambiguous" };
	answer_t *answer = user;
	vici_builder_t *builder;

	builder = answer->this->builder_create();
	builder->add_kv(builder, "success", "yes");
	builder->add_kv(builder, "protection", "%s",
					protections[info->protection]);
	if (info->protection != BTNS_PROTECTED)
	{
		builder->add_kv(builder, "code", "%s", info->code);
		builder->add_kv(builder, "reason", "%s", info->reason);
	}
	else
	{
		add_root(builder, info);
		if (info->child)
		{
			add_child(builder, info);
		}
		add_octets(builder, "peer-key", info->peer_key);
		add_octets(builder, "peer-certificate", info->peer_certificate);
		add_octets(builder, "trust-anchor", info->trust_anchor);
		builder->begin_section(builder, "bindings");
		add_binding(builder, &info->endpoints);
		add_binding(builder, &info->unique);
		builder->end_section(builder);
	}
	answer->message = builder->finalize(builder);
}

CALLBACK(get_bindings, vici_message_t*,
	private_btns_vici_channels_t *this, char *name, u_int id,
	vici_message_t *message)
{
	request_t request;
	answer_t answer = {
		.this = this,
	};
	btns_status_t status;

	if (!parse_request(message, &request))
	{
		return create_error(this, request.error);
	}
	btns_tell_shunts(this->core);
	if (request.uniqueid)
	{
		status = btns_channel_of_sa(this->core, request.uniqueid, build_answer,
									&answer);
	}
	else if (request.child)
	{
		status = btns_channel_of_child(this->core, request.child, build_answer,
									   &answer);
	}
	else
	{
		status = btns_channel_of_flow(this->core, &request.flow, build_answer,
									  &answer);
	}
	if (status == BTNS_STATUS_REFUSED)
	{
		return create_error(this, request.child ? "no such CHILD_SA"
												: "no such IKE_SA");
	}
	return answer.message ?: create_error(this, "finding the channel failed");
}

/**
 * Raise an event for what became of a peer.
 */
static void peer_event(void *user, btns_peer_event_t event,
					   const btns_channel_info_t *info, const uint8_t *before)
{
	private_btns_vici_channels_t *this = user;
	vici_builder_t *builder;

	if (!this->dispatcher->has_event_listeners(this->dispatcher,
											   events[event]))
	{
		return;
	}
	builder = this->builder_create();
	add_root(builder, info);
	add_fingerprint(builder, "previous-fingerprint", before);
	this->dispatcher->raise_event(this->dispatcher, events[event], 0,
								  builder->finalize(builder));
}

/**
 * Does somebody listen to what becomes of peers?
 */
static bool listens(void *user)
{
	private_btns_vici_channels_t *this = user;
	int i;

	for (i = 0; i < countof(events); i++)
	{
		if (this->dispatcher->has_event_listeners(this->dispatcher, events[i]))
		{
			return TRUE;
		}
	}
	return FALSE;
}

/**
 * Register or unregister command and events.
 */
static void manage(private_btns_vici_channels_t *this, bool reg)
{
	int i;

	this->dispatcher->manage_command(this->dispatcher, COMMAND_BINDINGS,
									 reg ? get_bindings : NULL, this);
	for (i = 0; i < countof(events); i++)
	{
		this->dispatcher->manage_event(this->dispatcher, events[i], reg);
	}
}

METHOD(btns_vici_channels_t, destroy, void,
	private_btns_vici_channels_t *this)
{
	this->worker->set_peer_callback(this->worker, NULL, NULL, NULL);
	manage(this, FALSE);
	free(this);
}

/*
 * Described in header.
 */
btns_vici_channels_t *btns_vici_channels_create(btns_core_t *core,
						btns_worker_t *worker, vici_dispatcher_t *dispatcher,
						vici_builder_t *(*builder)())
{
	private_btns_vici_channels_t *this;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.core = core,
		.worker = worker,
		.dispatcher = dispatcher,
		.builder_create = builder,
	);
	manage(this, TRUE);
	worker->set_peer_callback(worker, peer_event, listens, this);
	return &this->public;
}
