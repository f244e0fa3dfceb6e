/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_vici_latches.h"
#include "btns_convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <plugins/vici/vici_message.h>

#define COMMAND_LIST "btns-list-latches"
#define COMMAND_CLOSE "btns-close-latch"
#define EVENT_LATCH "btns-latch"

typedef struct private_btns_vici_latches_t private_btns_vici_latches_t;

/**
 * Private data of a btns_vici_latches_t.
 */
struct private_btns_vici_latches_t {

	/**
	 * Public interface
	 */
	btns_vici_latches_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

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
 * A list on its way to a client.
 */
typedef struct {
	private_btns_vici_latches_t *this;
	u_int id;
} latch_stream_t;

/**
 * Answer.
 *
 * @param errmsg		why not, NULL for success
 */
static vici_message_t *answer(private_btns_vici_latches_t *this, char *errmsg)
{
	vici_builder_t *builder;

	builder = this->builder_create();
	builder->add_kv(builder, "success", "%s", errmsg ? "no" : "yes");
	if (errmsg)
	{
		builder->add_kv(builder, "errmsg", "%s", errmsg);
	}
	return builder->finalize(builder);
}

/**
 * Add an end of a flow, as far as it is known.
 */
static void add_end(vici_builder_t *builder, char *host_key, char *port_key,
					const btns_addr_t *addr, uint16_t port)
{
	host_t *host = btns_addr_to_host(addr);

	if (host)
	{
		builder->add_kv(builder, host_key, "%H", host);
		host->destroy(host);
	}
	if (port)
	{
		builder->add_kv(builder, port_key, "%u", port);
	}
}

/**
 * Add whom a connection is latched to.
 */
static void add_channel(vici_builder_t *builder,
						const btns_channel_info_t *info)
{
	chunk_t fingerprint;

	builder->add_kv(builder, "uniqueid", "%u", info->sa);
	builder->add_kv(builder, "child", "%u", info->child);
	builder->add_kv(builder, "connection", "%s", info->connection);
	builder->add_kv(builder, "mode", "%s", btns_mode_name(info->mode));
	builder->add_kv(builder, "peer-method", "%s",
					btns_method_name(info->peer_method));
	builder->add_kv(builder, "authorized-id", "%s", info->authorized_id);
	if (info->peer_fingerprint)
	{
		fingerprint = chunk_create((u_char*)info->peer_fingerprint,
								   BTNS_FINGERPRINT_LEN);
		builder->add_kv(builder, "peer-fingerprint", "%+B", &fingerprint);
	}
}

/**
 * Stream one latch.
 */
static void stream_latch(void *user, const btns_latches_info_t *info)
{
	latch_stream_t *stream = user;
	private_btns_vici_latches_t *this = stream->this;
	vici_builder_t *builder;

	builder = this->builder_create();
	builder->add_kv(builder, "latch", "%" PRIu64, info->latch);
	builder->add_kv(builder, "client", "%" PRIu64, info->client);
	if (info->listener)
	{
		builder->add_kv(builder, "listener", "%" PRIu64, info->listener);
	}
	builder->add_kv(builder, "state", "%s", info->state);
	if (info->code[0])
	{
		builder->add_kv(builder, "code", "%s", info->code);
		builder->add_kv(builder, "reason", "%s", info->reason);
	}
	builder->add_kv(builder, "protocol", "%u", info->flow.protocol);
	add_end(builder, "local", "local-port", &info->flow.local,
			info->flow.local_port);
	add_end(builder, "remote", "remote-port", &info->flow.remote,
			info->flow.remote_port);
	builder->add_kv(builder, "authenticated", "%s",
					info->authenticated ? "yes" : "no");
	builder->add_kv(builder, "disposition", "%s", info->wait ? "wait" : "reset");
	if (info->reqid)
	{
		builder->add_kv(builder, "reqid", "%u", info->reqid);
	}
	if (info->channel)
	{
		add_channel(builder, info->channel);
	}
	this->dispatcher->raise_event(this->dispatcher, EVENT_LATCH, stream->id,
								  builder->finalize(builder));
}

CALLBACK(list_latches, vici_message_t*,
	private_btns_vici_latches_t *this, char *name, u_int id,
	vici_message_t *request)
{
	latch_stream_t stream = {
		.this = this,
		.id = id,
	};

	if (btns_latches_each(this->core, stream_latch, &stream) != BTNS_STATUS_OK)
	{
		return answer(this, "listing the latches failed");
	}
	return answer(this, NULL);
}

CALLBACK(close_latch, vici_message_t*,
	private_btns_vici_latches_t *this, char *name, u_int id,
	vici_message_t *request)
{
	char *text, *end;
	uint64_t latch;

	text = request->get_str(request, NULL, "latch");
	if (!text || *text < '0' || *text > '9')
	{
		return answer(this, "latch has to be the number of a latch");
	}
	errno = 0;
	latch = strtoull(text, &end, 10);
	if (errno || *end)
	{
		return answer(this, "latch has to be the number of a latch");
	}
	switch (btns_latches_close(this->core, latch))
	{
		case BTNS_STATUS_OK:
			return answer(this, NULL);
		case BTNS_STATUS_REFUSED:
			return answer(this, "there is no such latch");
		default:
			return answer(this, "closing the latch failed");
	}
}

/**
 * Register or unregister commands and event.
 */
static void manage(private_btns_vici_latches_t *this, bool reg)
{
	this->dispatcher->manage_command(this->dispatcher, COMMAND_LIST,
									 reg ? list_latches : NULL, this);
	this->dispatcher->manage_command(this->dispatcher, COMMAND_CLOSE,
									 reg ? close_latch : NULL, this);
	this->dispatcher->manage_event(this->dispatcher, EVENT_LATCH, reg);
}

METHOD(btns_vici_latches_t, destroy, void,
	private_btns_vici_latches_t *this)
{
	manage(this, FALSE);
	free(this);
}

/*
 * Described in header.
 */
btns_vici_latches_t *btns_vici_latches_create(btns_core_t *core,
						vici_dispatcher_t *dispatcher,
						vici_builder_t *(*builder)())
{
	private_btns_vici_latches_t *this;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.core = core,
		.dispatcher = dispatcher,
		.builder_create = builder,
	);
	manage(this, TRUE);
	return &this->public;
}
