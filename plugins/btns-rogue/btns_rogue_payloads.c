/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_rogue_payloads.h"

#include <encoding/parser.h>

/**
 * Octets of the generic payload header
 */
#define HEADER_LEN 4

typedef struct private_raw_t private_raw_t;

/**
 * A payload that is sent as it is.
 */
struct private_raw_t {

	/**
	 * Public interface
	 */
	payload_t public;

	/**
	 * What the payload before it announces
	 */
	payload_type_t type;

	/**
	 * Everything that is sent
	 */
	chunk_t data;
};

/**
 * There is nothing but the octets.
 */
static encoding_rule_t raw_encodings[] = {
	{ CHUNK_DATA,	offsetof(private_raw_t, data)	},
};

METHOD(payload_t, raw_verify, status_t,
	private_raw_t *this)
{
	return SUCCESS;
}

METHOD(payload_t, raw_get_encoding_rules, int,
	private_raw_t *this, encoding_rule_t **rules)
{
	*rules = raw_encodings;
	return countof(raw_encodings);
}

METHOD(payload_t, raw_get_header_length, int,
	private_raw_t *this)
{
	return 0;
}

METHOD(payload_t, raw_get_type, payload_type_t,
	private_raw_t *this)
{
	return this->type;
}

METHOD(payload_t, raw_get_next_type, payload_type_t,
	private_raw_t *this)
{
	return PL_NONE;
}

METHOD(payload_t, raw_set_next_type, void,
	private_raw_t *this, payload_type_t type)
{
}

METHOD(payload_t, raw_get_length, size_t,
	private_raw_t *this)
{
	return this->data.len;
}

METHOD(payload_t, raw_destroy, void,
	private_raw_t *this)
{
	chunk_free(&this->data);
	free(this);
}

/*
 * Described in header.
 */
payload_t *btns_rogue_raw_create(chunk_t item)
{
	private_raw_t *this;

	if (!item.len)
	{
		return NULL;
	}
	INIT(this,
		.public = {
			.verify = _raw_verify,
			.get_encoding_rules = _raw_get_encoding_rules,
			.get_header_length = _raw_get_header_length,
			.get_type = _raw_get_type,
			.get_next_type = _raw_get_next_type,
			.set_next_type = _raw_set_next_type,
			.get_length = _raw_get_length,
			.destroy = _raw_destroy,
		},
		.type = item.ptr[0],
		.data = chunk_clone(chunk_skip(item, 1)),
	);
	return &this->public;
}

/*
 * Described in header.
 */
payload_t *btns_rogue_payload_create(chunk_t item)
{
	payload_t *payload = NULL;
	parser_t *parser;
	chunk_t octets;
	size_t len = HEADER_LEN + item.len - 1;
	u_char header[HEADER_LEN] = { 0, 0, len >> 8, len };

	if (!item.len || len > UINT16_MAX ||
		!payload_is_known(item.ptr[0], IKEV2_MAJOR_VERSION))
	{
		return NULL;
	}
	octets = chunk_cata("cc", chunk_from_thing(header), chunk_skip(item, 1));
	parser = parser_create(octets);
	parser->set_major_version(parser, IKEV2_MAJOR_VERSION);
	if (parser->parse_payload(parser, item.ptr[0], &payload) != SUCCESS)
	{
		payload = NULL;
	}
	parser->destroy(parser);
	return payload;
}
