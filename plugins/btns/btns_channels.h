/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_channels btns_channels
 * Tells the core what channel bindings are made of.
 * @{ @ingroup btns
 */

#ifndef BTNS_CHANNELS_H_
#define BTNS_CHANNELS_H_

#include <daemon.h>

#include "btns_worker.h"

typedef struct btns_channels_t btns_channels_t;
typedef struct btns_algorithms_t btns_algorithms_t;

/**
 * Follows each IKE_SA from IKE_SA_INIT on: the messages that it is made of, how
 * both sides authenticate, where its packets go.
 */
struct btns_channels_t {

	/**
	 * To be registered on the bus behind the btns_listener_t
	 */
	listener_t listener;

	/**
	 * Destroy a btns_channels_t, after the listener was removed.
	 */
	void (*destroy)(btns_channels_t *this);
};

/**
 * Names of a CHILD_SA's algorithms.
 */
struct btns_algorithms_t {
	char encryption[BTNS_ALGORITHM_MAX];
	char integrity[BTNS_ALGORITHM_MAX];
};

/**
 * Describe what a CHILD_SA gives to the packets in it.
 *
 * @param child_sa		CHILD_SA that is installed
 * @param child			gets pointers into names
 * @param names			gets the names
 */
void btns_describe_channel(child_sa_t *child_sa, btns_child_t *child,
						   btns_algorithms_t *names);

/**
 * Compute prf+(SK_d, seed) with the PRF of an IKE_SA (RFC 7296, section 2.13).
 *
 * @param keymat		keys of an IKE_SA of IKEv2
 * @param seed			seed
 * @param out			BTNS_BINDING_LEN octets
 * @return				FALSE if there are no keys or no such PRF
 */
bool btns_derive_binding(keymat_t *keymat, chunk_t seed, uint8_t *out);

/**
 * Create what feeds the core.
 *
 * @param core			core, used until destroy
 * @param worker		worker, used until destroy
 */
btns_channels_t *btns_channels_create(btns_core_t *core,
									  btns_worker_t *worker);

#endif /** BTNS_CHANNELS_H_ @}*/
