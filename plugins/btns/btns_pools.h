/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_pools btns_pools
 * The ranges of virtual IP pools that were loaded over vici.
 * @{ @ingroup btns
 */

#ifndef BTNS_POOLS_H_
#define BTNS_POOLS_H_

#include <daemon.h>

#include "btns/core.h"

typedef struct btns_pools_t btns_pools_t;

/**
 * Looks into the vici plugin, which tells its pools to clients only.
 */
struct btns_pools_t {

	/**
	 * Get the range of a pool.
	 *
	 * @param name		name of the pool
	 * @param range		all of its addresses, one more may be covered
	 * @return			FALSE if there is no such pool
	 */
	bool (*get)(btns_pools_t *this, char *name, btns_range_t *range);

	/**
	 * Destroy a btns_pools_t.
	 */
	void (*destroy)(btns_pools_t *this);
};

/**
 * Find the pools of the vici plugin.
 *
 * @return			NULL if there is no vici plugin, or not the expected one
 */
btns_pools_t *btns_pools_create();

#endif /** BTNS_POOLS_H_ @}*/
