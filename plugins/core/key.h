/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file key.h
 * From a CERT payload to a key that is acceptable, in the one form that has the one fingerprint; and back.
 */
#pragma once

#include <array>
#include <vector>

#include "cursor.h"
#include "result.h"

namespace btns
{

using Fingerprint = std::array<uint8_t, BTNS_FINGERPRINT_LEN>;

/** A key that passed the policy. */
struct CheckedKey
{
	btns_key_type_t type;
	/** RSA modulus or size of the curve, bits */
	unsigned bits;
	/** canonical SubjectPublicKeyInfo, DER, at most BTNS_SPKI_MAX octets */
	std::vector<uint8_t> spki;
	/** SHA-256 of it */
	Fingerprint fingerprint;
};

/**
 * Decode and check the key in a CERT payload.
 *
 * @param encoding	CERT encoding (RFC 7296 3.6): 15, 11 or 4
 * @param body		what follows the encoding octet
 */
Result<CheckedKey> parse_key(const btns_key_policy_t &policy, unsigned encoding, Bytes body);

/**
 * Which key is it? Decodes without the policy and the checks of parse_key(), to compare with a key that passed them.
 *
 * @param encoding	CERT encoding: 15, 11 or 4
 */
Result<Fingerprint> identify_key(unsigned encoding, Bytes body);

/**
 * Make the body of a CERT payload for a key of our own, without the checks for strangers' keys.
 *
 * @param encoding	15, or 11 for RSA keys
 * @return			at most BTNS_SPKI_MAX octets
 */
Result<std::vector<uint8_t>> encode_key(unsigned encoding, Bytes spki);

/** SHA-256. Throws std::runtime_error if OpenSSL cannot. */
Fingerprint fingerprint(Bytes spki);

} // namespace btns
