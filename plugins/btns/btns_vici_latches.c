/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_vici_latches.h"
#include "btns_convert.h"
#include "btns_vici_fields.h"

#include <inttypes.h>

#include <daemon.h>
#include <plugins/vici/vici_message.h>
#include <threading/thread.h>

#define COMMAND_LIST "btns-list-latches"
#define COMMAND_CLOSE "btns-close-latch"
#define EVENT_LATCH "btns-latch"
#define EVENT_CHANGED "btns-latch-changed"

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

	/**
	 * Thread that raises events, NULL if there is none
	 */
	thread_t *thread;
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
 * Add which latch it is, and how it is.
 */
static void add_status(vici_builder_t *builder,
					   const btns_latches_status_t *status)
{
	const btns_flow_t *flow = &status->flow;

	builder->add_kv(builder, "latch", "%" PRIu64, status->latch);
	builder->add_kv(builder, "client", "%" PRIu64, status->client);
	if (status->listener)
	{
		builder->add_kv(builder, "listener", "%" PRIu64, status->listener);
	}
	builder->add_kv(builder, "state", "%s", status->state);
	if (!streq(status->code, "none"))
	{
		builder->add_kv(builder, "code", "%s", status->code);
		builder->add_kv(builder, "reason", "%s", status->reason);
	}
	builder->add_kv(builder, "protocol", "%u", flow->protocol);
	add_end(builder, "local", "local-port", &flow->local, flow->local_port);
	add_end(builder, "remote", "remote-port", &flow->remote, flow->remote_port);
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
	add_status(builder, &info->status);
	builder->add_kv(builder, "confidentiality", "%s",
					info->confidentiality ? "yes" : "no");
	builder->add_kv(builder, "authenticated", "%s",
					info->authenticated ? "yes" : "no");
	builder->add_kv(builder, "narrow", "%s", info->narrow ? "yes" : "no");
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

/**
 * The thread that raises events.
 */
static void *raise_changes(private_btns_vici_latches_t *this)
{
	btns_latches_change_t change;
	vici_builder_t *builder;

	while (btns_latches_next_change(this->core, &change))
	{
		builder = this->builder_create();
		add_status(builder, &change.status);
		if (change.lost)
		{
			builder->add_kv(builder, "lost", "%" PRIu64, change.lost);
		}
		this->dispatcher->raise_event(this->dispatcher, EVENT_CHANGED, 0,
									  builder->finalize(builder));
	}
	return NULL;
}

CALLBACK(list_latches, vici_message_t*,
	private_btns_vici_latches_t *this, char *name, u_int id,
	vici_message_t *request)
{
	char error[BTNS_VICI_ERROR_LEN];
	latch_stream_t stream = {
		.this = this,
		.id = id,
	};

	if (!btns_vici_fields_read(request, NULL, 0, error))
	{
		return answer(this, error);
	}
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
	btns_vici_field_t field = { "latch" };
	char error[BTNS_VICI_ERROR_LEN];
	uint64_t latch;

	if (!btns_vici_fields_read(request, &field, 1, error))
	{
		return answer(this, error);
	}
	if (!btns_vici_number(field.value, UINT64_MAX, &latch))
	{
		return answer(this, "'latch' has to be the number of a latch");
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
	this->dispatcher->manage_event(this->dispatcher, EVENT_CHANGED, reg);
}

METHOD(btns_vici_latches_t, destroy, void,
	private_btns_vici_latches_t *this)
{
	btns_latches_unwatch(this->core);
	if (this->thread)
	{
		this->thread->join(this->thread);
	}
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
	if (btns_latches_watch(core) == BTNS_STATUS_OK)
	{
		this->thread = thread_create((thread_main_t)raise_changes, this);
	}
	if (!this->thread)
	{
		DBG1(DBG_CFG, "btns: no thread to watch latches with, there are no events "
			 EVENT_CHANGED);
		btns_latches_unwatch(core);
	}
	return &this->public;
}
