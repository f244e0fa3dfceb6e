/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_channels btns_channels
 * Tells the core what channel bindings are made of.
 * @{ @ingroup btns
 */

#ifndef BTNS_CHANNELS_H_
#define BTNS_CHANNELS_H_

#include <daemon.h>

#include <encoding/payloads/payload.h>

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
 * Compute the first octets of prf+ (RFC 7296, section 2.13).
 *
 * @param alg			PRF
 * @param key			key
 * @param seed			seed
 * @param out			BTNS_BINDING_LEN octets
 * @return				FALSE if there is no such PRF
 */
bool btns_prf_plus(pseudo_random_function_t alg, chunk_t key, chunk_t seed,
				   uint8_t *out);

/**
 * View the body of an IDx or AUTH payload of IKEv2.
 *
 * @param payload		payload
 * @param body			body, valid as long as the payload
 */
void btns_view_body(payload_t *payload, btns_body_t *body);

/**
 * Create what feeds the core.
 *
 * @param core			core, used until destroy
 * @param worker		worker, used until destroy
 */
btns_channels_t *btns_channels_create(btns_core_t *core,
									  btns_worker_t *worker);

#endif /** BTNS_CHANNELS_H_ @}*/
