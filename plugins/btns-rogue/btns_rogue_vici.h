/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_rogue_vici btns_rogue_vici
 * vici commands by which a test scripts the rogue.
 *
 * btns-rogue-rule		add a rule, see btns_rogue_rule_t
 *						name, exchange = <number>, incoming, response,
 *						skip, times, copies, lose, drop [types],
 *						drop-notifies [types], add [octets], raw = octets
 * btns-rogue-rules		answers with the name of each rule and how often it was
 *						applied
 * btns-rogue-clear		forget all rules
 * btns-rogue-send		send a request, see btns_rogue_task_create()
 *						uniqueid, exchange = <number>, add [octets]
 * @{ @ingroup btns_rogue
 */

#ifndef BTNS_ROGUE_VICI_H_
#define BTNS_ROGUE_VICI_H_

#include "btns_rogue_rules.h"

typedef struct btns_rogue_vici_t btns_rogue_vici_t;

/**
 * vici commands.
 */
struct btns_rogue_vici_t {

	/**
	 * Unregister the commands and destroy the object.
	 */
	void (*destroy)(btns_rogue_vici_t *this);
};

/**
 * Register with the vici plugin.
 *
 * @param rules		rules, used until destroy
 * @return			NULL if the vici plugin is not what it is expected to be
 */
btns_rogue_vici_t *btns_rogue_vici_create(btns_rogue_rules_t *rules);

#endif /** BTNS_ROGUE_VICI_H_ @}*/
