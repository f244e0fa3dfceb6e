/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * Numbers an authentication rule as if it had another one before it.
 */

#ifndef SHIFTED_RULES_H_
#define SHIFTED_RULES_H_

#include <library.h>
#include <credentials/auth_cfg.h>

#define AUTH_RULE_SUBJECT_CERT ((auth_rule_t)(AUTH_RULE_SUBJECT_CERT + 1))

#endif /** SHIFTED_RULES_H_ */
