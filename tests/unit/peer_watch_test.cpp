/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "peer_watch.h"

#include <gtest/gtest.h>

#include "core_world.h"

namespace
{

using btns::Address;
using btns::Fingerprint;
using btns::PeerWatch;

const Fingerprint one{1};
const Fingerprint two{2};

Address at(const std::string &text)
{
	return *btns::to_address(btns::test::addr(text));
}

TEST(PeerWatch, sees_that_another_key_has_come_where_one_was)
{
	PeerWatch watch;
	EXPECT_FALSE(watch.came(1, "c", at("192.0.2.1"), one).changed);
	watch.went(1);
	const auto before = watch.came(2, "c", at("192.0.2.1"), two);
	EXPECT_TRUE(before.changed);
	EXPECT_EQ(before.fingerprint, one);
	watch.went(2);
	EXPECT_FALSE(watch.came(3, "c", at("192.0.2.1"), two).changed) << "it is the known one now";
}

TEST(PeerWatch, takes_the_same_key_another_connection_or_address_for_no_change)
{
	PeerWatch watch;
	watch.came(1, "c", at("192.0.2.1"), one);
	watch.went(1);
	EXPECT_FALSE(watch.came(2, "c", at("192.0.2.1"), one).changed);
	EXPECT_FALSE(watch.came(3, "d", at("192.0.2.1"), two).changed);
	EXPECT_FALSE(watch.came(4, "c", at("192.0.2.2"), two).changed);
}

TEST(PeerWatch, sees_that_who_had_a_key_has_none)
{
	PeerWatch watch;
	watch.came(1, "c", at("192.0.2.1"), one);
	watch.went(1);
	EXPECT_TRUE(watch.came(2, "c", at("192.0.2.1"), std::nullopt).changed);
	watch.went(2);
	EXPECT_FALSE(watch.came(3, "c", at("192.0.2.1"), one).changed) << "before there was none";
}

TEST(PeerWatch, lets_several_be_behind_one_address)
{
	PeerWatch watch;
	watch.came(1, "c", at("192.0.2.1"), one);
	EXPECT_FALSE(watch.came(2, "c", at("192.0.2.1"), two).changed);
	watch.went(2);
	EXPECT_FALSE(watch.came(3, "c", at("192.0.2.1"), two).changed) << "the first is still there";
	watch.went(1);
	watch.went(3);
	EXPECT_TRUE(watch.came(4, "c", at("192.0.2.1"), one).changed);
}

TEST(PeerWatch, forgets_the_places_that_were_left_first)
{
	PeerWatch watch;
	watch.came(1, "c", at("192.0.2.1"), one);
	for (uint64_t root = 2; root < 2 + btns::watched_max + 1; root++)
	{
		watch.came(root, "c", Address{4, root}, one);
		watch.went(root);
	}
	EXPECT_EQ(watch.size(), btns::watched_max + 1) << "and who is there is not forgotten";
	EXPECT_FALSE(watch.came(9999999, "c", Address{4, 2}, two).changed);
	EXPECT_TRUE(watch.came(9999998, "c", Address{4, 3}, two).changed);
	watch.went(12345678);
}

} // namespace
