/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

#include "cert_encodings.h"
#include "edwards_point.h"
#include "guard.h"
#include "spki.h"
#include "x509.h"

namespace btns
{

namespace
{

Result<PublicKey> read_x509(Bytes body)
{
	const auto certificate = read_certificate(body);
	if (!certificate)
	{
		return certificate.reason();
	}
	return read_spki(certificate->spki);
}

/** What OpenIKED has a private encoding for. */
Result<PublicKey> read_ec_spki(Bytes body)
{
	auto key = read_spki(body);
	if (key && key_type(*key) != BTNS_KEY_ECDSA)
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	return key;
}

Result<PublicKey> read_key(unsigned encoding, Bytes body)
{
	switch (encoding)
	{
	case BTNS_ENCODING_SPKI:
		return read_spki(body);
	case BTNS_ENCODING_PKCS1:
		return read_pkcs1(body);
	case BTNS_ENCODING_X509:
		return read_x509(body);
	case BTNS_ENCODING_OPENIKED_EC:
		return read_ec_spki(body);
	default:
		return BTNS_REASON_ENCODING_UNKNOWN;
	}
}

/** What is known before a single octet is looked at. */
btns_reason_t check_payload(const btns_key_policy_t &policy, unsigned encoding, Bytes body)
{
	if (encoding_bit(encoding) == 0)
	{
		return BTNS_REASON_ENCODING_UNKNOWN;
	}
	if ((policy.encodings & encoding_bit(encoding)) == 0)
	{
		return BTNS_REASON_ENCODING_DISABLED;
	}
	if (body.empty())
	{
		return BTNS_REASON_KEY_EMPTY;
	}
	if (body.size() > BTNS_CERT_MAX)
	{
		return BTNS_REASON_KEY_TOO_LARGE;
	}
	return BTNS_REASON_NONE;
}

/** Is it a key that proves something? */
struct StrengthCheck
{
	const btns_key_policy_t &policy;

	btns_reason_t operator()(const RsaNumbers &key) const { return check_rsa(key, policy.rsa_min); }

	btns_reason_t operator()(const EcKey & /*key: its point was decoded*/) const { return BTNS_REASON_NONE; }

	btns_reason_t operator()(const EdwardsKey &key) const
	{
		const bool valid = key.type == BTNS_KEY_ED25519 ? is_ed25519_point(key.point) : is_ed448_point(key.point);
		return valid ? BTNS_REASON_NONE : BTNS_REASON_EC_POINT;
	}
};

} // namespace

Result<CheckedKey> parse_key(const btns_key_policy_t &policy, unsigned encoding, Bytes body, const KeyGate &gate)
{
	if (const auto reason = check_payload(policy, encoding, body); reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	const auto key = read_key(encoding, body);
	if (!key)
	{
		return key.reason();
	}
	const btns_key_type_t type = key_type(*key);
	if ((policy.types & 1U << type) == 0)
	{
		return BTNS_REASON_KEY_TYPE_DISABLED;
	}
	if (gate)
	{
		if (const auto reason = gate(type, key_bits(*key)); reason != BTNS_REASON_NONE)
		{
			return reason;
		}
	}
	if (const auto reason = std::visit(StrengthCheck{policy}, *key); reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	auto spki = write_spki(*key);
	if (spki.size() > BTNS_SPKI_MAX)
	{
		return BTNS_REASON_KEY_TOO_LARGE;
	}
	const Fingerprint print = fingerprint(spki);
	return CheckedKey{type, key_bits(*key), std::move(spki), print};
}

btns_status_t parse_key(const char *function, const btns_key_policy_t &policy, unsigned encoding, Bytes body,
						const KeyGate &gate, btns_key_t &out, btns_reason_t &reason)
{
	out = {};
	reason = BTNS_REASON_INTERNAL;
	const btns_status_t status = guard(function,
									   [&]
									   {
										   const auto key = parse_key(policy, encoding, body, gate);
										   if (!key)
										   {
											   reason = key.reason();
											   return BTNS_STATUS_REFUSED;
										   }
										   out.type = key->type;
										   out.bits = key->bits;
										   out.encoding = encoding;
										   out.spki_len = key->spki.size();
										   std::ranges::copy(key->fingerprint, out.fingerprint);
										   std::ranges::copy(key->spki, out.spki);
										   reason = BTNS_REASON_NONE;
										   return BTNS_STATUS_OK;
									   });
	if (status != BTNS_STATUS_OK && status != BTNS_STATUS_REFUSED)
	{
		reason = failure_reason(status);
	}
	return status;
}

Result<Fingerprint> identify_key(unsigned encoding, Bytes body)
{
	const auto key = read_key(encoding, body);
	if (!key)
	{
		return key.reason();
	}
	return fingerprint(write_spki(*key));
}

Result<std::vector<uint8_t>> encode_key(unsigned encoding, Bytes spki)
{
	if (spki.size() > BTNS_CERT_MAX)
	{
		return BTNS_REASON_KEY_TOO_LARGE;
	}
	const auto key = read_spki(spki);
	if (!key)
	{
		return key.reason();
	}
	if (encoding == BTNS_ENCODING_SPKI ||
		(encoding == BTNS_ENCODING_OPENIKED_EC && std::holds_alternative<EcKey>(*key)))
	{
		return write_spki(*key);
	}
	if (encoding == BTNS_ENCODING_PKCS1 && std::holds_alternative<RsaNumbers>(*key))
	{
		return write_pkcs1(std::get<RsaNumbers>(*key));
	}
	return BTNS_REASON_ENCODING_UNKNOWN;
}

Fingerprint fingerprint(Bytes spki)
{
	Fingerprint digest{};
	size_t length = 0;
	if (EVP_Q_digest(nullptr, "SHA256", nullptr, spki.data(), spki.size(), digest.data(), &length) != 1 ||
		length != digest.size())
	{
		throw std::runtime_error("SHA-256 is not available");
	}
	return digest;
}

} // namespace btns
