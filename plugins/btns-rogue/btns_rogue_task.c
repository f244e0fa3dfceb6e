/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_rogue_task.h"
#include "btns_rogue_payloads.h"

typedef struct private_btns_rogue_task_t private_btns_rogue_task_t;

/**
 * Private data of the task.
 */
struct private_btns_rogue_task_t {

	/**
	 * Public interface
	 */
	task_t public;

	/**
	 * Exchange type of the request
	 */
	exchange_type_t exchange;

	/**
	 * Payloads to send
	 */
	array_t *items;
};

METHOD(task_t, build, status_t,
	private_btns_rogue_task_t *this, message_t *message)
{
	payload_t *payload;
	chunk_t item;
	u_int i;

	message->set_exchange_type(message, this->exchange);
	for (i = 0; i < array_count(this->items); i++)
	{
		array_get(this->items, i, &item);
		payload = btns_rogue_payload_create(item);
		if (payload)
		{
			message->add_payload(message, payload);
		}
	}
	return NEED_MORE;
}

METHOD(task_t, process, status_t,
	private_btns_rogue_task_t *this, message_t *message)
{
	return SUCCESS;
}

METHOD(task_t, get_type, task_type_t,
	private_btns_rogue_task_t *this)
{
	/* the task manager initiates those types only that it knows */
	return TASK_IKE_DPD;
}

METHOD(task_t, migrate, void,
	private_btns_rogue_task_t *this, ike_sa_t *ike_sa)
{
}

METHOD(task_t, destroy, void,
	private_btns_rogue_task_t *this)
{
	chunk_t item;

	while (array_remove(this->items, ARRAY_TAIL, &item))
	{
		chunk_free(&item);
	}
	array_destroy(this->items);
	free(this);
}

/*
 * Described in header.
 */
task_t *btns_rogue_task_create(exchange_type_t exchange, array_t *items)
{
	private_btns_rogue_task_t *this;

	INIT(this,
		.public = {
			.get_type = _get_type,
			.build = _build,
			.process = _process,
			.migrate = _migrate,
			.destroy = _destroy,
		},
		.exchange = exchange,
		.items = items,
	);
	return &this->public;
}
