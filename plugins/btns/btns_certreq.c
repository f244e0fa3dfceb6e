/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_certreq.h"

#include <encoding/payloads/certreq_payload.h>

/**
 * The encoding is the second octet of its own in a CERTREQ payload: the first
 * one is the type of the next payload.
 */
static uint8_t *get_encoding(payload_t *certreq)
{
	return payload_get_field(certreq, U_INT_8, 1);
}

/*
 * Described in header.
 */
payload_t *btns_certreq_create(u_int encoding)
{
	certreq_payload_t *certreq;
	uint8_t *field;

	certreq = certreq_payload_create_type(CERT_X509);
	if (!certreq)
	{
		return NULL;
	}
	field = get_encoding(&certreq->payload_interface);
	if (!field || *field != BTNS_ENCODING_X509)
	{
		certreq->destroy(certreq);
		return NULL;
	}
	*field = encoding;
	return &certreq->payload_interface;
}

/*
 * Described in header.
 */
u_int btns_certreq_encoding(payload_t *certreq)
{
	uint8_t *field = get_encoding(certreq);

	return field ? *field : 0;
}

/*
 * Described in header.
 */
u_int btns_certreq_take(ike_sa_t *ike_sa, message_t *message)
{
	enumerator_t *enumerator;
	payload_t *payload;
	u_int found = 0, bit;

	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (payload->get_type(payload) == PLV2_CERTREQ)
		{
			bit = btns_encoding_bit(btns_certreq_encoding(payload));
			if (bit & ~BTNS_ENCODING_BIT_X509)
			{
				found |= bit;
				message->remove_payload_at(message, enumerator);
				payload->destroy(payload);
			}
		}
	}
	enumerator->destroy(enumerator);
	if (found)
	{	/* as charon has it, whatever is asked for */
		ike_sa->set_condition(ike_sa, COND_CERTREQ_SEEN, TRUE);
	}
	return found;
}
