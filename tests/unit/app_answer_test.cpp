/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* What the library takes for an answer. */
#include <gtest/gtest.h>

#include "answer.h"
#include "app_wire.h"
#include "app_world.h"

namespace
{

using btns::client::read_answer;
using btns::wire::Tag;
using Octets = std::vector<uint8_t>;

constexpr uint8_t channel = 65;
constexpr uint8_t error = 66;
constexpr uint8_t event = 68;

Octets message(uint8_t type, const std::vector<std::pair<Tag, Octets>> &attributes)
{
	Octets out{1, type, 0, 0, 0, 0, 0, 1};
	for (const auto &[tag, value] : attributes)
	{
		const auto number = static_cast<uint16_t>(tag);
		out.insert(out.end(), {static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number),
							   static_cast<uint8_t>(value.size() >> 8), static_cast<uint8_t>(value.size())});
		out.insert(out.end(), value.begin(), value.end());
	}
	return out;
}

const std::pair<Tag, Octets> is_protected{Tag::protection, {BTNS_PROTECTED}};
const std::pair<Tag, Octets> is_unprotected{Tag::protection, {BTNS_UNPROTECTED}};

TEST(AppAnswer, cut_short_anywhere_it_is_none)
{
	const auto whole =
		btns::app_channel_message(1, {6, {4, 1}, {4, 2}, 1, 2}, btns::test::protected_by(btns::test::full_channel()));
	ASSERT_TRUE(read_answer(whole));
	// between two attributes there is nothing that says how many there should be
	unsigned complete = 0;
	for (size_t length = 0; length < whole.size(); length++)
	{
		const auto answer = read_answer(std::span(whole).first(length));
		complete += answer ? 1 : 0;
	}
	EXPECT_EQ(complete, 19U) << "after each attribute but the last one";
}

TEST(AppAnswer, begins_with_the_protection)
{
	EXPECT_TRUE(read_answer(message(channel, {is_unprotected})));
	EXPECT_FALSE(read_answer(message(channel, {})));
	EXPECT_FALSE(read_answer(message(channel, {{Tag::reason, {'x'}}, is_unprotected})));
	EXPECT_FALSE(read_answer(message(channel, {is_protected, is_protected})));
	EXPECT_FALSE(read_answer(message(channel, {{Tag::protection, {3}}})));
	EXPECT_FALSE(read_answer(message(channel, {{Tag::protection, {}}})));
	EXPECT_FALSE(read_answer(message(channel, {{Tag::protection, {0, 1}}})));
}

TEST(AppAnswer, has_each_attribute_once_and_skips_those_it_does_not_know)
{
	const auto unknown = static_cast<Tag>(4711);
	EXPECT_TRUE(read_answer(message(channel, {is_protected, {unknown, Octets(100)}, {unknown, {}}})));
	EXPECT_FALSE(read_answer(message(channel, {is_protected, {Tag::mode, {1}}, {Tag::mode, {1}}})));
}

TEST(AppAnswer, values_have_the_size_that_they_should)
{
	for (const Tag tag :
		 {Tag::flags, Tag::mode, Tag::local_method, Tag::peer_method, Tag::local_fingerprint, Tag::peer_fingerprint,
		  Tag::inner_local, Tag::inner_peer, Tag::outer_local, Tag::outer_peer, Tag::established, Tag::peer_key,
		  Tag::endpoints_binding, Tag::unique_binding, Tag::peer_certificate, Tag::trust_anchor})
	{
		EXPECT_FALSE(read_answer(message(channel, {is_protected, {tag, {}}}))) << static_cast<int>(tag);
		if (tag != Tag::peer_key && tag != Tag::peer_certificate && tag != Tag::trust_anchor)
		{
			EXPECT_FALSE(read_answer(message(channel, {is_protected, {tag, Octets(33)}}))) << static_cast<int>(tag);
		}
	}
	EXPECT_FALSE(read_answer(message(channel, {is_protected, {Tag::asserted_id, {'a', 0, 'b'}}})));
	EXPECT_FALSE(read_answer(message(channel, {is_protected, {Tag::asserted_id, Octets(256, 'a')}})));
	EXPECT_FALSE(read_answer(message(channel, {is_protected, {Tag::established, Octets(8, 0xff)}})));
}

TEST(AppAnswer, methods_and_modes_of_later_versions_are_not_known)
{
	const auto answer = read_answer(message(channel, {is_protected, {Tag::peer_method, {200}}, {Tag::mode, {200}}}));
	ASSERT_TRUE(answer && answer->facts);
	EXPECT_EQ(answer->facts->info.peer_method, BTNS_METHOD_UNKNOWN);
	EXPECT_EQ(answer->facts->info.mode, BTNS_MODE_NONE);
}

TEST(AppAnswer, what_is_not_protected_has_nothing_of_what_protects)
{
	const Octets digest(32);
	for (const auto &attribute : std::vector<std::pair<Tag, Octets>>{{Tag::endpoints_binding, digest},
																	 {Tag::unique_binding, digest},
																	 {Tag::peer_fingerprint, digest},
																	 {Tag::peer_key, digest},
																	 {Tag::peer_certificate, digest},
																	 {Tag::trust_anchor, digest},
																	 {Tag::flags, {1}},
																	 {Tag::flags, {2}}})
	{
		EXPECT_TRUE(read_answer(message(channel, {is_protected, attribute})));
		EXPECT_FALSE(read_answer(message(channel, {is_unprotected, attribute})));
	}
}

TEST(AppAnswer, an_error_is_one_and_says_which)
{
	EXPECT_TRUE(read_answer(message(error, {{Tag::error, {BTNS_ESOCKET}}})));
	EXPECT_FALSE(read_answer(message(error, {})));
	EXPECT_FALSE(read_answer(message(error, {{Tag::error, {BTNS_OK}}})));
	EXPECT_FALSE(read_answer(message(error, {{Tag::error, {BTNS_EKERNEL + 1}}})));
	EXPECT_FALSE(read_answer(message(error, {{Tag::error, {1, 1}}})));
}

TEST(AppAnswer, an_event_is_one_that_the_daemon_can_send)
{
	EXPECT_TRUE(read_answer(message(event, {{Tag::event, {BTNS_EVENT_CHANGED}}})));
	EXPECT_FALSE(read_answer(message(event, {})));
	EXPECT_FALSE(read_answer(message(event, {{Tag::event, {0}}})));
	EXPECT_FALSE(read_answer(message(event, {{Tag::event, {BTNS_EVENT_CLOSED}}})));
}

TEST(AppAnswer, is_of_this_version_and_of_a_type_that_is_known)
{
	Octets good = message(channel, {is_unprotected});
	ASSERT_TRUE(read_answer(good));
	for (const size_t octet : {0U, 1U, 2U, 3U})
	{
		Octets bad = good;
		bad.at(octet) = 99;
		EXPECT_FALSE(read_answer(bad)) << octet;
	}
	good.resize(good.size() + 4);
	EXPECT_TRUE(read_answer(good)) << "an attribute without octets";
	const size_t longest = btns::wire::answer_max - good.size() - 4;
	good = message(channel, {is_unprotected, {static_cast<Tag>(4711), Octets(longest)}});
	EXPECT_TRUE(read_answer(good));
	good = message(channel, {is_unprotected, {static_cast<Tag>(4711), Octets(btns::wire::answer_max)}});
	EXPECT_FALSE(read_answer(good));
}

} // namespace
