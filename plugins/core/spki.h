/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file spki.h
 * SubjectPublicKeyInfo (RFC 5280 4.1.2.7) and RSAPublicKey (RFC 8017 A.1.1): what a key is, before anybody judges it.
 */
#pragma once

#include <variant>
#include <vector>

#include "cursor.h"
#include "ec_point.h"
#include "result.h"
#include "rsa_check.h"

namespace btns
{

/** An ECDSA key: its point is a valid one, uncompressed. */
struct EcKey
{
	const NamedCurve *curve;
	std::vector<uint8_t> point;
};

/** An EdDSA key: its point has the right length. A view. */
struct EdwardsKey
{
	btns_key_type_t type;
	Bytes point;
};

/** The numbers of an RSA key are within check_rsa_bounds(). */
using PublicKey = std::variant<RsaNumbers, EcKey, EdwardsKey>;

btns_key_type_t key_type(const PublicKey &key);
/** RSA modulus or size of the curve's field, bits; 255 and 448 for EdDSA's. */
unsigned key_bits(const PublicKey &key);

/** Read a SubjectPublicKeyInfo that fills the octets. The key has views into them. */
Result<PublicKey> read_spki(Bytes spki);
/** Read an RSAPublicKey that fills the octets. The key has views into them. */
Result<PublicKey> read_pkcs1(Bytes pkcs1);

/**
 * The canonical SubjectPublicKeyInfo, DER.
 *
 * RSA is rsaEncryption with NULL parameters, EC a named curve and an uncompressed point (RFC 5480), EdDSA has no
 * parameters (RFC 8410).
 */
std::vector<uint8_t> write_spki(const PublicKey &key);
/** RSAPublicKey, DER. */
std::vector<uint8_t> write_pkcs1(const RsaNumbers &key);

} // namespace btns
