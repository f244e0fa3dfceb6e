/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_rogue_rules.h"
#include "btns_rogue_payloads.h"

#include <collections/linked_list.h>
#include <encoding/payloads/auth_payload.h>
#include <encoding/payloads/notify_payload.h>
#include <threading/mutex.h>

typedef struct private_btns_rogue_rules_t private_btns_rogue_rules_t;

/**
 * Private data of a btns_rogue_rules_t.
 */
struct private_btns_rogue_rules_t {

	/**
	 * Public interface
	 */
	btns_rogue_rules_t public;

	/**
	 * Rules, btns_rogue_rule_t
	 */
	linked_list_t *rules;

	/**
	 * Guards the rules
	 */
	mutex_t *mutex;
};

/**
 * TRUE if a number is in an array of them.
 */
static bool contains(array_t *array, u_int number)
{
	u_int i, element;

	for (i = 0; i < array_count(array); i++)
	{
		array_get(array, i, &element);
		if (element == number)
		{
			return TRUE;
		}
	}
	return FALSE;
}

/**
 * TRUE if the rule takes a payload out.
 */
static bool drops(btns_rogue_rule_t *rule, payload_t *payload)
{
	notify_payload_t *notify = (notify_payload_t*)payload;

	return contains(rule->drop, payload->get_type(payload)) ||
		   (payload->get_type(payload) == PLV2_NOTIFY &&
			contains(rule->drop_notifies, notify->get_notify_type(notify)));
}

/**
 * Change the payloads of a message.
 */
static void change(btns_rogue_rule_t *rule, message_t *message)
{
	enumerator_t *enumerator;
	payload_t *payload;
	chunk_t item;
	u_int i;

	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (drops(rule, payload))
		{
			message->remove_payload_at(message, enumerator);
			payload->destroy(payload);
		}
	}
	enumerator->destroy(enumerator);

	for (i = 0; i < array_count(rule->add); i++)
	{
		array_get(rule->add, i, &item);
		payload = btns_rogue_payload_create(item);
		if (payload)
		{
			message->add_payload(message, payload);
		}
	}
	payload = message->get_payload(message, PLV2_AUTH);
	if (rule->auth_method && payload)
	{
		auth_payload_t *auth = (auth_payload_t*)payload;

		auth->set_auth_method(auth, rule->auth_method);
	}
	if (rule->raw.len)
	{
		message->disable_sort(message);
		message->add_payload(message, btns_rogue_raw_create(rule->raw));
	}
	if (rule->lose)
	{
		message->set_exchange_type(message, EXCHANGE_TYPE_UNDEFINED);
	}
}

/**
 * Send an encrypted message again and again.
 */
static void send_copies(btns_rogue_rule_t *rule, message_t *message)
{
	packet_t *packet;
	u_int i;

	for (i = 0; i < rule->copies; i++)
	{
		packet = message->get_packet(message);
		if (packet)
		{
			charon->sender->send(charon->sender, packet);
		}
	}
}

/**
 * TRUE if the rule is about this message, which counts as one of its messages.
 */
static bool applies(btns_rogue_rule_t *rule, message_t *message, bool incoming,
					bool plain)
{
	if (rule->incoming != incoming ||
		rule->exchange != message->get_exchange_type(message) ||
		rule->request != message->get_request(message) ||
		plain != (rule->copies == 0))
	{
		return FALSE;
	}
	if (rule->skip)
	{
		rule->skip--;
		return FALSE;
	}
	return !rule->times || rule->applied < rule->times;
}

METHOD(listener_t, message_, bool,
	private_btns_rogue_rules_t *this, ike_sa_t *ike_sa, message_t *message,
	bool incoming, bool plain)
{
	enumerator_t *enumerator;
	btns_rogue_rule_t *rule;

	if (message->get_major_version(message) != IKEV2_MAJOR_VERSION)
	{
		return TRUE;
	}
	this->mutex->lock(this->mutex);
	enumerator = this->rules->create_enumerator(this->rules);
	while (enumerator->enumerate(enumerator, &rule))
	{
		if (applies(rule, message, incoming, plain))
		{
			rule->applied++;
			DBG1(DBG_IKE, "btns-rogue: rule '%s'", rule->name);
			if (plain)
			{
				change(rule, message);
			}
			else
			{
				send_copies(rule, message);
			}
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	return TRUE;
}

METHOD(btns_rogue_rules_t, add, void,
	private_btns_rogue_rules_t *this, btns_rogue_rule_t *rule)
{
	this->mutex->lock(this->mutex);
	this->rules->insert_last(this->rules, rule);
	this->mutex->unlock(this->mutex);
}

METHOD(btns_rogue_rules_t, clear, void,
	private_btns_rogue_rules_t *this)
{
	btns_rogue_rule_t *rule;

	this->mutex->lock(this->mutex);
	while (this->rules->remove_last(this->rules, (void**)&rule) == SUCCESS)
	{
		btns_rogue_rule_destroy(rule);
	}
	this->mutex->unlock(this->mutex);
}

CALLBACK(filter_rules, bool,
	void *unused, enumerator_t *orig, va_list args)
{
	btns_rogue_rule_t *rule;
	char **name;
	u_int *applied;

	VA_ARGS_VGET(args, name, applied);
	if (orig->enumerate(orig, &rule))
	{
		*name = rule->name;
		*applied = rule->applied;
		return TRUE;
	}
	return FALSE;
}

METHOD(btns_rogue_rules_t, create_enumerator, enumerator_t*,
	private_btns_rogue_rules_t *this)
{
	this->mutex->lock(this->mutex);
	return enumerator_create_filter(
				this->rules->create_enumerator(this->rules), filter_rules,
				this->mutex, (void*)this->mutex->unlock);
}

METHOD(btns_rogue_rules_t, destroy, void,
	private_btns_rogue_rules_t *this)
{
	clear(this);
	this->rules->destroy(this->rules);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * Described in header.
 */
btns_rogue_rule_t *btns_rogue_rule_create()
{
	btns_rogue_rule_t *rule;

	INIT(rule,
		.request = TRUE,
		.times = 1,
		.drop = array_create(sizeof(u_int), 0),
		.drop_notifies = array_create(sizeof(u_int), 0),
		.add = array_create(sizeof(chunk_t), 0),
	);
	return rule;
}

/*
 * Described in header.
 */
void btns_rogue_rule_destroy(btns_rogue_rule_t *rule)
{
	chunk_t item;

	while (array_remove(rule->add, ARRAY_TAIL, &item))
	{
		chunk_free(&item);
	}
	array_destroy(rule->add);
	array_destroy(rule->drop);
	array_destroy(rule->drop_notifies);
	chunk_free(&rule->raw);
	free(rule->name);
	free(rule);
}

/*
 * Described in header.
 */
btns_rogue_rules_t *btns_rogue_rules_create()
{
	private_btns_rogue_rules_t *this;

	INIT(this,
		.public = {
			.listener = {
				.message = _message_,
			},
			.add = _add,
			.clear = _clear,
			.create_enumerator = _create_enumerator,
			.destroy = _destroy,
		},
		.rules = linked_list_create(),
		.mutex = mutex_create(MUTEX_TYPE_RECURSIVE),
	);
	return &this->public;
}
