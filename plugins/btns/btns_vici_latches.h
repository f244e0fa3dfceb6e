/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vici_latches btns_vici_latches
 * Connection latches on charon's vici socket.
 * @{ @ingroup btns
 */

#ifndef BTNS_VICI_LATCHES_H_
#define BTNS_VICI_LATCHES_H_

#include <daemon.h>

#include <plugins/vici/vici_builder.h>
#include <plugins/vici/vici_dispatcher.h>

#include "btns/core.h"

typedef struct btns_vici_latches_t btns_vici_latches_t;

/**
 * Registers the commands btns-list-latches and btns-close-latch, and raises
 * btns-latch-changed for every state that a latch comes into.
 */
struct btns_vici_latches_t {

	/**
	 * Unregister and destroy a btns_vici_latches_t.
	 */
	void (*destroy)(btns_vici_latches_t *this);
};

/**
 * Register.
 *
 * @param core			core, used until destroy
 * @param dispatcher	vici's, used until destroy
 * @param builder		vici_builder_create() in the vici plugin
 */
btns_vici_latches_t *btns_vici_latches_create(btns_core_t *core,
						vici_dispatcher_t *dispatcher,
						vici_builder_t *(*builder)());

#endif /** BTNS_VICI_LATCHES_H_ @}*/
