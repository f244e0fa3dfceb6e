/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_watch.h"

#include "app_world.h"

namespace
{

using btns::Channel;
using btns::ChannelAnswer;
using btns::watch_event;
using btns::watch_state;
using btns::test::full_channel;
using btns::test::protected_by;

const btns::Flow flow{6, {4, 1}, {4, 2}, 1, 2};

std::optional<btns_event_type_t> event(const ChannelAnswer &before, const ChannelAnswer &now)
{
	return watch_event(watch_state(flow, before), watch_state(flow, now));
}

/** The event if this is changed in a channel. */
std::optional<btns_event_type_t> changed(void (*change)(Channel &))
{
	Channel other = full_channel();
	change(other);
	return event(protected_by(full_channel()), protected_by(other));
}

TEST(AppWatch, protection_comes_and_goes)
{
	EXPECT_EQ(event(btns::test::unprotected(), protected_by(full_channel())), BTNS_EVENT_PROTECTED);
	EXPECT_EQ(event(btns::test::ambiguous(), protected_by(full_channel())), BTNS_EVENT_PROTECTED);
	EXPECT_EQ(event(protected_by(full_channel()), btns::test::unprotected()), BTNS_EVENT_UNPROTECTED);
	EXPECT_EQ(event(protected_by(full_channel()), btns::test::ambiguous()), BTNS_EVENT_UNPROTECTED);
	EXPECT_EQ(event(btns::test::unprotected(), btns::test::ambiguous()), std::nullopt);
}

TEST(AppWatch, rekeying_is_no_change)
{
	EXPECT_EQ(changed(
				  [](Channel &channel)
				  {
					  channel.sa++;
					  channel.child++;
				  }),
			  std::nullopt);
}

TEST(AppWatch, another_key_identity_or_method_is_somebody_else)
{
	EXPECT_EQ(changed([](Channel &channel) { channel.peer_fingerprint->front()++; }), BTNS_EVENT_CHANGED);
	EXPECT_EQ(changed([](Channel &channel) { channel.peer_fingerprint.reset(); }), BTNS_EVENT_CHANGED);
	EXPECT_EQ(changed([](Channel &channel) { channel.peer_key.push_back(0); }), BTNS_EVENT_CHANGED);
	EXPECT_EQ(changed([](Channel &channel) { channel.authorized_id += "x"; }), BTNS_EVENT_CHANGED);
	EXPECT_EQ(changed([](Channel &channel) { channel.asserted_id += "x"; }), BTNS_EVENT_CHANGED);
	EXPECT_EQ(changed([](Channel &channel) { channel.peer_method = BTNS_METHOD_PSK; }), BTNS_EVENT_CHANGED);
}

TEST(AppWatch, texts_do_not_run_into_each_other)
{
	Channel one = full_channel();
	Channel other = full_channel();
	one.asserted_id = "ab";
	one.authorized_id = "c";
	other.asserted_id = "a";
	other.authorized_id = "bc";
	EXPECT_EQ(event(protected_by(one), protected_by(other)), BTNS_EVENT_CHANGED);
}

TEST(AppWatch, what_else_an_application_sees_is_renewed)
{
	EXPECT_EQ(changed([](Channel &channel) { channel.unique.value->front()++; }), BTNS_EVENT_RENEWED);
	EXPECT_EQ(changed([](Channel &channel) { channel.established++; }), BTNS_EVENT_RENEWED);
	EXPECT_EQ(changed([](Channel &channel) { channel.peer.address.value++; }), BTNS_EVENT_RENEWED);
	EXPECT_EQ(changed([](Channel &channel) { channel.confidentiality = false; }), BTNS_EVENT_RENEWED);
	EXPECT_EQ(changed([](Channel &channel) { channel.encryption_algorithm = "NULL"; }), BTNS_EVENT_RENEWED);
}

} // namespace
