/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_latch_sas btns_latch_sas
 * How SAs for a latched connection are asked for.
 * @{ @ingroup btns_latch
 */

#ifndef BTNS_LATCH_SAS_H_
#define BTNS_LATCH_SAS_H_

#include <library.h>

#include "btns/core.h"

/**
 * Have charon negotiate SAs for a flow, as if its first packet had come: by a
 * trap that takes it, else by a child of a connection whose remote address is
 * literally the flow's. Returns before they are there, which may be never. Not
 * to be called in a hook.
 *
 * @param flow		local port may be 0
 * @param narrow	the SAs are to be for this flow alone
 * @return			FALSE if no configuration says how
 */
bool btns_latch_sas_acquire(const btns_flow_t *flow, bool narrow);

#endif /** BTNS_LATCH_SAS_H_ @}*/
