/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_latching btns_latching
 * How the btns-latch plugin reaches the core, which is in the btns plugin.
 * @{ @ingroup btns
 */

#ifndef BTNS_LATCHING_H_
#define BTNS_LATCHING_H_

#include <library.h>

#include "btns/core.h"

/**
 * Name under which the one btns_latching_t is found with lib->get(), and of the
 * feature that the btns-latch plugin provides.
 */
#define BTNS_LATCHING "btns-latch"

/**
 * What both plugins have to have in common: they are built together.
 */
#define BTNS_LATCHING_VERSION BTNS_VERSION " " BTNS_DAEMON_VERSION " " \
							  BTNS_DEBIAN_VERSION

typedef struct btns_latching_t btns_latching_t;

/**
 * Connection latching (RFC 5660), off until it is started. All methods may be
 * called by any thread.
 */
struct btns_latching_t {

	/**
	 * BTNS_LATCHING_VERSION of the btns plugin. First, so that it can be read
	 * whatever follows.
	 */
	const char *version;

	/**
	 * Begin: see btns_latches_start().
	 */
	btns_status_t (*start)(btns_latching_t *this,
						   const btns_latches_options_t *options, char *error);

	/**
	 * End: see btns_latches_stop(). wait() returns FALSE.
	 */
	void (*stop)(btns_latching_t *this);

	/**
	 * See btns_latches_wait().
	 */
	bool (*wait)(btns_latching_t *this, btns_latches_acquire_t *acquire);

	/**
	 * See btns_latches_refuse().
	 */
	void (*refuse)(btns_latching_t *this, uint64_t latch);

	/**
	 * Destroy a btns_latching_t. Not for other plugins.
	 */
	void (*destroy)(btns_latching_t *this);
};

/**
 * Create it, and register it.
 *
 * @param core		core, used until destroy
 */
btns_latching_t *btns_latching_create(btns_core_t *core);

#endif /** BTNS_LATCHING_H_ @}*/
