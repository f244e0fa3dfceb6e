/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_shunts btns_shunts
 * Policies that go before all CHILD_SAs.
 * @{ @ingroup btns
 */

#ifndef BTNS_SHUNTS_H_
#define BTNS_SHUNTS_H_

#include "btns/core.h"

/**
 * Tell the core which shunts charon has installed: it tells nobody when they
 * change. Not to be called in a hook.
 *
 * @param core			core
 */
void btns_tell_shunts(btns_core_t *core);

#endif /** BTNS_SHUNTS_H_ @}*/
