/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_null_local btns_null_local
 * Whether we ourselves use NULL authentication.
 * @{ @ingroup btns_null
 */

#ifndef BTNS_NULL_LOCAL_H_
#define BTNS_NULL_LOCAL_H_

#include <daemon.h>

typedef enum btns_null_local_t btns_null_local_t;

/**
 * How we authenticate on an IKE_SA.
 */
enum btns_null_local_t {

	/** not by NULL authentication */
	BTNS_NULL_LOCAL_NO = 0,

	/** by that */
	BTNS_NULL_LOCAL_YES,

	/** that is configured, where it is not possible */
	BTNS_NULL_LOCAL_BAD,
};

/**
 * How we authenticate in the current round: by NULL authentication where
 * auth = psk and id = "{13}:" are configured. What the peer says plays no part,
 * not even the identity that it asks for.
 *
 * @param ike_sa	IKE_SA, checked out by this thread, that has a connection
 */
btns_null_local_t btns_null_local(ike_sa_t *ike_sa);

#endif /** BTNS_NULL_LOCAL_H_ @}*/
