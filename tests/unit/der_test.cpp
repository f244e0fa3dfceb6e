/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "der.h"

#include <gtest/gtest.h>

#include "vectors.h"

namespace
{

using btns::Bytes;
using btns::Cursor;
using btns::test::from_hex;
using btns::test::Octets;
namespace der = btns::der;

bool is_element(const std::string &hex)
{
	const Octets octets = from_hex(hex);
	Cursor cursor(octets);
	return der::read(cursor) && cursor.at_end();
}

TEST(Der, reads_short_and_long_lengths)
{
	EXPECT_TRUE(is_element("0500"));
	EXPECT_TRUE(is_element("047f" + std::string(254, '0')));
	EXPECT_TRUE(is_element("048180" + std::string(256, '0')));
	EXPECT_TRUE(is_element("04820100" + std::string(512, '0')));
	EXPECT_TRUE(is_element("0483010000" + std::string(2 * 65536, '0')));
}

TEST(Der, refuses_lengths_that_are_not_the_shortest)
{
	EXPECT_FALSE(is_element("048100"));
	EXPECT_FALSE(is_element("04817f" + std::string(254, '0')));
	EXPECT_FALSE(is_element("048200ff" + std::string(510, '0')));
	EXPECT_FALSE(is_element("0483000100" + std::string(512, '0')));
}

TEST(Der, refuses_indefinite_reserved_and_huge_lengths)
{
	EXPECT_FALSE(is_element("30800000"));
	EXPECT_FALSE(is_element("30ff"));
	EXPECT_FALSE(is_element("308401000000"));
	EXPECT_FALSE(is_element("3088ffffffffffffffff"));
}

TEST(Der, refuses_tag_numbers_in_the_long_form)
{
	EXPECT_FALSE(is_element("1f0100"));
	EXPECT_FALSE(is_element("bf0100"));
}

TEST(Der, refuses_what_does_not_fit_and_does_not_move)
{
	for (const char *hex : {"", "30", "3001", "308180", "3082", "308201"})
	{
		const Octets octets = from_hex(hex);
		Cursor cursor(octets);
		EXPECT_FALSE(der::read(cursor)) << hex;
		EXPECT_EQ(cursor.rest().size(), octets.size()) << hex;
	}
}

TEST(Der, yields_an_element_with_and_without_its_header)
{
	const Octets octets = from_hex("0402abcd0500");
	Cursor cursor(octets);
	const auto element = der::read(cursor);
	ASSERT_TRUE(element);
	EXPECT_EQ(element->tag, der::tag_octet_string);
	EXPECT_EQ(element->content.size(), 2U);
	EXPECT_EQ(element->whole.data(), octets.data());
	EXPECT_EQ(element->whole.size(), 4U);
	EXPECT_FALSE(der::read(cursor, der::tag_integer));
	EXPECT_TRUE(der::read(cursor, der::tag_null));
}

TEST(Der, reads_positive_integers_in_their_shortest_form_only)
{
	const auto magnitude = [](const std::string &hex) -> std::optional<Octets>
	{
		const Octets octets = from_hex(hex);
		Cursor cursor(octets);
		const auto value = der::read_positive(cursor);
		if (!value)
		{
			return std::nullopt;
		}
		return Octets(value->begin(), value->end());
	};
	EXPECT_EQ(magnitude("020101"), from_hex("01"));
	EXPECT_EQ(magnitude("02020080"), from_hex("80"));
	EXPECT_EQ(magnitude("0203010001"), from_hex("010001"));
	EXPECT_FALSE(magnitude("0200")) << "empty";
	EXPECT_FALSE(magnitude("020100")) << "zero";
	EXPECT_FALSE(magnitude("020180")) << "negative";
	EXPECT_FALSE(magnitude("0202007f")) << "not the shortest";
	EXPECT_FALSE(magnitude("0203000080")) << "not the shortest";
}

TEST(Der, reads_bit_strings_of_whole_octets_only)
{
	const auto is_bits = [](const std::string &hex)
	{
		const Octets octets = from_hex(hex);
		Cursor cursor(octets);
		return der::read_octet_aligned_bits(cursor).has_value();
	};
	EXPECT_TRUE(is_bits("030200ff"));
	EXPECT_TRUE(is_bits("030100"));
	EXPECT_FALSE(is_bits("0300"));
	EXPECT_FALSE(is_bits("030201fe"));
	EXPECT_FALSE(is_bits("230400020003"));
}

TEST(Der, writes_what_it_reads)
{
	for (const size_t length : {0, 1, 127, 128, 255, 256, 65535, 65536})
	{
		const Octets content(length, 0x5a);
		const Octets written = der::write(der::tag_octet_string, {content});
		Cursor cursor(written);
		const auto read = der::read(cursor, der::tag_octet_string);
		ASSERT_TRUE(read) << length;
		EXPECT_TRUE(cursor.at_end());
		EXPECT_EQ(Octets(read->begin(), read->end()), content);
	}
	EXPECT_EQ(der::write_positive(from_hex("80")), from_hex("02020080"));
	EXPECT_EQ(der::write_positive(from_hex("7f")), from_hex("02017f"));
	EXPECT_EQ(der::write_octet_aligned_bits(from_hex("ff")), from_hex("030200ff"));
}

} // namespace
