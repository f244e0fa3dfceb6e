/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_listener btns_listener
 * The hooks on charon's bus.
 * @{ @ingroup btns
 */

#ifndef BTNS_LISTENER_H_
#define BTNS_LISTENER_H_

#include "btns_pad.h"
#include "btns_worker.h"

#include <bus/listeners/listener.h>

typedef struct btns_listener_t btns_listener_t;

/**
 * Tells the core what happens and charon what the core decided. All hooks run
 * with the bus locked: they copy, look up and decide, but parse nothing, call
 * no other manager of charon's, and always stay registered, as what a hook
 * returns is no verdict.
 */
struct btns_listener_t {

	/**
	 * Implements the listener's interface.
	 */
	listener_t listener;

	/**
	 * Destroy a btns_listener_t.
	 */
	void (*destroy)(btns_listener_t *this);
};

/**
 * Create the listener.
 *
 * @param core		core, used until destroy
 * @param worker	worker, used until destroy
 */
btns_listener_t *btns_listener_create(btns_core_t *core, btns_worker_t *worker);

#endif /** BTNS_LISTENER_H_ @}*/
