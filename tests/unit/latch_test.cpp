/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch.h"

#include <set>

#include "app_world.h"

namespace
{

using btns::Channel;
using btns::congruence_of;
using btns::LatchReason;
using btns::LatchState;
using btns::to_code;
using btns::to_text;
using btns::test::full_channel;

/** Is a channel in which this is changed congruent to what it was? */
bool same(void (*change)(Channel &), bool narrow = false)
{
	Channel other = full_channel();
	change(other);
	return congruence_of(other, narrow) == congruence_of(full_channel(), narrow);
}

TEST(Latch, states_and_reasons_have_names_of_their_own)
{
	std::set<std::string> names;
	for (unsigned i = 0; i <= static_cast<unsigned>(LatchState::closed); i++)
	{
		EXPECT_TRUE(names.insert(to_text(static_cast<LatchState>(i))).second) << i;
	}
	EXPECT_STREQ(to_text(LatchState::listener), "listener");
	EXPECT_STREQ(to_text(LatchState::established), "established");
	std::set<std::string> codes;
	std::set<std::string> texts;
	for (unsigned i = 0; i <= static_cast<unsigned>(LatchReason::shutdown); i++)
	{
		EXPECT_TRUE(codes.insert(to_code(static_cast<LatchReason>(i))).second) << i;
		EXPECT_TRUE(texts.insert(to_text(static_cast<LatchReason>(i))).second) << i;
	}
	EXPECT_STREQ(to_code(LatchReason::peer_dead), "peer-dead");
}

TEST(Latch, rekeying_and_reauthentication_are_congruent)
{
	EXPECT_TRUE(same(
		[](Channel &channel)
		{
			channel.sa++;
			channel.child++;
			channel.established++;
			channel.unique.value->front()++;
		}));
	EXPECT_TRUE(same([](Channel &channel) { channel.peer.address.value++; })) << "MOBIKE";
	EXPECT_TRUE(same([](Channel &channel) { channel.connection = "another"; }));
}

TEST(Latch, who_the_peer_is_is_latched)
{
	EXPECT_FALSE(same([](Channel &channel) { channel.peer_fingerprint->front()++; }));
	EXPECT_FALSE(same([](Channel &channel) { channel.peer_fingerprint.reset(); }));
	EXPECT_FALSE(same([](Channel &channel) { channel.peer_key.push_back(0); }));
	EXPECT_FALSE(same([](Channel &channel) { channel.asserted_id += "x"; }));
	EXPECT_FALSE(same([](Channel &channel) { channel.authorized_id += "x"; }));
	EXPECT_FALSE(same([](Channel &channel) { channel.peer_method = BTNS_METHOD_PSK; }));
	EXPECT_FALSE(same(
		[](Channel &channel)
		{
			channel.asserted_id += channel.authorized_id.front();
			channel.authorized_id.erase(0, 1);
		}))
		<< "texts do not run into each other";
}

TEST(Latch, who_we_are_is_latched)
{
	EXPECT_FALSE(same([](Channel &channel) { channel.local_fingerprint->front()++; }));
	EXPECT_FALSE(same([](Channel &channel) { channel.local_method = BTNS_METHOD_CERTIFICATE; }));
}

TEST(Latch, type_of_protection_and_mode_are_latched)
{
	EXPECT_FALSE(same([](Channel &channel) { channel.confidentiality = false; }));
	EXPECT_FALSE(same([](Channel &channel) { channel.integrity = false; }));
	EXPECT_FALSE(same([](Channel &channel) { channel.mode = BTNS_MODE_TRANSPORT; }));
}

TEST(Latch, the_suite_is_latched_of_narrow_sas_only)
{
	const auto encryption = [](Channel &channel) { channel.encryption_algorithm = "AES_CBC-256"; };
	const auto integrity = [](Channel &channel) { channel.integrity_algorithm = "HMAC_SHA2_256_128"; };
	EXPECT_TRUE(same(encryption));
	EXPECT_TRUE(same(integrity));
	EXPECT_FALSE(same(encryption, true));
	EXPECT_FALSE(same(integrity, true));
	Channel nameless = full_channel();
	nameless.encryption_algorithm.clear();
	EXPECT_FALSE(congruence_of(nameless, true).suite.empty()) << "that would be any";
	EXPECT_TRUE(congruence_of(full_channel(), false).suite.empty());
}

} // namespace
