/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vici_channels btns_vici_channels
 * Channels and their bindings on charon's vici socket.
 * @{ @ingroup btns
 */

#ifndef BTNS_VICI_CHANNELS_H_
#define BTNS_VICI_CHANNELS_H_

#include <daemon.h>

#include <plugins/vici/vici_builder.h>
#include <plugins/vici/vici_dispatcher.h>

#include "btns_worker.h"

typedef struct btns_vici_channels_t btns_vici_channels_t;

/**
 * Registers the command btns-get-bindings and the events about peers.
 */
struct btns_vici_channels_t {

	/**
	 * Unregister and destroy a btns_vici_channels_t.
	 */
	void (*destroy)(btns_vici_channels_t *this);
};

/**
 * Register.
 *
 * @param core			core, used until destroy
 * @param worker		worker, used until destroy
 * @param dispatcher	vici's, used until destroy
 * @param builder		vici_builder_create() in the vici plugin
 */
btns_vici_channels_t *btns_vici_channels_create(btns_core_t *core,
						btns_worker_t *worker, vici_dispatcher_t *dispatcher,
						vici_builder_t *(*builder)());

#endif /** BTNS_VICI_CHANNELS_H_ @}*/
