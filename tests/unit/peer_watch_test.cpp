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
	EXPECT_FALSE(watch.came("c", at("192.0.2.1"), one));
	watch.went("c", at("192.0.2.1"), one);
	EXPECT_EQ(watch.came("c", at("192.0.2.1"), two), one);
	watch.went("c", at("192.0.2.1"), two);
	EXPECT_FALSE(watch.came("c", at("192.0.2.1"), two)) << "it is the known one now";
	EXPECT_EQ(watch.size(), 0U);
}

TEST(PeerWatch, sees_that_who_had_a_key_has_none)
{
	PeerWatch watch;
	watch.went("c", at("192.0.2.1"), one);
	EXPECT_EQ(watch.came("c", at("192.0.2.1"), std::nullopt), one);
}

TEST(PeerWatch, takes_the_same_key_another_connection_or_address_for_no_change)
{
	PeerWatch watch;
	watch.went("c", at("192.0.2.1"), one);
	EXPECT_FALSE(watch.came("d", at("192.0.2.1"), two));
	EXPECT_FALSE(watch.came("c", at("192.0.2.2"), two));
	EXPECT_FALSE(watch.came("c", at("192.0.2.1"), one));
}

TEST(PeerWatch, forgets_the_places_that_were_left_first)
{
	PeerWatch watch;
	for (unsigned i = 0; i < btns::watched_max; i++)
	{
		watch.went("c", Address{4, i}, one);
	}
	// once more: it is the last now
	watch.went("c", Address{4, 0}, one);
	watch.went("c", Address{4, btns::watched_max}, one);
	EXPECT_EQ(watch.size(), btns::watched_max);
	EXPECT_FALSE(watch.came("c", Address{4, 1}, two));
	EXPECT_TRUE(watch.came("c", Address{4, 0}, two));
	EXPECT_TRUE(watch.came("c", Address{4, 2}, two));
}

} // namespace
