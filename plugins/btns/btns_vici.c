/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#define _GNU_SOURCE
#include "btns_vici.h"
#include "btns_convert.h"
#include "btns_vici_channels.h"
#include "btns_vici_explain.h"
#include "btns_vici_fields.h"
#include "btns_vici_latches.h"
#include "btns_vici_plugin.h"

#include <dlfcn.h>
#include <inttypes.h>

#include <plugins/vici/vici_builder.h>
#include <plugins/vici/vici_message.h>

#define EVENT_PEER "btns-peer"
#define EVENT_PAD "btns-pad"
#define EVENT_REJECTED "btns-rejected"

typedef struct private_btns_vici_t private_btns_vici_t;

/**
 * Private data of a btns_vici_t.
 */
struct private_btns_vici_t {

	/**
	 * Public interface
	 */
	btns_vici_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * PAD
	 */
	btns_pad_t *pad;

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

	/**
	 * Commands about channels
	 */
	btns_vici_channels_t *channels;

	/**
	 * Commands about latches
	 */
	btns_vici_latches_t *latches;

	/**
	 * The vici plugin's object
	 */
	void *handle;
};

/**
 * What a request may filter by.
 */
typedef struct {

	/**
	 * Connection name, empty for all
	 */
	char connection[BTNS_NAME_LEN];

	/**
	 * Unique ID of the IKE_SA, 0 for all
	 */
	uint32_t uniqueid;

	/**
	 * What is wrong with the request, empty if nothing is
	 */
	char error[BTNS_VICI_ERROR_LEN];
} filter_t;

/**
 * State of a streamed list.
 */
typedef struct {
	private_btns_vici_t *this;
	filter_t *filter;
	u_int id;
	vici_builder_t *builder;
} list_stream_t;

/**
 * Answer with an error.
 */
static vici_message_t *create_error(private_btns_vici_t *this, char *text)
{
	vici_builder_t *builder;

	builder = this->builder_create();
	builder->add_kv(builder, "success", "no");
	builder->add_kv(builder, "errmsg", "%s", text);
	return builder->finalize(builder);
}

/**
 * Answer with nothing but success.
 */
static vici_message_t *create_success(private_btns_vici_t *this)
{
	vici_builder_t *builder;

	builder = this->builder_create();
	builder->add_kv(builder, "success", "yes");
	return builder->finalize(builder);
}

/**
 * Read a request.
 *
 * @param count		how many of these fields it may have: connection, uniqueid
 */
static bool parse_request(vici_message_t *request, int count, filter_t *filter)
{
	btns_vici_field_t fields[] = {
		{ "connection" },
		{ "uniqueid" },
	};
	uint64_t uniqueid = 0;

	memset(filter, 0, sizeof(*filter));
	if (!btns_vici_fields_read(request, fields, count, filter->error))
	{
		return FALSE;
	}
	if (fields[1].value[0] &&
		!btns_vici_number(fields[1].value, UINT32_MAX, &uniqueid))
	{
		snprintf(filter->error, sizeof(filter->error),
				 "'uniqueid' has to be a positive number");
		return FALSE;
	}
	memcpy(filter->connection, fields[0].value, sizeof(filter->connection));
	filter->uniqueid = uniqueid;
	return TRUE;
}

/**
 * Add an address, if there is one.
 */
static void add_addr(vici_builder_t *builder, char *key,
					 const btns_addr_t *addr)
{
	host_t *host = btns_addr_to_host(addr);

	if (host)
	{
		builder->add_kv(builder, key, "%H", host);
		host->destroy(host);
	}
}

/**
 * Add what is known of a key.
 */
static void add_key(vici_builder_t *builder, const btns_key_t *key)
{
	if (key->type != BTNS_KEY_NONE)
	{
		chunk_t fingerprint = chunk_create((u_char*)key->fingerprint,
										   BTNS_FINGERPRINT_LEN);

		builder->add_kv(builder, "fingerprint", "%+B", &fingerprint);
		builder->add_kv(builder, "key-type", "%s",
						btns_key_type_name(key->type));
		builder->add_kv(builder, "key-bits", "%u", key->bits);
		builder->add_kv(builder, "encoding", "%s",
						btns_encoding_name(key->encoding));
	}
}

/**
 * Add what is common to peers and to those that are refused.
 */
static void add_peer(vici_builder_t *builder, const btns_peer_info_t *peer)
{
	builder->add_kv(builder, "uniqueid", "%u", peer->sa);
	if (peer->connection[0])
	{
		builder->add_kv(builder, "connection", "%s", peer->connection);
	}
	add_addr(builder, "local-host", &peer->local);
	add_addr(builder, "remote-host", &peer->remote);
	builder->add_kv(builder, "asserted-id", "%s", peer->asserted_id);
	if (peer->null)
	{
		builder->add_kv(builder, "auth", "%s",
						btns_method_name(BTNS_METHOD_NULL));
	}
	add_key(builder, &peer->key);
}

/**
 * Stream one peer.
 */
static void stream_peer(void *user, const btns_peer_info_t *peer)
{
	list_stream_t *stream = user;
	private_btns_vici_t *this = stream->this;
	vici_builder_t *builder;

	if ((stream->filter->uniqueid && stream->filter->uniqueid != peer->sa) ||
		(stream->filter->connection[0] &&
		 !streq(stream->filter->connection, (char*)peer->connection)))
	{
		return;
	}
	builder = this->builder_create();
	add_peer(builder, peer);
	if (!peer->null)
	{
		builder->add_kv(builder, "auth", "%s",
						btns_method_name(BTNS_METHOD_BTNS));
	}
	builder->add_kv(builder, "role", "%s",
					peer->role == BTNS_ROLE_INITIATOR ? "initiator"
													  : "responder");
	builder->add_kv(builder, "ike-spi-i", "%.16" PRIx64, peer->spi_i);
	builder->add_kv(builder, "ike-spi-r", "%.16" PRIx64, peer->spi_r);
	builder->add_kv(builder, "established", "%" PRId64, peer->since);
	builder->add_kv(builder, "child-sas", "%u", (u_int)peer->children);
	this->dispatcher->raise_event(this->dispatcher, EVENT_PEER, stream->id,
								  builder->finalize(builder));
}

CALLBACK(list_peers, vici_message_t*,
	private_btns_vici_t *this, char *name, u_int id, vici_message_t *request)
{
	filter_t filter;
	list_stream_t stream = {
		.this = this,
		.filter = &filter,
		.id = id,
	};

	if (!parse_request(request, 2, &filter))
	{
		return create_error(this, filter.error);
	}
	if (btns_peers_each(this->core, stream_peer, &stream) != BTNS_STATUS_OK)
	{
		return create_error(this, "listing the peers failed");
	}
	return create_success(this);
}

/**
 * What a flag looks like in swanctl.conf.
 */
static void print_flag(const btns_pad_info_t *info, char *buf, size_t len)
{
	char key[BTNS_KEY_ID_LEN];

	switch (info->flag)
	{
		case BTNS_FLAG_NONE:
			snprintf(buf, len, "none");
			break;
		case BTNS_FLAG_ANY:
			snprintf(buf, len, "btns");
			break;
		case BTNS_FLAG_KEY:
			btns_key_id(info->key, key);
			snprintf(buf, len, "%s", key);
			break;
		case BTNS_FLAG_NULL:
			snprintf(buf, len, "btns:null");
			break;
		case BTNS_FLAG_KNOWN:
			snprintf(buf, len, "btns:known");
			break;
		default:
			snprintf(buf, len, "broken");
			break;
	}
}

/**
 * Stream one PAD entry.
 */
static void stream_pad(void *user, const btns_pad_info_t *info)
{
	list_stream_t *stream = user;
	private_btns_vici_t *this = stream->this;
	vici_builder_t *builder;
	char flag[BTNS_KEY_ID_LEN];
	size_t i;

	if (stream->filter->connection[0] &&
		!streq(stream->filter->connection, (char*)info->name))
	{
		return;
	}
	print_flag(info, flag, sizeof(flag));
	builder = this->builder_create();
	builder->begin_section(builder, (char*)info->name);
	builder->add_kv(builder, "flag", "%s", flag);
	builder->add_kv(builder, "usable", "%s", info->usable ? "yes" : "no");
	builder->begin_list(builder, "reserves");
	for (i = 0; i < info->reserve_count; i++)
	{
		builder->add_li(builder, "%s", info->reserves[i]);
	}
	builder->end_list(builder);
	builder->begin_list(builder, "findings");
	for (i = 0; i < info->finding_count; i++)
	{
		builder->add_li(builder, "%s: %s",
						info->severities[i] == BTNS_SEVERITY_ERROR ? "error"
																   : "warning",
						info->findings[i]);
	}
	builder->end_list(builder);
	builder->end_section(builder);
	this->dispatcher->raise_event(this->dispatcher, EVENT_PAD, stream->id,
								  builder->finalize(builder));
}

CALLBACK(list_pad, vici_message_t*,
	private_btns_vici_t *this, char *name, u_int id, vici_message_t *request)
{
	filter_t filter;
	list_stream_t stream = {
		.this = this,
		.filter = &filter,
		.id = id,
	};

	if (!parse_request(request, 1, &filter))
	{
		return create_error(this, filter.error);
	}
	this->pad->update(this->pad, FALSE);
	if (btns_config_each(this->core, stream_pad, &stream) != BTNS_STATUS_OK)
	{
		return create_error(this, "listing the PAD failed");
	}
	return create_success(this);
}

/**
 * Add one counter.
 */
static void add_stat(void *user, const char *name, uint64_t value)
{
	list_stream_t *stream = user;

	stream->builder->add_kv(stream->builder, (char*)name, "%" PRIu64, value);
}

CALLBACK(stats, vici_message_t*,
	private_btns_vici_t *this, char *name, u_int id, vici_message_t *request)
{
	filter_t filter;
	list_stream_t stream = {
		.this = this,
	};

	if (!parse_request(request, 0, &filter))
	{
		return create_error(this, filter.error);
	}
	stream.builder = this->builder_create();
	if (btns_stats_each(this->core, add_stat, &stream) != BTNS_STATUS_OK)
	{
		stream.builder->destroy(stream.builder);
		return create_error(this, "reading the counters failed");
	}
	return stream.builder->finalize(stream.builder);
}

CALLBACK(version, vici_message_t*,
	private_btns_vici_t *this, char *name, u_int id, vici_message_t *request)
{
	vici_builder_t *builder;
	filter_t filter;

	if (!parse_request(request, 0, &filter))
	{
		return create_error(this, filter.error);
	}
	builder = this->builder_create();
	builder->add_kv(builder, "version", "%s", BTNS_VERSION);
	builder->add_kv(builder, "daemon", "%s", BTNS_DAEMON_VERSION);
	builder->add_kv(builder, "package", "%s", BTNS_DEBIAN_VERSION);
	return builder->finalize(builder);
}

CALLBACK(explain, vici_message_t*,
	private_btns_vici_t *this, char *name, u_int id, vici_message_t *request)
{
	vici_builder_t *builder;

	builder = this->builder_create();
	btns_vici_explain(this->core, this->pad, request, builder);
	return builder->finalize(builder);
}

/**
 * Raise an event for a rejection.
 */
static void rejected(void *user, const btns_rejection_t *info)
{
	private_btns_vici_t *this = user;
	vici_builder_t *builder;

	if (!this->dispatcher->has_event_listeners(this->dispatcher,
											   EVENT_REJECTED))
	{
		return;
	}
	builder = this->builder_create();
	add_peer(builder, &info->peer);
	builder->add_kv(builder, "code", "%s", btns_reason_code(info->reason));
	builder->add_kv(builder, "reason", "%s", btns_reason_text(info->reason));
	this->dispatcher->raise_event(this->dispatcher, EVENT_REJECTED, 0,
								  builder->finalize(builder));
}

/**
 * Register or unregister all commands and events.
 */
static void manage(private_btns_vici_t *this, bool reg)
{
	const struct {
		char *name;
		vici_command_cb_t cb;
	} commands[] = {
		{ "btns-list-peers", list_peers },
		{ "btns-list-pad", list_pad },
		{ "btns-stats", stats },
		{ "btns-version", version },
		{ "btns-explain", explain },
	};
	static char *events[] = { EVENT_PEER, EVENT_PAD, EVENT_REJECTED };
	int i;

	for (i = 0; i < countof(commands); i++)
	{
		this->dispatcher->manage_command(this->dispatcher, commands[i].name,
										 reg ? commands[i].cb : NULL, this);
	}
	for (i = 0; i < countof(events); i++)
	{
		this->dispatcher->manage_event(this->dispatcher, events[i], reg);
	}
}

/**
 * Get at the vici plugin's dispatcher and functions.
 */
static bool find_dispatcher(private_btns_vici_t *this)
{
	Dl_info info;

	this->dispatcher = btns_vici_dispatcher();
	if (!this->dispatcher ||
		!dladdr(this->dispatcher->manage_command, &info))
	{
		return FALSE;
	}
	this->handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	if (!this->handle)
	{
		return FALSE;
	}
	this->builder_create = dlsym(this->handle, "vici_builder_create");
	return this->builder_create != NULL;
}

METHOD(btns_vici_t, destroy, void,
	private_btns_vici_t *this)
{
	this->worker->set_callback(this->worker, NULL, NULL);
	manage(this, FALSE);
	this->latches->destroy(this->latches);
	this->channels->destroy(this->channels);
	dlclose(this->handle);
	free(this);
}

/*
 * Described in header.
 */
btns_vici_t *btns_vici_create(btns_core_t *core, btns_pad_t *pad,
							  btns_worker_t *worker)
{
	private_btns_vici_t *this;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.core = core,
		.pad = pad,
		.worker = worker,
	);
	if (!find_dispatcher(this))
	{
		DBG1(DBG_CFG, "btns: the vici plugin is not the expected one, its "
			 "commands btns-* are not available");
		if (this->handle)
		{
			dlclose(this->handle);
		}
		free(this);
		return NULL;
	}
	manage(this, TRUE);
	this->channels = btns_vici_channels_create(core, worker,
											   this->dispatcher,
											   this->builder_create);
	this->latches = btns_vici_latches_create(core, this->dispatcher,
											 this->builder_create);
	worker->set_callback(worker, rejected, this);
	return &this->public;
}
