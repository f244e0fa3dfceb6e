/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include "btns/core.h"
#include "vectors.h"

namespace
{

using btns::test::from_hex;
using btns::test::load_vector;
using btns::test::load_vectors;
using btns::test::Octets;

btns_bytes_t view(const Octets &octets)
{
	return {octets.data(), octets.size()};
}

Octets copy(btns_bytes_t bytes)
{
	return {bytes.ptr, bytes.ptr + bytes.len};
}

/** Name { { O=strongswan-btns }, { CN } }; the length of the CN is at most 40 octets */
Octets name(const std::string &common_name)
{
	const std::string organization = "strongswan-btns";
	const auto attribute = [](uint8_t type, const std::string &value)
	{
		const auto length = static_cast<uint8_t>(value.size());
		Octets out{0x31,  static_cast<uint8_t>(length + 9),
				   0x30,  static_cast<uint8_t>(length + 7),
				   0x06,  0x03,
				   0x55,  0x04,
				   type,  0x0c,
				   length};
		out.insert(out.end(), value.begin(), value.end());
		return out;
	};
	Octets out = attribute(0x0a, organization);
	const Octets second = attribute(0x03, common_name);
	out.insert(out.end(), second.begin(), second.end());
	const Octets header{0x30, static_cast<uint8_t>(out.size())};
	out.insert(out.begin(), header.begin(), header.end());
	return out;
}

TEST(X509, yields_names_and_the_authoritys_key_identifier)
{
	const Octets cert = load_vector("keys-good.txt", "ed25519-x509").octets("body");
	btns_x509_names_t names;
	ASSERT_EQ(btns_x509_names(view(cert), &names), BTNS_STATUS_OK);
	EXPECT_EQ(copy(names.issuer), name("Nobody CA"));
	EXPECT_EQ(copy(names.subject), name("stranger"));
	EXPECT_EQ(copy(names.authority_key_id), from_hex("000102030405060708090a0b0c0d0e0f10111213"));
}

TEST(X509, a_certificate_without_extensions_has_no_key_identifier)
{
	const Octets cert = load_vector("keys-good.txt", "p256-x509").octets("body");
	btns_x509_names_t names;
	ASSERT_EQ(btns_x509_names(view(cert), &names), BTNS_STATUS_OK);
	EXPECT_EQ(copy(names.subject), name("stranger"));
	EXPECT_EQ(names.authority_key_id.len, 0U);
}

TEST(X509, every_truncation_is_refused_and_yields_nothing)
{
	const Octets cert = load_vector("keys-good.txt", "rsa-2048-x509").octets("body");
	for (size_t length = 0; length < cert.size(); length++)
	{
		const Octets cut(cert.begin(), cert.begin() + static_cast<ptrdiff_t>(length));
		btns_x509_names_t names;
		EXPECT_EQ(btns_x509_names(view(cut), &names), BTNS_STATUS_REFUSED) << length;
		EXPECT_EQ(names.issuer.len + names.subject.len + names.authority_key_id.len, 0U);
	}
}

TEST(X509, malformed_certificates_have_no_names)
{
	for (const auto &vector : load_vectors("keys-refused.txt"))
	{
		btns_x509_names_t names;
		const auto reason = vector.text("reason");
		if (vector.number("encoding") == BTNS_ENCODING_X509 && reason != "ec-point-invalid")
		{
			EXPECT_EQ(btns_x509_names(view(vector.octets("body")), &names), BTNS_STATUS_REFUSED) << vector.name;
		}
	}
}

TEST(X509, invalid_arguments_fail)
{
	btns_x509_names_t names;
	EXPECT_EQ(btns_x509_names({nullptr, 1}, &names), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_x509_names({nullptr, 0}, nullptr), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_x509_names({nullptr, 0}, &names), BTNS_STATUS_REFUSED);
}

} // namespace
