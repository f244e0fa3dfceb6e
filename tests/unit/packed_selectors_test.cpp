/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * Traffic selectors in few octets are the same when they are read.
 */
#include "packed_selectors.h"

#include <gtest/gtest.h>

#include <random>

namespace
{

using btns::PackedSelectors;
using Selectors = std::vector<btns_ts_t>;

bool is_same(const btns_ts_t &a, const btns_ts_t &b)
{
	return a.family == b.family && a.protocol == b.protocol && a.from_port == b.from_port && a.to_port == b.to_port &&
		   std::ranges::equal(a.from, b.from) && std::ranges::equal(a.to, b.to);
}

Selectors some(std::mt19937 &random, size_t count)
{
	Selectors selectors(count);
	for (btns_ts_t &ts : selectors)
	{
		ts.family = random() % 2 == 0 ? 4 : 6;
		ts.protocol = static_cast<uint8_t>(random());
		ts.from_port = static_cast<uint16_t>(random());
		ts.to_port = static_cast<uint16_t>(random());
		for (size_t i = 0; i < (ts.family == 4 ? 4 : sizeof(ts.from)); i++)
		{
			ts.from[i] = static_cast<uint8_t>(random());
			ts.to[i] = static_cast<uint8_t>(random());
		}
	}
	return selectors;
}

TEST(PackedSelectors, are_read_as_they_were_written)
{
	std::mt19937 random(3);
	for (size_t remote = 0; remote < 9; remote++)
	{
		for (size_t local = 0; local < 9; local++)
		{
			const Selectors theirs = some(random, remote);
			const Selectors ours = some(random, local);
			const PackedSelectors packed(theirs, ours);
			EXPECT_TRUE(std::ranges::equal(packed.remote(), theirs, is_same));
			EXPECT_TRUE(std::ranges::equal(packed.local(), ours, is_same));
			Selectors shown;
			packed.for_each_remote([&shown](const btns_ts_t &ts) { shown.push_back(ts); });
			EXPECT_TRUE(std::ranges::equal(shown, theirs, is_same));
		}
	}
}

TEST(PackedSelectors, of_an_unknown_family_keep_all_octets)
{
	btns_ts_t ts{};
	ts.family = 9;
	ts.to[15] = 1;
	const PackedSelectors packed({&ts, 1}, {});
	ASSERT_EQ(packed.remote().size(), 1U);
	EXPECT_TRUE(is_same(packed.remote()[0], ts));
}

TEST(PackedSelectors, have_a_bound)
{
	const Selectors many(PackedSelectors::most + 1, btns_ts_t{4, 17, 1, 2, {}, {}});
	const PackedSelectors packed(many, many);
	EXPECT_EQ(packed.remote().size(), PackedSelectors::most);
	EXPECT_EQ(packed.local().size(), PackedSelectors::most);
}

} // namespace
