/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_latches.h"
#include "btns_channels.h"
#include "btns_convert.h"
#include "btns_pad.h"

#include <threading/thread_value.h>

typedef struct private_btns_latches_t private_btns_latches_t;
typedef struct held_t held_t;

/**
 * The CHILD_SA that a thread has in its hands.
 */
struct held_t {

	/**
	 * Unique ID of its IKE_SA
	 */
	uint32_t sa;

	/**
	 * What becomes of it
	 */
	child_sa_state_t state;

	/**
	 * SPI of its inbound SA
	 */
	uint32_t spi;

	/**
	 * As it is described to the core; without selectors
	 */
	btns_child_t child;

	/**
	 * What child points to
	 */
	btns_algorithms_t algorithms;
	char connection[BTNS_NAME_LEN];
	char name[BTNS_NAME_LEN];
};

/**
 * Private data of a btns_latches_t.
 */
struct private_btns_latches_t {

	/**
	 * Public interface
	 */
	btns_latches_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * held_t of each thread, NULL for none. charon installs, updates and
	 * destroys a CHILD_SA in one go, and the methods of the kernel interface
	 * are not told which one it is.
	 */
	thread_value_t *held;
};

/**
 * Take what the thread has in its hands away from it, if it is in this state.
 *
 * @return				owned by the caller, NULL if there is nothing
 */
static held_t *take(private_btns_latches_t *this, child_sa_state_t state)
{
	held_t *held = this->held->get(this->held);

	if (!held || held->state != state)
	{
		return NULL;
	}
	this->held->set(this->held, NULL);
	return held;
}

/**
 * The thread has a CHILD_SA in its hands.
 */
static void hold(private_btns_latches_t *this, ike_sa_t *ike_sa,
				 child_sa_t *child_sa, child_sa_state_t state)
{
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	held_t *held;

	held = this->held->get(this->held);
	if (held && held->state == CHILD_DESTROYING)
	{	/* one whose reqid was configured does not give it back */
		btns_latches_gone(this->core, held->child.child);
	}
	free(held);
	INIT(held,
		.sa = ike_sa->get_unique_id(ike_sa),
		.state = state,
		.spi = child_sa->get_spi(child_sa, TRUE),
		.child = {
			.btns = btns_pad_is_flagged(cfg),
			.child = child_sa->get_unique_id(child_sa),
		},
	);
	if (state == CHILD_INSTALLING)
	{
		btns_describe_channel(child_sa, &held->child, &held->algorithms);
		snprintf(held->name, sizeof(held->name), "%s", held->child.name);
		snprintf(held->connection, sizeof(held->connection), "%s",
				 cfg ? cfg->get_name(cfg) : "");
		held->child.name = held->name;
		held->child.connection = held->connection;
	}
	this->held->set(this->held, held);
}

METHOD(listener_t, child_state_change, bool,
	private_btns_latches_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	child_sa_state_t state)
{
	switch (ike_sa ? state : CHILD_CREATED)
	{
		case CHILD_INSTALLING:
		case CHILD_UPDATING:
		case CHILD_DESTROYING:
			hold(this, ike_sa, child_sa, state);
			if (state == CHILD_DESTROYING && !child_sa->get_reqid(child_sa))
			{	/* it was never installed */
				btns_latches_gone(this->core,
								child_sa->get_unique_id(child_sa));
			}
			break;
		default:
			break;
	}
	return TRUE;
}

METHOD(listener_t, alert, bool,
	private_btns_latches_t *this, ike_sa_t *ike_sa, alert_t alert, va_list args)
{
	if (ike_sa && alert == ALERT_RETRANSMIT_SEND_TIMEOUT)
	{
		btns_latches_peer_dead(this->core, ike_sa->get_unique_id(ike_sa));
	}
	return TRUE;
}

/**
 * Selectors as the core has them.
 *
 * @return				owned by the caller, NULL if some are no addresses
 */
static btns_ts_t *convert(linked_list_t *list, size_t *count)
{
	btns_ts_t *out;

	out = calloc(list->get_count(list) + 1, sizeof(btns_ts_t));
	if (!btns_ts_from_list(list, out, count))
	{
		free(out);
		return NULL;
	}
	return out;
}

METHOD(btns_latches_t, may_add, bool,
	private_btns_latches_t *this, ike_sa_t *ike_sa, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data, btns_reason_t *reason)
{
	btns_latches_sa_t kernel = {
		.reqid = data->reqid,
	};
	btns_ts_t *local, *remote;
	held_t *held;
	bool ok;

	*reason = BTNS_REASON_NONE;
	held = take(this, CHILD_INSTALLING);
	if (!held || held->sa != ike_sa->get_unique_id(ike_sa))
	{	/* not the first of its CHILD_SA */
		free(held);
		return TRUE;
	}
	local = convert(data->inbound ? data->dst_ts : data->src_ts,
					&held->child.local_count);
	remote = convert(data->inbound ? data->src_ts : data->dst_ts,
					 &held->child.remote_count);
	held->child.local = local;
	held->child.remote = remote;
	btns_addr_from_host(data->inbound ? id->dst : id->src, &kernel.local);
	btns_addr_from_host(data->inbound ? id->src : id->dst, &kernel.remote);
	ok = btns_latches_before_install(this->core, held->sa, &held->child, &kernel,
								   reason) == BTNS_STATUS_OK;
	ok = ok || !held->child.btns;
	free(local);
	free(remote);
	free(held);
	return ok;
}

METHOD(btns_latches_t, moved, void,
	private_btns_latches_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	held_t *held = this->held->get(this->held);
	btns_addr_t local, remote;
	bool inbound;

	if (held && held->state == CHILD_UPDATING)
	{
		inbound = id->spi == held->spi;
		btns_addr_from_host(inbound ? data->new_dst : data->new_src, &local);
		btns_addr_from_host(inbound ? data->new_src : data->new_dst, &remote);
		btns_latches_moved(this->core, held->child.child, &local, &remote);
	}
}

METHOD(btns_latches_t, gone, void,
	private_btns_latches_t *this)
{
	held_t *held;

	held = take(this, CHILD_DESTROYING);
	if (held)
	{
		btns_latches_gone(this->core, held->child.child);
		free(held);
	}
}

METHOD(btns_latches_t, is_latched, bool,
	private_btns_latches_t *this, uint32_t reqid)
{
	return btns_latches_has_reqid(this->core, reqid);
}

METHOD(btns_latches_t, destroy, void,
	private_btns_latches_t *this)
{
	this->held->destroy(this->held);
	free(this);
}

/*
 * Described in header.
 */
btns_latches_t *btns_latches_create(btns_core_t *core)
{
	private_btns_latches_t *this;

	INIT(this,
		.public = {
			.listener = {
				.child_state_change = _child_state_change,
				.alert = _alert,
			},
			.may_add = _may_add,
			.moved = _moved,
			.gone = _gone,
			.is_latched = _is_latched,
			.destroy = _destroy,
		},
		.core = core,
		.held = thread_value_create(free),
	);
	return &this->public;
}
