/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_self_test btns_self_test
 * Is this the daemon that the plugin was built for?
 * @{ @ingroup btns
 */

#ifndef BTNS_SELF_TEST_H_
#define BTNS_SELF_TEST_H_

#include <daemon.h>

/**
 * Compare the version of the running daemon with the one that the plugin was
 * built for. Reads the daemon's executable, touches no object of the daemon.
 *
 * @return			FALSE if they differ, what was found is logged
 */
bool btns_check_version();

/**
 * Compare enumerators with the daemon's names for them, and push known keys
 * through every builder and encoder of strongSwan that the plugin uses:
 * enumerators in its headers have moved without a new version.
 *
 * @return			FALSE if a result is not the known one, which is logged
 */
bool btns_self_test();

#endif /** BTNS_SELF_TEST_H_ @}*/
