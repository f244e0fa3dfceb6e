/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_nulls btns_nulls
 * How the btns-null plugin reaches the core, which is in the btns plugin, and
 * when it sees messages.
 * @{ @ingroup btns
 */

#ifndef BTNS_NULLS_H_
#define BTNS_NULLS_H_

#include <daemon.h>

#include "btns/core.h"
#include "btns_pad.h"
#include "btns_worker.h"

/**
 * Name under which the one btns_nulls_t is found with lib->get(), and of the
 * feature that the btns-null plugin provides.
 */
#define BTNS_NULLS "btns-null"

/**
 * What both plugins have to have in common: they are built together.
 */
#define BTNS_NULLS_VERSION BTNS_VERSION " " BTNS_DAEMON_VERSION " " \
						   BTNS_DEBIAN_VERSION

typedef enum btns_null_answer_t btns_null_answer_t;
typedef struct btns_null_wire_t btns_null_wire_t;
typedef struct btns_nulls_t btns_nulls_t;

/**
 * Whose key an AUTH payload is verified with.
 */
enum btns_null_answer_t {

	/** the peer does not use NULL authentication: somebody's */
	BTNS_NULL_SOMEBODY = 0,

	/** it does, and is allowed to: nobody's */
	BTNS_NULL_NOBODY,

	/** it does, and is not allowed to: none at all */
	BTNS_NULL_REFUSED,
};

/**
 * What NULL authentication makes of messages. Called in a bus hook.
 */
struct btns_null_wire_t {

	/**
	 * An IKE_AUTH message with NULL authentication was received, and everybody
	 * else has seen it as it was.
	 */
	void (*received)(btns_null_wire_t *this, ike_sa_t *ike_sa,
					 message_t *message);

	/**
	 * An IKE_AUTH message is to be sent, and nobody else has seen it.
	 */
	void (*sends)(btns_null_wire_t *this, ike_sa_t *ike_sa, message_t *message);
};

/**
 * NULL authentication (RFC 7619), off until it is started.
 */
struct btns_nulls_t {

	/**
	 * BTNS_NULLS_VERSION of the btns plugin. First, so that it can be read
	 * whatever follows.
	 */
	const char *version;

	/**
	 * Hears of messages before any other listener of ours does.
	 */
	listener_t first;

	/**
	 * Hears of messages after all other listeners of ours.
	 */
	listener_t last;

	/**
	 * From now on there is NULL authentication, or its options change.
	 *
	 * @param wire		used until stop()
	 */
	btns_status_t (*start)(btns_nulls_t *this,
						   const btns_null_options_t *options,
						   btns_null_wire_t *wire);

	/**
	 * There is none any more.
	 */
	void (*stop)(btns_nulls_t *this);

	/**
	 * Whose key the AUTH payload of the peer of an IKE_SA is to be verified
	 * with, in the message that is being processed. For an initiator the
	 * decision is made here. Not to be called in a bus hook.
	 *
	 * @param id		asserted identity
	 */
	btns_null_answer_t (*ask)(btns_nulls_t *this, ike_sa_t *ike_sa,
							  identification_t *id);

	/**
	 * Destroy a btns_nulls_t. Not for other plugins.
	 */
	void (*destroy)(btns_nulls_t *this);
};

/**
 * Create it, and register it. The listeners are not on the bus yet.
 *
 * @param core		core, used until destroy
 * @param pad		PAD, used until destroy
 * @param worker	worker, used until destroy
 */
btns_nulls_t *btns_nulls_create(btns_core_t *core, btns_pad_t *pad,
								btns_worker_t *worker);

#endif /** BTNS_NULLS_H_ @}*/
