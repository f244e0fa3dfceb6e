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
 * Longest path of a socket, with NUL.
 */
#define BTNS_PATH_LEN 108

/**
 * Where applications can ask, and who may: charon.plugins.btns.socket*
 */
typedef struct {

	/**
	 * Path, empty for nowhere
	 */
	char path[BTNS_PATH_LEN];

	/**
	 * Permissions of the socket
	 */
	u_int mode;

	/**
	 * Group of the socket, UINT32_MAX for that of charon
	 */
	uint32_t group;

} btns_socket_t;

/**
 * Read the options. A value that is not understood is logged, and no stranger
 * is admitted until it is mended.
 *
 * @param settings	filled in
 * @return			FALSE if a value was not understood
 */
bool btns_options_read(btns_settings_t *settings);

/**
 * Read the options of the application socket. A value that is not understood is
 * logged, and there is no socket until it is mended.
 *
 * @param socket	filled in
 * @return			FALSE if a value was not understood
 */
bool btns_options_read_socket(btns_socket_t *socket);

#endif /** BTNS_OPTIONS_H_ @}*/
