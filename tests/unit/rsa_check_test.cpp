/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "rsa_check.h"

#include <gtest/gtest.h>

#include "vectors.h"

namespace
{

using btns::check_rsa;
using btns::test::load_vector;
using btns::test::load_vectors;
using btns::test::Octets;

TEST(RsaCheck, gives_each_weakness_its_own_reason)
{
	for (const auto &vector : load_vectors("rsa-moduli.txt"))
	{
		const Octets modulus = vector.octets("modulus");
		const Octets exponent = vector.octets("exponent");
		EXPECT_EQ(btns::bit_length(modulus), vector.number("bits")) << vector.name;
		EXPECT_STREQ(btns_reason_code(check_rsa({modulus, exponent}, 0)), vector.text("reason").c_str()) << vector.name;
	}
}

TEST(RsaCheck, takes_a_higher_minimum_and_no_lower_one)
{
	const auto vector = load_vector("rsa-moduli.txt", "good-2048");
	const Octets modulus = vector.octets("modulus");
	const Octets exponent = vector.octets("exponent");
	EXPECT_EQ(check_rsa({modulus, exponent}, 2048), BTNS_REASON_NONE);
	EXPECT_EQ(check_rsa({modulus, exponent}, 2049), BTNS_REASON_RSA_SHORT);

	const auto small = load_vector("rsa-moduli.txt", "short-1024");
	const Octets short_modulus = small.octets("modulus");
	EXPECT_EQ(check_rsa({short_modulus, exponent}, 1024), BTNS_REASON_RSA_SHORT);
}

TEST(RsaCheck, says_the_same_of_a_key_that_comes_again)
{
	for (const char *name : {"good-2048", "prime-2048"})
	{
		const auto vector = load_vector("rsa-moduli.txt", name);
		const Octets modulus = vector.octets("modulus");
		const Octets exponent = vector.octets("exponent");
		for (int time = 0; time < 3; time++)
		{
			EXPECT_STREQ(btns_reason_code(check_rsa({modulus, exponent}, 0)), vector.text("reason").c_str()) << name;
		}
	}
}

TEST(RsaCheck, survives_degenerate_numbers)
{
	const Octets none;
	const Octets one{1};
	const Octets exponent{1, 0, 1};
	EXPECT_EQ(check_rsa({none, none}, 0), BTNS_REASON_RSA_SHORT);
	EXPECT_EQ(check_rsa({one, exponent}, 0), BTNS_REASON_RSA_SHORT);
	EXPECT_EQ(check_rsa({Octets(256, 0xff), none}, 0), BTNS_REASON_RSA_EXPONENT);
	EXPECT_EQ(btns::bit_length(none), 0U);
	EXPECT_EQ(btns::bit_length(exponent), 17U);
}

TEST(RsaCheck, looks_at_lengths_before_it_computes)
{
	const Octets huge(1024 * 1024, 0xff);
	const Octets exponent{1, 0, 1};
	EXPECT_EQ(check_rsa({huge, exponent}, 0), BTNS_REASON_RSA_LONG);
	EXPECT_EQ(check_rsa({Octets(256, 0xff), huge}, 0), BTNS_REASON_RSA_EXPONENT);
}

} // namespace
