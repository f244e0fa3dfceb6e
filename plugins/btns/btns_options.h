/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_options btns_options
 * charon.plugins.btns.*
 * @{ @ingroup btns
 */

#ifndef BTNS_OPTIONS_H_
#define BTNS_OPTIONS_H_

#include <daemon.h>

#include "btns/core.h"

/**
 * Ranges in charon.plugins.btns.reserve, at most.
 */
#define BTNS_RESERVE_MAX 256

/**
 * Options and what their pointers point to.
 */
typedef struct {

	/**
	 * Options for the core
	 */
	btns_options_t core;

	/**
	 * Ranges of core.reserve
	 */
	btns_range_t reserve[BTNS_RESERVE_MAX];

} btns_settings_t;

/**
 * Read the options. A value that is not understood is logged, and no stranger
 * is admitted until it is mended.
 *
 * @param settings	filled in
 * @return			FALSE if a value was not understood
 */
bool btns_options_read(btns_settings_t *settings);

#endif /** BTNS_OPTIONS_H_ @}*/
