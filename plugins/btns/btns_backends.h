/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_backends btns_backends
 * Decorator on charon's backend manager, through which PAD lookups go.
 * @{ @ingroup btns
 */

#ifndef BTNS_BACKENDS_H_
#define BTNS_BACKENDS_H_

#include "btns_pad.h"

typedef struct btns_backends_t btns_backends_t;

/**
 * Stands in front of charon->backends. Delegates everything; of what a lookup
 * for a peer yields it keeps what the PAD decides, and entries with the flag
 * are yielded to nobody but an IKEv2 responder's peer that is a stranger.
 */
struct btns_backends_t {

	/**
	 * Implements the backend manager's interface.
	 */
	backend_manager_t manager;

	/**
	 * Put charon's own backend manager back, if nobody else came in front, and
	 * destroy the decorator. If somebody did, it stays and only delegates.
	 */
	void (*remove)(btns_backends_t *this);
};

/**
 * Create the decorator and put it in front of charon->backends.
 *
 * @param pad		PAD, used until remove
 * @param core		core, used until remove
 */
btns_backends_t *btns_backends_create(btns_pad_t *pad, btns_core_t *core);

#endif /** BTNS_BACKENDS_H_ @}*/
