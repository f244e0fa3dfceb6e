/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "digest_memo.h"

#include <gtest/gtest.h>

namespace
{

using btns::DigestMemo;
using btns::Fingerprint;

/** Different for different numbers, as a digest would be. */
Fingerprint digest(uint32_t number)
{
	const uint8_t octets[]{uint8_t(number), uint8_t(number >> 8), uint8_t(number >> 16), uint8_t(number >> 24)};
	return btns::fingerprint(octets);
}

TEST(DigestMemo, has_what_was_inserted_and_nothing_else)
{
	DigestMemo memo;
	EXPECT_FALSE(memo.contains(digest(1)));
	EXPECT_FALSE(memo.contains(Fingerprint{}));
	memo.insert(digest(1));
	EXPECT_TRUE(memo.contains(digest(1)));
	Fingerprint near = digest(1);
	near.back() ^= 1;
	EXPECT_FALSE(memo.contains(near));
}

TEST(DigestMemo, forgets_rather_than_grows)
{
	DigestMemo memo;
	constexpr uint32_t many = 20 * DigestMemo::slots;
	size_t kept = 0;
	for (uint32_t i = 0; i < many; i++)
	{
		memo.insert(digest(i));
		EXPECT_TRUE(memo.contains(digest(i)));
	}
	for (uint32_t i = 0; i < many; i++)
	{
		kept += memo.contains(digest(i)) ? 1 : 0;
	}
	EXPECT_LE(kept, DigestMemo::slots);
	EXPECT_GE(kept, DigestMemo::slots / 2);
}

} // namespace
