/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "btns/core.h"
#include "vectors.h"

namespace
{

using btns::test::from_hex;
using btns::test::load_vector;
using btns::test::load_vectors;
using btns::test::Octets;

constexpr btns_key_policy_t everything{2048, ~0U, ~0U};
constexpr size_t payload_header_octets = 4;

btns_bytes_t view(const Octets &octets)
{
	return {octets.data(), octets.size()};
}

struct Parsed
{
	btns_status_t status = BTNS_STATUS_FAULT;
	btns_reason_t reason = BTNS_REASON_NONE;
	btns_key_t key{};

	[[nodiscard]] Octets spki() const { return {key.spki, key.spki + key.spki_len}; }
	[[nodiscard]] Octets fingerprint() const { return {std::begin(key.fingerprint), std::end(key.fingerprint)}; }
	[[nodiscard]] std::string code() const { return btns_reason_code(reason); }
};

Parsed parse(unsigned encoding, const Octets &body, const btns_key_policy_t &policy = everything)
{
	Parsed parsed;
	parsed.status = btns_key_parse(&policy, encoding, view(body), &parsed.key, &parsed.reason);
	return parsed;
}

Octets encode(unsigned encoding, const Octets &spki)
{
	Octets out(BTNS_SPKI_MAX);
	size_t length = 0;
	if (btns_key_encode(encoding, view(spki), out.data(), &length) != BTNS_STATUS_OK)
	{
		EXPECT_EQ(length, 0U);
	}
	out.resize(length);
	return out;
}

/** Refused, with a reason, and nothing of the key is left. */
void expect_refused(const Parsed &parsed, const std::string &what)
{
	static const btns_key_t zero{};
	EXPECT_EQ(parsed.status, BTNS_STATUS_REFUSED) << what;
	EXPECT_NE(parsed.reason, BTNS_REASON_NONE) << what;
	EXPECT_NE(parsed.reason, BTNS_REASON_INTERNAL) << what;
	EXPECT_EQ(parsed.key.type, BTNS_KEY_NONE) << what;
	EXPECT_EQ(parsed.spki(), Octets()) << what;
	EXPECT_TRUE(std::ranges::equal(parsed.key.fingerprint, zero.fingerprint)) << what;
}

TEST(Key, every_good_vector_has_its_type_size_canonical_form_and_fingerprint)
{
	for (const auto &vector : load_vectors("keys-good.txt"))
	{
		const Parsed parsed = parse(vector.number("encoding"), vector.octets("body"));
		ASSERT_EQ(parsed.status, BTNS_STATUS_OK) << vector.name << ": " << parsed.code();
		EXPECT_EQ(parsed.reason, BTNS_REASON_NONE) << vector.name;
		EXPECT_EQ(btns_key_type_name(parsed.key.type), vector.text("type")) << vector.name;
		EXPECT_EQ(parsed.key.bits, vector.number("bits")) << vector.name;
		EXPECT_EQ(parsed.key.encoding, vector.number("encoding")) << vector.name;
		EXPECT_EQ(parsed.spki(), vector.octets("spki")) << vector.name;
		EXPECT_EQ(parsed.fingerprint(), vector.octets("fingerprint")) << vector.name;
	}
}

TEST(Key, every_bad_vector_is_refused_with_its_own_reason)
{
	for (const auto &vector : load_vectors("keys-refused.txt"))
	{
		const Parsed parsed = parse(vector.number("encoding"), vector.octets("body"));
		expect_refused(parsed, vector.name);
		EXPECT_EQ(parsed.code(), vector.text("reason")) << vector.name;
	}
}

TEST(Key, the_payloads_of_rfc_7670_are_read_and_written_byte_for_byte)
{
	for (const auto &vector : load_vectors("rfc7670-payloads.txt"))
	{
		const Octets payload = vector.octets("payload");
		ASSERT_GT(payload.size(), payload_header_octets + 1);
		EXPECT_EQ(payload.size(), payload[2] << 8 | payload[3]);
		ASSERT_EQ(payload[payload_header_octets], BTNS_ENCODING_SPKI);
		const Octets body(payload.begin() + payload_header_octets + 1, payload.end());

		Octets written(payload.begin(), payload.begin() + payload_header_octets + 1);
		const Octets encoded = encode(BTNS_ENCODING_SPKI, body);
		written.insert(written.end(), encoded.begin(), encoded.end());
		EXPECT_EQ(written, payload) << vector.name;
	}
	// A.2's key has 1024 bits and is refused, but a key of our own it may be
	const auto short_key = load_vector("rfc7670-payloads.txt", "A.2").octets("payload");
	const Parsed parsed = parse(BTNS_ENCODING_SPKI, {short_key.begin() + payload_header_octets + 1, short_key.end()});
	EXPECT_EQ(parsed.reason, BTNS_REASON_RSA_SHORT);
}

TEST(Key, the_keys_of_the_channel_binding_vectors_have_their_fingerprints)
{
	const auto fingerprint = [](const char *name)
	{ return parse(BTNS_ENCODING_SPKI, load_vector("keys-good.txt", name).octets("body")).fingerprint(); };
	EXPECT_EQ(fingerprint("rfc8032-7.1-test-1"),
			  from_hex("06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"));
	EXPECT_EQ(fingerprint("rfc8032-7.1-test-2"),
			  from_hex("deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170"));
}

TEST(Key, one_key_has_one_fingerprint_in_every_encoding)
{
	for (const char *size : {"2048", "3072"})
	{
		const std::string name = std::string("rsa-") + size;
		const auto body = [&](const char *form) { return load_vector("keys-good.txt", name + form).octets("body"); };
		const Octets spki = parse(BTNS_ENCODING_SPKI, body("-spki")).fingerprint();
		EXPECT_EQ(parse(BTNS_ENCODING_PKCS1, body("-pkcs1")).fingerprint(), spki);
		EXPECT_EQ(parse(BTNS_ENCODING_X509, body("-x509")).fingerprint(), spki);
		EXPECT_EQ(encode(BTNS_ENCODING_PKCS1, body("-spki")), body("-pkcs1"));
	}
	const Octets ec = load_vector("keys-good.txt", "p256-spki").octets("body");
	EXPECT_EQ(parse(BTNS_ENCODING_OPENIKED_EC, ec).fingerprint(), parse(BTNS_ENCODING_SPKI, ec).fingerprint());
	EXPECT_EQ(encode(BTNS_ENCODING_OPENIKED_EC, ec), ec);
	EXPECT_EQ(encode(BTNS_ENCODING_OPENIKED_EC, load_vector("keys-good.txt", "rsa-2048-spki").octets("body")),
			  Octets());
}

TEST(Key, the_canonical_form_is_canonical)
{
	for (const auto &vector : load_vectors("keys-good.txt"))
	{
		const Octets spki = vector.octets("spki");
		EXPECT_EQ(parse(BTNS_ENCODING_SPKI, spki).spki(), spki) << vector.name;
		EXPECT_EQ(encode(BTNS_ENCODING_SPKI, spki), spki) << vector.name;
	}
}

TEST(Key, every_truncation_of_every_good_vector_is_refused)
{
	for (const auto &vector : load_vectors("keys-good.txt"))
	{
		const Octets body = vector.octets("body");
		for (size_t length = 0; length < body.size(); length++)
		{
			// a copy of its own size, so that a sanitizer sees a read past the end
			const Octets cut(body.begin(), body.begin() + static_cast<ptrdiff_t>(length));
			expect_refused(parse(vector.number("encoding"), cut), vector.name + " cut to " + std::to_string(length));
			EXPECT_EQ(encode(BTNS_ENCODING_SPKI, cut), Octets());
		}
	}
}

TEST(Key, random_mutations_are_refused_or_yield_a_canonical_key)
{
	std::mt19937 random(7670); // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
	for (const auto &vector : load_vectors("keys-good.txt"))
	{
		const unsigned encoding = vector.number("encoding");
		const Octets body = vector.octets("body");
		for (unsigned i = 0; i < 200; i++)
		{
			Octets mutant = body;
			for (size_t changes = 1 + random() % 3; changes > 0; changes--)
			{
				const auto place = mutant.begin() + static_cast<ptrdiff_t>(random() % mutant.size());
				switch (random() % 4)
				{
				case 0:
					mutant.insert(place, static_cast<uint8_t>(random()));
					break;
				case 1:
					mutant.erase(place);
					break;
				default:
					*place = static_cast<uint8_t>(random());
					break;
				}
			}
			const Parsed parsed = parse(encoding, mutant);
			if (parsed.status != BTNS_STATUS_OK)
			{
				expect_refused(parsed, vector.name);
				continue;
			}
			const Parsed again = parse(BTNS_ENCODING_SPKI, parsed.spki());
			EXPECT_EQ(again.status, BTNS_STATUS_OK) << vector.name;
			EXPECT_EQ(again.fingerprint(), parsed.fingerprint()) << vector.name;
		}
	}
}

TEST(Key, garbage_is_refused)
{
	std::mt19937 random(5386); // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
	for (unsigned i = 0; i < 2000; i++)
	{
		Octets garbage(1 + random() % 300);
		std::ranges::generate(garbage, [&] { return static_cast<uint8_t>(random()); });
		garbage.front() = i % 2 == 0 ? 0x30 : garbage.front();
		for (const unsigned encoding :
			 {BTNS_ENCODING_X509, BTNS_ENCODING_PKCS1, BTNS_ENCODING_SPKI, BTNS_ENCODING_OPENIKED_EC})
		{
			expect_refused(parse(encoding, garbage), "garbage");
		}
	}
}

TEST(Key, sizes_are_bounded_before_anything_is_read)
{
	EXPECT_EQ(parse(BTNS_ENCODING_SPKI, {}).reason, BTNS_REASON_KEY_EMPTY);
	EXPECT_EQ(parse(BTNS_ENCODING_X509, Octets(BTNS_CERT_MAX, 0)).reason, BTNS_REASON_CERT_MALFORMED);
	for (const unsigned encoding :
		 {BTNS_ENCODING_X509, BTNS_ENCODING_PKCS1, BTNS_ENCODING_SPKI, BTNS_ENCODING_OPENIKED_EC})
	{
		EXPECT_EQ(parse(encoding, Octets(BTNS_CERT_MAX + 1, 0)).reason, BTNS_REASON_KEY_TOO_LARGE);
	}
}

TEST(Key, a_modulus_or_exponent_that_is_too_long_is_refused_by_its_length)
{
	// SEQUENCE { INTEGER 1025 octets, INTEGER 65537 }
	Octets long_modulus = from_hex("308204090282040101");
	long_modulus.resize(long_modulus.size() + 1024, 0);
	const Octets exponent = from_hex("0203010001");
	long_modulus.insert(long_modulus.end(), exponent.begin(), exponent.end());
	long_modulus[3] = static_cast<uint8_t>(long_modulus.size() - 4);
	long_modulus[2] = static_cast<uint8_t>((long_modulus.size() - 4) >> 8);
	EXPECT_EQ(parse(BTNS_ENCODING_PKCS1, long_modulus).reason, BTNS_REASON_RSA_LONG);

	// SEQUENCE { INTEGER 1, INTEGER 2^256 }
	Octets long_exponent = from_hex("3026020101022101");
	long_exponent.resize(long_exponent.size() + 32, 0);
	EXPECT_EQ(parse(BTNS_ENCODING_PKCS1, long_exponent).reason, BTNS_REASON_RSA_EXPONENT);
}

TEST(Key, the_largest_rsa_key_fits_into_its_buffer)
{
	Octets pkcs1 = from_hex("308204280282040100");
	pkcs1.resize(pkcs1.size() + 1024, 0xff);
	const Octets exponent_header = from_hex("022100");
	pkcs1.insert(pkcs1.end(), exponent_header.begin(), exponent_header.end());
	pkcs1.resize(pkcs1.size() + 32, 0xff);
	EXPECT_EQ(parse(BTNS_ENCODING_PKCS1, pkcs1).reason, BTNS_REASON_RSA_SMALL_FACTOR);

	Octets spki = from_hex("30820440300d06092a864886f70d01010105000382042d00");
	spki.insert(spki.end(), pkcs1.begin(), pkcs1.end());
	EXPECT_EQ(encode(BTNS_ENCODING_SPKI, spki), spki);
	EXPECT_EQ(encode(BTNS_ENCODING_PKCS1, spki), pkcs1);
}

TEST(Key, what_the_policy_leaves_out_is_refused)
{
	const auto vector = load_vector("keys-good.txt", "rsa-2048-spki");
	const Octets body = vector.octets("body");
	EXPECT_EQ(parse(BTNS_ENCODING_SPKI, body, {2048, ~0U, 1U << BTNS_ENCODING_PKCS1}).reason,
			  BTNS_REASON_ENCODING_DISABLED);
	EXPECT_EQ(parse(BTNS_ENCODING_SPKI, body, {2048, 1U << BTNS_KEY_ECDSA, ~0U}).reason, BTNS_REASON_KEY_TYPE_DISABLED);
	EXPECT_EQ(parse(BTNS_ENCODING_SPKI, body, {3072, ~0U, ~0U}).reason, BTNS_REASON_RSA_SHORT);
	EXPECT_EQ(parse(BTNS_ENCODING_SPKI, body, {1024, 1U << BTNS_KEY_RSA, 1U << BTNS_ENCODING_SPKI}).status,
			  BTNS_STATUS_OK);
}

TEST(Key, other_encodings_are_unknown)
{
	const Octets body = load_vector("keys-good.txt", "rsa-2048-spki").octets("body");
	for (const unsigned encoding : {0U, 1U, 7U, 12U, 13U, 14U, 16U, 31U, 32U, 47U, 200U, 202U, 255U, ~0U})
	{
		EXPECT_EQ(parse(encoding, body).reason, BTNS_REASON_ENCODING_UNKNOWN) << encoding;
		EXPECT_EQ(encode(encoding, body), Octets()) << encoding;
	}
	EXPECT_EQ(encode(BTNS_ENCODING_X509, body), Octets());
	EXPECT_EQ(encode(BTNS_ENCODING_PKCS1, load_vector("keys-good.txt", "p256-spki").octets("body")), Octets());
}

TEST(Key, invalid_arguments_fail_closed)
{
	btns_key_t key;
	btns_reason_t reason = BTNS_REASON_NONE;
	const Octets body{0x30};
	EXPECT_EQ(btns_key_parse(nullptr, BTNS_ENCODING_SPKI, view(body), &key, &reason), BTNS_STATUS_INVALID);
	EXPECT_EQ(reason, BTNS_REASON_INTERNAL);
	EXPECT_EQ(btns_key_parse(&everything, BTNS_ENCODING_SPKI, {nullptr, 1}, &key, &reason), BTNS_STATUS_INVALID);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	EXPECT_EQ(btns_key_parse(&everything, BTNS_ENCODING_SPKI, view(body), nullptr, &reason), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_key_parse(&everything, BTNS_ENCODING_SPKI, view(body), &key, nullptr), BTNS_STATUS_INVALID);
}

TEST(Key, threads_may_parse_at_the_same_time)
{
	const auto vectors = load_vectors("keys-good.txt");
	const auto work = [&]
	{
		for (const auto &vector : vectors)
		{
			EXPECT_EQ(parse(vector.number("encoding"), vector.octets("body")).spki(), vector.octets("spki"));
		}
	};
	std::thread first(work);
	std::thread second(work);
	first.join();
	second.join();
}

#ifdef BTNS_FAULTS
TEST(Key, a_failed_allocation_refuses_the_key)
{
	const Octets body = load_vector("keys-good.txt", "p256-spki").octets("body");
	btns_fault("btns_key_parse", 1);
	const Parsed parsed = parse(BTNS_ENCODING_SPKI, body);
	btns_fault(nullptr, 0);
	EXPECT_EQ(parsed.status, BTNS_STATUS_NOMEM);
	EXPECT_EQ(parsed.reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(parsed.spki(), Octets());
	EXPECT_EQ(parse(BTNS_ENCODING_SPKI, body).status, BTNS_STATUS_OK);
}

TEST(Key, a_failed_allocation_makes_every_name_a_reserved_one)
{
	const Octets name{'a'};
	btns_fault("btns_is_reserved_name", 1);
	EXPECT_TRUE(btns_is_reserved_name(view(name)));
	btns_fault(nullptr, 0);
	EXPECT_FALSE(btns_is_reserved_name(view(name)));
}
#endif

} // namespace
