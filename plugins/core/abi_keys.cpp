/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_keys.cpp
 * The functions of core.h that are about keys, names and texts.
 */
#include <algorithm>

#include "abi.h"
#include "cert_encodings.h"
#include "key.h"
#include "key_id.h"
#include "reason.h"
#include "version.h"
#include "x509.h"

using btns::is_valid;
using btns::view;

extern "C" {

const char *btns_reason_code(btns_reason_t reason)
{
	return btns::reason_text(reason).code;
}

const char *btns_reason_text(btns_reason_t reason)
{
	return btns::reason_text(reason).text;
}

const char *btns_key_type_name(btns_key_type_t type)
{
	switch (type)
	{
	case BTNS_KEY_RSA:
		return "RSA";
	case BTNS_KEY_ECDSA:
		return "ECDSA";
	case BTNS_KEY_ED25519:
		return "Ed25519";
	case BTNS_KEY_ED448:
		return "Ed448";
	case BTNS_KEY_NONE:
		break;
	}
	return "unknown";
}

unsigned btns_encoding_bit(unsigned encoding)
{
	return btns::encoding_bit(encoding);
}

const char *btns_encoding_name(unsigned encoding)
{
	switch (encoding)
	{
	case BTNS_ENCODING_X509:
		return "x509";
	case BTNS_ENCODING_PKCS1:
		return "pkcs1";
	case BTNS_ENCODING_SPKI:
		return "spki";
	case BTNS_ENCODING_OPENIKED_EC:
		return "openiked-ec";
	default:
		return "unknown";
	}
}

btns_status_t btns_key_parse(const btns_key_policy_t *policy, unsigned encoding, btns_bytes_t body, btns_key_t *out,
							 btns_reason_t *reason)
{
	if (out == nullptr || reason == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	*reason = BTNS_REASON_INTERNAL;
	if (policy == nullptr || !is_valid(body))
	{
		return BTNS_STATUS_INVALID;
	}
	return btns::parse_key(__func__, *policy, encoding, view(body), {}, *out, *reason);
}

btns_status_t btns_key_encode(unsigned encoding, btns_bytes_t spki, uint8_t *out, size_t *len)
{
	if (out == nullptr || len == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*len = 0;
	return btns::guard(__func__,
					   [&]
					   {
						   if (!is_valid(spki))
						   {
							   return BTNS_STATUS_INVALID;
						   }
						   const auto body = btns::encode_key(encoding, view(spki));
						   if (!body || body->size() > BTNS_SPKI_MAX)
						   {
							   return BTNS_STATUS_REFUSED;
						   }
						   std::ranges::copy(*body, out);
						   *len = body->size();
						   return BTNS_STATUS_OK;
					   });
}

btns_status_t btns_key_fingerprint(btns_bytes_t spki, uint8_t out[BTNS_FINGERPRINT_LEN])
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	std::fill_n(out, BTNS_FINGERPRINT_LEN, uint8_t{0});
	return btns::guard(__func__,
					   [&]
					   {
						   if (!is_valid(spki))
						   {
							   return BTNS_STATUS_INVALID;
						   }
						   const auto found = btns::identify_key(BTNS_ENCODING_SPKI, view(spki));
						   if (!found)
						   {
							   return BTNS_STATUS_REFUSED;
						   }
						   std::ranges::copy(*found, out);
						   return BTNS_STATUS_OK;
					   });
}

void btns_key_id(const uint8_t fingerprint[BTNS_FINGERPRINT_LEN], char out[BTNS_KEY_ID_LEN])
{
	btns::write_key_id(std::span<const uint8_t, BTNS_FINGERPRINT_LEN>(fingerprint, BTNS_FINGERPRINT_LEN),
					   std::span<char, BTNS_KEY_ID_LEN>(out, BTNS_KEY_ID_LEN));
}

bool btns_is_reserved_name(btns_bytes_t id)
{
	bool reserved = true;
	const btns_status_t status = btns::guard(__func__,
											 [&]
											 {
												 if (!is_valid(id))
												 {
													 return BTNS_STATUS_INVALID;
												 }
												 reserved = btns::is_reserved_name(view(id));
												 return BTNS_STATUS_OK;
											 });
	return status != BTNS_STATUS_OK || reserved;
}

btns_status_t btns_x509_names(btns_bytes_t cert, btns_x509_names_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return btns::guard(
		__func__,
		[&]
		{
			if (!is_valid(cert))
			{
				return BTNS_STATUS_INVALID;
			}
			const auto certificate = btns::read_certificate(view(cert));
			if (!certificate)
			{
				return BTNS_STATUS_REFUSED;
			}
			*out = {view(certificate->issuer), view(certificate->subject), view(certificate->authority_key_id)};
			return BTNS_STATUS_OK;
		});
}

btns_status_t btns_find_version(btns_bytes_t image, char *out, size_t len)
{
	if (out == nullptr || len == 0)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = '\0';
	return btns::guard(__func__,
					   [&]
					   {
						   if (!is_valid(image))
						   {
							   return BTNS_STATUS_INVALID;
						   }
						   const auto version = btns::find_version(view(image));
						   if (!version)
						   {
							   return BTNS_STATUS_REFUSED;
						   }
						   if (version->size() >= len)
						   {
							   return BTNS_STATUS_INVALID;
						   }
						   *std::ranges::copy(*version, out).out = '\0';
						   return BTNS_STATUS_OK;
					   });
}

} // extern "C"
