/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file key.h
 * From a CERT payload to a key that is acceptable, in the one form that has the one fingerprint; and back.
 */
#pragma once

#include <array>
#include <functional>
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
 * Asked once a key is decoded and its type is acceptable, before it is checked, which is slow: a reason other than NONE
 * stops it. The size is that of the RSA modulus or of the curve, bits.
 */
using KeyGate = std::function<btns_reason_t(btns_key_type_t type, unsigned bits)>;

/**
 * Decode and check the key in a CERT payload.
 *
 * @param encoding	CERT encoding (RFC 7296 3.6): 15, 11, 4 or 201
 * @param body		what follows the encoding octet
 * @param gate		may be empty
 */
Result<CheckedKey> parse_key(const btns_key_policy_t &policy, unsigned encoding, Bytes body, const KeyGate &gate = {});
/**
 * The same for the C ABI: what is thrown becomes a status.
 *
 * @param function	name in core.h, for fault injection
 * @param out		all zero unless BTNS_STATUS_OK
 */
btns_status_t parse_key(const char *function, const btns_key_policy_t &policy, unsigned encoding, Bytes body,
						const KeyGate &gate, btns_key_t &out, btns_reason_t &reason);

/**
 * Which key is it? Decodes without the policy and the checks of parse_key(), to compare with a key that passed them.
 *
 * @param encoding	CERT encoding: 15, 11, 4 or 201
 */
Result<Fingerprint> identify_key(unsigned encoding, Bytes body);

/**
 * Make the body of a CERT payload for a key of our own, without the checks for strangers' keys.
 *
 * @param encoding	15, or 11 for RSA keys, or 201 for EC keys
 * @return			at most BTNS_SPKI_MAX octets
 */
Result<std::vector<uint8_t>> encode_key(unsigned encoding, Bytes spki);

/** SHA-256. Throws std::runtime_error if OpenSSL cannot. */
Fingerprint fingerprint(Bytes spki);

} // namespace btns
