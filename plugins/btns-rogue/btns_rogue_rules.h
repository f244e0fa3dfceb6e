/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_rogue_rules btns_rogue_rules
 * What a rogue does to IKEv2 messages, by script.
 * @{ @ingroup btns_rogue
 */

#ifndef BTNS_ROGUE_RULES_H_
#define BTNS_ROGUE_RULES_H_

#include <daemon.h>

#include <collections/array.h>

/**
 * Most copies that may be sent of a message.
 */
#define BTNS_ROGUE_MAX_COPIES 1000

typedef struct btns_rogue_rule_t btns_rogue_rule_t;
typedef struct btns_rogue_rules_t btns_rogue_rules_t;

/**
 * One rule: which messages, and what happens to them.
 */
struct btns_rogue_rule_t {

	/**
	 * By what the test knows it
	 */
	char *name;

	/**
	 * TRUE for messages that are received, before any task sees them; FALSE
	 * for those that are sent, after all tasks have built them
	 */
	bool incoming;

	/**
	 * Exchange of the messages
	 */
	exchange_type_t exchange;

	/**
	 * TRUE for requests, FALSE for responses
	 */
	bool request;

	/**
	 * Messages to leave alone before the first one
	 */
	u_int skip;

	/**
	 * Messages to change, 0 for all that come
	 */
	u_int times;

	/**
	 * Types of payloads to remove, u_int
	 */
	array_t *drop;

	/**
	 * Types of Notify payloads to remove, u_int
	 */
	array_t *drop_notifies;

	/**
	 * Payloads to add, chunk_t for btns_rogue_payload_create()
	 */
	array_t *add;

	/**
	 * Method that AUTH payloads are said to have, whatever they were made by; 0
	 * to leave them as they are
	 */
	u_int auth_method;

	/**
	 * Octets to send at the end, for btns_rogue_raw_create(), may be empty
	 */
	chunk_t raw;

	/**
	 * How often the encrypted message is sent once more; such a rule does
	 * nothing else
	 */
	u_int copies;

	/**
	 * TRUE to lose received messages
	 */
	bool lose;

	/**
	 * Messages changed so far
	 */
	u_int applied;
};

/**
 * The rules, and the bus listener that applies them.
 */
struct btns_rogue_rules_t {

	/**
	 * Implements the listener interface.
	 */
	listener_t listener;

	/**
	 * Add a rule.
	 *
	 * @param rule		from btns_rogue_rule_create(), adopted
	 */
	void (*add)(btns_rogue_rules_t *this, btns_rogue_rule_t *rule);

	/**
	 * Forget all rules.
	 */
	void (*clear)(btns_rogue_rules_t *this);

	/**
	 * Enumerate the names of the rules and how often each was applied. Holds a
	 * lock until the enumerator is destroyed.
	 *
	 * @return			enumerator over (char*, u_int)
	 */
	enumerator_t *(*create_enumerator)(btns_rogue_rules_t *this);

	/**
	 * Destroy a btns_rogue_rules_t, which must not be on the bus any more.
	 */
	void (*destroy)(btns_rogue_rules_t *this);
};

/**
 * Create a rule that does nothing.
 */
btns_rogue_rule_t *btns_rogue_rule_create();

/**
 * Destroy a rule.
 */
void btns_rogue_rule_destroy(btns_rogue_rule_t *rule);

/**
 * Create a btns_rogue_rules_t instance.
 */
btns_rogue_rules_t *btns_rogue_rules_create();

#endif /** BTNS_ROGUE_RULES_H_ @}*/
