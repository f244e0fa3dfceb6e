/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_nulls.h"
#include "btns_id_null.h"

#include <encoding/payloads/id_payload.h>
#include <threading/rwlock.h>

typedef struct private_btns_nulls_t private_btns_nulls_t;

/**
 * Private data of a btns_nulls_t.
 */
struct private_btns_nulls_t {

	/**
	 * Public interface
	 */
	btns_nulls_t public;

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
	 * What messages are given to, NULL unless started
	 */
	btns_null_wire_t *wire;

	/**
	 * Lock for wire; read while it is used
	 */
	rwlock_t *lock;
};

/**
 * The object that one of its listeners belongs to.
 */
#define THIS(listener, member) \
	((private_btns_nulls_t*)((char*)(listener) - \
							 offsetof(private_btns_nulls_t, public.member)))

/**
 * TRUE if it is an IKE_AUTH message of IKEv2 that can be read.
 */
static bool is_auth(ike_sa_t *ike_sa, message_t *message, bool plain)
{
	return ike_sa && plain && ike_sa->get_version(ike_sa) == IKEV2 &&
		   message->get_exchange_type(message) == IKE_AUTH;
}

/**
 * TRUE if the peer calls itself ID_NULL and yet has a name.
 */
static bool has_named_nobody(message_t *message)
{
	identification_t *id;
	id_payload_t *payload;
	bool named;

	payload = (id_payload_t*)message->get_payload(message,
								message->get_request(message) ?
									PLV2_ID_INITIATOR : PLV2_ID_RESPONDER);
	if (!payload)
	{
		return FALSE;
	}
	id = payload->get_identification(payload);
	named = id->get_type(id) == BTNS_ID_NULL && !btns_id_null_is(id);
	id->destroy(id);
	return named;
}

/**
 * TRUE if this is when the peer may use NULL authentication: as a responder
 * before anything was chosen for it, as an initiator where we want that.
 */
static bool is_due(ike_sa_t *ike_sa)
{
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	ike_sa_id_t *id = ike_sa->get_id(ike_sa);

	return id->is_initiator(id) ? btns_pad_flag(cfg, NULL) == BTNS_FLAG_NULL
								: !cfg;
}

/**
 * listener_t.message of the first listener
 */
static bool sends(listener_t *listener, ike_sa_t *ike_sa, message_t *message,
				  bool incoming, bool plain)
{
	private_btns_nulls_t *this = THIS(listener, first);

	if (!incoming && is_auth(ike_sa, message, plain))
	{
		this->lock->read_lock(this->lock);
		if (this->wire)
		{
			this->wire->sends(this->wire, ike_sa, message);
		}
		this->lock->unlock(this->lock);
	}
	return TRUE;
}

/**
 * listener_t.message of the last listener
 */
static bool received(listener_t *listener, ike_sa_t *ike_sa, message_t *message,
					 bool incoming, bool plain)
{
	private_btns_nulls_t *this = THIS(listener, last);
	uint32_t sa;

	if (!incoming || !is_auth(ike_sa, message, plain) ||
		!message->get_payload(message, PLV2_AUTH))
	{
		return TRUE;
	}
	sa = ike_sa->get_unique_id(ike_sa);
	if (btns_sa_auth(this->core, sa) == BTNS_AUTH_NULL && is_due(ike_sa))
	{
		if (has_named_nobody(message))
		{
			btns_sa_refuse(this->core, sa, BTNS_REASON_NULL_ID);
			return TRUE;
		}
		this->lock->read_lock(this->lock);
		if (this->wire)
		{
			this->wire->received(this->wire, ike_sa, message);
		}
		this->lock->unlock(this->lock);
	}
	return TRUE;
}

METHOD(btns_nulls_t, ask, btns_null_answer_t,
	private_btns_nulls_t *this, ike_sa_t *ike_sa, identification_t *id)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);

	if (btns_sa_auth(this->core, sa) != BTNS_AUTH_NULL)
	{
		return BTNS_NULL_SOMEBODY;
	}
	if (btns_sa_null_key(this->core, sa) == BTNS_STATUS_OK ||
		(id && btns_pad_decide_initiator(this->pad, ike_sa, id) &&
		 btns_sa_null_key(this->core, sa) == BTNS_STATUS_OK))
	{
		return BTNS_NULL_NOBODY;
	}
	return BTNS_NULL_REFUSED;
}

/**
 * Set where messages are given to.
 */
static void set_wire(private_btns_nulls_t *this, btns_null_wire_t *wire)
{
	this->lock->write_lock(this->lock);
	this->wire = wire;
	this->lock->unlock(this->lock);
}

METHOD(btns_nulls_t, start, btns_status_t,
	private_btns_nulls_t *this, const btns_null_options_t *options,
	btns_null_wire_t *wire)
{
	btns_status_t status;

	status = btns_null_start(this->core, options);
	if (status == BTNS_STATUS_OK)
	{
		set_wire(this, wire);
		/* connections that need it are usable now */
		this->pad->forget(this->pad);
		this->worker->audit(this->worker);
	}
	return status;
}

METHOD(btns_nulls_t, stop, void,
	private_btns_nulls_t *this)
{
	set_wire(this, NULL);
	btns_null_stop(this->core);
	this->pad->forget(this->pad);
}

METHOD(btns_nulls_t, destroy, void,
	private_btns_nulls_t *this)
{
	lib->set(lib, BTNS_NULLS, NULL);
	this->lock->destroy(this->lock);
	free(this);
}

/*
 * Described in header.
 */
btns_nulls_t *btns_nulls_create(btns_core_t *core, btns_pad_t *pad,
								btns_worker_t *worker)
{
	private_btns_nulls_t *this;

	INIT(this,
		.public = {
			.version = BTNS_NULLS_VERSION,
			.first = {
				.message = sends,
			},
			.last = {
				.message = received,
			},
			.start = _start,
			.stop = _stop,
			.ask = _ask,
			.destroy = _destroy,
		},
		.core = core,
		.pad = pad,
		.worker = worker,
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	lib->set(lib, BTNS_NULLS, &this->public);
	return &this->public;
}
