/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_null_wire btns_null_wire
 * NULL authentication as it is on the wire.
 * @{ @ingroup btns_null
 */

#ifndef BTNS_NULL_WIRE_H_
#define BTNS_NULL_WIRE_H_

#include "btns_nulls.h"

/**
 * Its AUTH method has another number than that of shared keys, which it is
 * computed like (RFC 7619, section 2.1): strongSwan sees the latter. There is
 * nothing to say to anybody about IKE_SAs from before, or to believe
 * (section 2.3).
 */
extern btns_null_wire_t btns_null_wire;

#endif /** BTNS_NULL_WIRE_H_ @}*/
