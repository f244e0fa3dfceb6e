/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "cursor.h"

#include <gtest/gtest.h>

#include <array>

namespace
{

using btns::Bytes;
using btns::Cursor;

constexpr std::array<uint8_t, 9> octets{1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST(Cursor, reads_numbers_in_network_byte_order)
{
	Cursor cursor(octets);
	EXPECT_EQ(cursor.number(1), 0x01U);
	EXPECT_EQ(cursor.number(2), 0x0203U);
	EXPECT_EQ(cursor.number(4), 0x04050607U);
	EXPECT_EQ(cursor.rest().size(), 2U);
	EXPECT_EQ(Cursor(octets).number(8), 0x0102030405060708U);
}

TEST(Cursor, reads_up_to_the_end_and_not_past_it)
{
	Cursor cursor(octets);
	EXPECT_TRUE(cursor.take(octets.size()));
	EXPECT_TRUE(cursor.at_end());
	EXPECT_FALSE(cursor.peek());
	EXPECT_FALSE(cursor.number(1));
	EXPECT_FALSE(cursor.take(1));
	ASSERT_TRUE(cursor.take(0));
}

TEST(Cursor, does_not_move_when_a_read_does_not_fit)
{
	Cursor cursor(octets);
	ASSERT_TRUE(cursor.take(7));
	EXPECT_FALSE(cursor.take(3));
	EXPECT_FALSE(cursor.take(SIZE_MAX));
	EXPECT_FALSE(cursor.number(4));
	EXPECT_EQ(cursor.rest().size(), 2U);
	EXPECT_EQ(cursor.peek(), 8);
}

TEST(Cursor, reads_no_number_that_does_not_fit_into_64_bits)
{
	EXPECT_FALSE(Cursor(octets).number(9));
}

TEST(Cursor, has_nothing_in_no_octets)
{
	Cursor cursor{Bytes()};
	EXPECT_TRUE(cursor.at_end());
	EXPECT_FALSE(cursor.peek());
	EXPECT_FALSE(cursor.number(1));
}

} // namespace
