/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vici btns_vici
 * Commands and events on charon's own vici socket.
 * @{ @ingroup btns
 */

#ifndef BTNS_VICI_H_
#define BTNS_VICI_H_

#include "btns_pad.h"
#include "btns_worker.h"

typedef struct btns_vici_t btns_vici_t;

/**
 * Answers btns-list-peers, btns-list-pad, btns-stats and btns-explain, and
 * raises btns-rejected.
 */
struct btns_vici_t {

	/**
	 * Destroy a btns_vici_t, unregistering everything.
	 */
	void (*destroy)(btns_vici_t *this);
};

/**
 * Register with the vici plugin.
 *
 * @param core		core, used until destroy
 * @param pad		PAD, used until destroy
 * @param worker	worker, used until destroy
 * @return			NULL if the vici plugin is not what it is expected to be
 */
btns_vici_t *btns_vici_create(btns_core_t *core, btns_pad_t *pad,
							  btns_worker_t *worker);

#endif /** BTNS_VICI_H_ @}*/
