/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file rsa_check.h
 * Is an RSA public key one that a stranger may use?
 */
#pragma once

#include "btns/core.h"
#include "cursor.h"

namespace btns
{

/** No administrator can go below this, bits. */
constexpr unsigned rsa_modulus_floor = 2048;
/** Longest modulus that is computed with, bits. */
constexpr unsigned rsa_modulus_max = 8192;
/** Longest public exponent, bits (FIPS 186-4 B.3.1). */
constexpr unsigned rsa_exponent_max = 256;

/** An RSA public key: magnitudes, big endian, no leading zero octet. Views. */
struct RsaNumbers
{
	Bytes modulus;
	Bytes exponent;
};

/** Length of a magnitude without leading zero octets, bits. */
unsigned bit_length(Bytes magnitude);

/** Are the numbers small enough to compute with? NONE, RSA_LONG or RSA_EXPONENT. Looks at lengths only. */
btns_reason_t check_rsa_bounds(const RsaNumbers &key);

/**
 * Look for the mistakes that make a modulus factorable by anybody.
 *
 * The exponent is odd and at least 65537, the modulus odd, long enough, without a factor below 2^16, no perfect power,
 * no product of close primes (100 rounds of Fermat's method), without the ROCA fingerprint (CVE-2017-15361), no prime.
 *
 * @param min_bits	shortest modulus; rsa_modulus_floor holds whatever this is
 * @return			BTNS_REASON_NONE, or the first that applies
 */
btns_reason_t check_rsa(const RsaNumbers &key, unsigned min_bits);

} // namespace btns
