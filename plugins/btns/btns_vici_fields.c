/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_vici_fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/**
 * A request as it is read.
 */
typedef struct {
	btns_vici_field_t *fields;
	int count;
	char *error;
} request_t;

/**
 * Say what is wrong. FALSE, always.
 */
static bool wrong(request_t *this, char *format, char *name)
{
	snprintf(this->error, BTNS_VICI_ERROR_LEN, format, name);
	return FALSE;
}

CALLBACK(parse_section, bool,
	request_t *this, vici_message_t *message, vici_parse_context_t *ctx,
	char *name)
{
	return wrong(this, "unexpected section '%.32s'", name);
}

CALLBACK(parse_list, bool,
	request_t *this, vici_message_t *message, char *name, chunk_t value)
{
	return wrong(this, "unexpected list '%.32s'", name);
}

CALLBACK(parse_value, bool,
	request_t *this, vici_message_t *message, char *name, chunk_t value)
{
	btns_vici_field_t *field;

	for (field = this->fields; field < this->fields + this->count; field++)
	{
		if (!streq(field->name, name))
		{
			continue;
		}
		if (!value.len || value.len >= sizeof(field->value) ||
			!chunk_printable(value, NULL, 0))
		{
			return wrong(this, "invalid value for '%s'", name);
		}
		if (field->value[0])
		{
			return wrong(this, "'%s' is there twice", name);
		}
		memcpy(field->value, value.ptr, value.len);
		return TRUE;
	}
	return wrong(this, "unknown field '%.32s'", name);
}

/*
 * Described in header.
 */
bool btns_vici_fields_read(vici_message_t *message, btns_vici_field_t *fields,
						   int count, char *error)
{
	request_t this = {
		.fields = fields,
		.count = count,
		.error = error,
	};
	int i;

	error[0] = '\0';
	for (i = 0; i < count; i++)
	{
		memset(fields[i].value, 0, sizeof(fields[i].value));
	}
	if (!message->parse(message, NULL, parse_section, parse_value, parse_list,
						&this))
	{
		return error[0] ? FALSE : wrong(&this, "%s", "malformed request");
	}
	return TRUE;
}

/*
 * Described in header.
 */
bool btns_vici_number(char *text, uint64_t max, uint64_t *number)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((u_char)*text) || *end || errno || !value || value > max)
	{
		return FALSE;
	}
	*number = value;
	return TRUE;
}
