/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_app btns_app
 * The application socket: where applications ask what protects their
 * connections.
 * @{ @ingroup btns
 */

#ifndef BTNS_APP_H_
#define BTNS_APP_H_

#include <library.h>

#include "btns/core.h"

typedef struct btns_app_t btns_app_t;

/**
 * The application socket.
 */
struct btns_app_t {

	/**
	 * Serve as the options say now: at another place, or not at all.
	 *
	 * @return			FALSE if an option is not understood, or the socket cannot
	 *					be made; then nobody is served
	 */
	bool (*reload)(btns_app_t *this);

	/**
	 * End all service, destroy this.
	 */
	void (*destroy)(btns_app_t *this);
};

/**
 * Create it, and serve if the options say so.
 *
 * @param core		has to live longer
 */
btns_app_t *btns_app_create(btns_core_t *core);

#endif /** BTNS_APP_H_ @}*/
