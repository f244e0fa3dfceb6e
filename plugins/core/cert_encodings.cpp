/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "cert_encodings.h"

namespace btns
{

unsigned encoding_bit(unsigned encoding)
{
	switch (encoding)
	{
	case BTNS_ENCODING_X509:
		return BTNS_ENCODING_BIT_X509;
	case BTNS_ENCODING_PKCS1:
		return BTNS_ENCODING_BIT_PKCS1;
	case BTNS_ENCODING_SPKI:
		return BTNS_ENCODING_BIT_SPKI;
	case BTNS_ENCODING_OPENIKED_EC:
		return BTNS_ENCODING_BIT_OPENIKED_EC;
	default:
		return 0;
	}
}

EncodingList encodings_to_send(unsigned enabled, unsigned requested)
{
	constexpr unsigned old = BTNS_ENCODING_BIT_PKCS1 | BTNS_ENCODING_BIT_OPENIKED_EC;
	const bool is_old = (requested & old) != 0 && (requested & BTNS_ENCODING_BIT_SPKI) == 0;
	EncodingList list;
	if ((enabled & BTNS_ENCODING_BIT_PKCS1) != 0)
	{
		list.add(BTNS_ENCODING_PKCS1);
	}
	if (is_old && (enabled & BTNS_ENCODING_BIT_OPENIKED_EC) != 0)
	{
		list.add(BTNS_ENCODING_OPENIKED_EC);
	}
	if (!is_old && (enabled & BTNS_ENCODING_BIT_SPKI) != 0)
	{
		list.add(BTNS_ENCODING_SPKI);
	}
	return list;
}

EncodingList encodings_to_request(unsigned enabled, bool stranger)
{
	EncodingList others;
	for (const unsigned encoding : {BTNS_ENCODING_PKCS1, BTNS_ENCODING_OPENIKED_EC})
	{
		if ((enabled & encoding_bit(encoding)) != 0)
		{
			others.add(encoding);
		}
	}
	EncodingList list;
	if ((enabled & BTNS_ENCODING_BIT_SPKI) != 0 && (stranger || others.count > 0))
	{
		list.add(BTNS_ENCODING_SPKI);
	}
	for (size_t i = 0; i < others.count; i++)
	{
		list.add(others.encodings.at(i));
	}
	return list;
}

} // namespace btns
