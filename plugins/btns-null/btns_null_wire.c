/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_null_wire.h"
#include "btns_null_local.h"

#include <encoding/payloads/auth_payload.h>
#include <encoding/payloads/notify_payload.h>

/**
 * Take INITIAL_CONTACT out of a message.
 */
static void remove_initial_contact(message_t *message)
{
	notify_payload_t *notify;
	enumerator_t *enumerator;
	payload_t *payload;

	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		notify = (notify_payload_t*)payload;
		if (payload->get_type(payload) == PLV2_NOTIFY &&
			notify->get_notify_type(notify) == INITIAL_CONTACT)
		{
			message->remove_payload_at(message, enumerator);
			payload->destroy(payload);
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * Change the method of a message's AUTH payload.
 */
static void change_method(message_t *message, auth_method_t from,
						  auth_method_t to)
{
	auth_payload_t *auth;

	auth = (auth_payload_t*)message->get_payload(message, PLV2_AUTH);
	if (auth && auth->get_auth_method(auth) == from)
	{
		auth->set_auth_method(auth, to);
		remove_initial_contact(message);
	}
}

/**
 * Implements btns_null_wire_t.received
 */
static void received(btns_null_wire_t *this, ike_sa_t *ike_sa,
					 message_t *message)
{
	change_method(message, AUTH_NULL, AUTH_PSK);
}

/**
 * Implements btns_null_wire_t.sends
 */
static void sends(btns_null_wire_t *this, ike_sa_t *ike_sa, message_t *message)
{
	if (btns_null_local(ike_sa) == BTNS_NULL_LOCAL_YES)
	{
		change_method(message, AUTH_PSK, AUTH_NULL);
	}
}

/*
 * Described in header.
 */
btns_null_wire_t btns_null_wire = {
	.received = received,
	.sends = sends,
};
