/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "spki.h"

#include <algorithm>
#include <array>

#include "der.h"
#include "edwards_point.h"

namespace btns
{

namespace
{

constexpr std::array<uint8_t, 9> oid_rsa_encryption{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
constexpr std::array<uint8_t, 7> oid_ec_public_key{0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
constexpr std::array<uint8_t, 3> oid_ed25519{0x2b, 0x65, 0x70};
constexpr std::array<uint8_t, 3> oid_ed448{0x2b, 0x65, 0x71};

constexpr unsigned ed25519_bits = 255;
constexpr unsigned ed448_bits = 448;

struct AlgorithmIdentifier
{
	/** content of the OBJECT IDENTIFIER */
	Bytes oid;
	/** what follows it */
	Cursor parameters;
};

/** RFC 3279 2.3.1: the parameters MUST be NULL. */
Result<PublicKey> read_rsa(Cursor parameters, Bytes key)
{
	const auto null = der::read(parameters, der::tag_null);
	if (!null || !null->empty() || !parameters.at_end())
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	return read_pkcs1(key);
}

/** RFC 5480 2.1.1: a named curve, neither explicit nor inherited parameters. */
Result<PublicKey> read_ec(Cursor parameters, Bytes key)
{
	const auto element = der::read(parameters);
	if (!element || !parameters.at_end())
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	if (element->tag == der::tag_sequence)
	{
		return BTNS_REASON_EC_EXPLICIT;
	}
	if (element->tag != der::tag_oid)
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	const NamedCurve *curve = find_curve(element->content);
	if (curve == nullptr)
	{
		return BTNS_REASON_EC_CURVE;
	}
	auto point = uncompress_point(*curve, key);
	if (!point)
	{
		return BTNS_REASON_EC_POINT;
	}
	return PublicKey(EcKey{curve, std::move(*point)});
}

/** RFC 8410 3: the parameters MUST be absent. */
Result<PublicKey> read_edwards(Cursor parameters, btns_key_type_t type, size_t octets, Bytes key)
{
	if (!parameters.at_end())
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	if (key.size() != octets)
	{
		return BTNS_REASON_EC_POINT;
	}
	return PublicKey(EdwardsKey{type, key});
}

std::optional<AlgorithmIdentifier> read_algorithm(Cursor &cursor)
{
	const auto sequence = der::read(cursor, der::tag_sequence);
	if (!sequence)
	{
		return std::nullopt;
	}
	Cursor inside(*sequence);
	const auto oid = der::read(inside, der::tag_oid);
	if (!oid)
	{
		return std::nullopt;
	}
	return AlgorithmIdentifier{*oid, inside};
}

std::vector<uint8_t> write_algorithm(Bytes oid, Bytes parameters)
{
	return der::write(der::tag_sequence, {der::write(der::tag_oid, {oid}), parameters});
}

std::vector<uint8_t> write_key_info(Bytes algorithm, Bytes key)
{
	return der::write(der::tag_sequence, {algorithm, der::write_octet_aligned_bits(key)});
}

struct SpkiWriter
{
	std::vector<uint8_t> operator()(const RsaNumbers &key) const
	{
		return write_key_info(write_algorithm(oid_rsa_encryption, der::write(der::tag_null, {})), write_pkcs1(key));
	}

	std::vector<uint8_t> operator()(const EcKey &key) const
	{
		return write_key_info(write_algorithm(oid_ec_public_key, der::write(der::tag_oid, {key.curve->oid})),
							  key.point);
	}

	std::vector<uint8_t> operator()(const EdwardsKey &key) const
	{
		return write_key_info(write_algorithm(key.type == BTNS_KEY_ED25519 ? oid_ed25519 : oid_ed448, {}), key.point);
	}
};

struct TypeOf
{
	btns_key_type_t operator()(const RsaNumbers & /*key*/) const { return BTNS_KEY_RSA; }
	btns_key_type_t operator()(const EcKey & /*key*/) const { return BTNS_KEY_ECDSA; }
	btns_key_type_t operator()(const EdwardsKey &key) const { return key.type; }
};

struct BitsOf
{
	unsigned operator()(const RsaNumbers &key) const { return bit_length(key.modulus); }
	unsigned operator()(const EcKey &key) const { return key.curve->bits; }
	unsigned operator()(const EdwardsKey &key) const
	{
		return key.type == BTNS_KEY_ED25519 ? ed25519_bits : ed448_bits;
	}
};

} // namespace

btns_key_type_t key_type(const PublicKey &key)
{
	return std::visit(TypeOf{}, key);
}

unsigned key_bits(const PublicKey &key)
{
	return std::visit(BitsOf{}, key);
}

Result<PublicKey> read_spki(Bytes spki)
{
	const auto sequence = der::read_outer_sequence(spki, BTNS_REASON_KEY_MALFORMED);
	if (!sequence)
	{
		return sequence.reason();
	}
	Cursor inside(*sequence);
	const auto algorithm = read_algorithm(inside);
	if (!algorithm)
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	const auto key = der::read_octet_aligned_bits(inside);
	if (!key || !inside.at_end())
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	if (std::ranges::equal(algorithm->oid, oid_rsa_encryption))
	{
		return read_rsa(algorithm->parameters, *key);
	}
	if (std::ranges::equal(algorithm->oid, oid_ec_public_key))
	{
		return read_ec(algorithm->parameters, *key);
	}
	if (std::ranges::equal(algorithm->oid, oid_ed25519))
	{
		return read_edwards(algorithm->parameters, BTNS_KEY_ED25519, ed25519_octets, *key);
	}
	if (std::ranges::equal(algorithm->oid, oid_ed448))
	{
		return read_edwards(algorithm->parameters, BTNS_KEY_ED448, ed448_octets, *key);
	}
	return BTNS_REASON_KEY_TYPE_UNKNOWN;
}

Result<PublicKey> read_pkcs1(Bytes pkcs1)
{
	const auto sequence = der::read_outer_sequence(pkcs1, BTNS_REASON_KEY_MALFORMED);
	if (!sequence)
	{
		return sequence.reason();
	}
	Cursor inside(*sequence);
	const auto modulus = der::read_positive(inside);
	const auto exponent = der::read_positive(inside);
	if (!modulus || !exponent || !inside.at_end())
	{
		return BTNS_REASON_KEY_MALFORMED;
	}
	const RsaNumbers key{*modulus, *exponent};
	if (const auto reason = check_rsa_bounds(key); reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	return PublicKey(key);
}

std::vector<uint8_t> write_spki(const PublicKey &key)
{
	return std::visit(SpkiWriter{}, key);
}

std::vector<uint8_t> write_pkcs1(const RsaNumbers &key)
{
	return der::write(der::tag_sequence, {der::write_positive(key.modulus), der::write_positive(key.exponent)});
}

} // namespace btns
