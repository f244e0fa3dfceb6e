/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_null_self_test btns_null_self_test
 * Whether this daemon can do it.
 * @{ @ingroup btns_null
 */

#ifndef BTNS_NULL_SELF_TEST_H_
#define BTNS_NULL_SELF_TEST_H_

#include <library.h>

/**
 * Check what NULL authentication needs of the daemon beyond what the btns plugin
 * has checked. Logs what is wrong.
 */
bool btns_null_self_test();

#endif /** BTNS_NULL_SELF_TEST_H_ @}*/
