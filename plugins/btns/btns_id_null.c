/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_id_null.h"

/*
 * Described in header.
 */
bool btns_id_null_is(identification_t *id)
{
	return id && id->get_type(id) == BTNS_ID_NULL &&
		   !id->get_encoding(id).len;
}

/**
 * identification_t.equals of an identity that is ID_NULL
 */
static bool equals(identification_t *this, identification_t *other)
{
	return btns_id_null_is(other);
}

/**
 * identification_t.matches of an identity that is ID_NULL
 */
static id_match_t matches(identification_t *this, identification_t *other)
{
	if (other->get_type(other) == ID_ANY)
	{
		return ID_MATCH_ANY;
	}
	return btns_id_null_is(other) ? ID_MATCH_PERFECT : ID_MATCH_NONE;
}

/*
 * Described in header.
 */
void btns_id_null_mend(identification_t *id)
{
	if (btns_id_null_is(id))
	{
		id->equals = equals;
		id->matches = matches;
	}
}
