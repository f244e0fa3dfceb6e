/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_wire.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "answer.h"
#include "app_world.h"

namespace
{

using btns::app_text;
using btns::Bytes;
using btns::parse_app_request;
using btns::test::full_channel;

const btns::Flow flow{6, {4, 0x0a000001}, {4, 0x0a000002}, 1234, 80};

std::string text_of(const sockaddr_storage &storage)
{
	std::array<char, INET6_ADDRSTRLEN> out{};
	uint16_t port = 0;
	if (storage.ss_family == AF_INET)
	{
		const auto *in = reinterpret_cast<const sockaddr_in *>(&storage);
		inet_ntop(AF_INET, &in->sin_addr, out.data(), out.size());
		port = ntohs(in->sin_port);
	}
	else
	{
		const auto *in = reinterpret_cast<const sockaddr_in6 *>(&storage);
		inet_ntop(AF_INET6, &in->sin6_addr, out.data(), out.size());
		port = ntohs(in->sin6_port);
	}
	return std::string(out.data()) + "#" + std::to_string(port);
}

TEST(AppWire, a_request_is_a_header_of_this_version)
{
	const std::vector<uint8_t> good{1, 1, 0, 0, 1, 2, 3, 4};
	const auto request = parse_app_request(good);
	ASSERT_TRUE(request);
	EXPECT_EQ(request->type, 1);
	EXPECT_EQ(request->id, 0x01020304U);
	for (size_t length = 0; length < good.size(); length++)
	{
		EXPECT_FALSE(parse_app_request(Bytes(good).first(length))) << length;
	}
	for (const size_t octet : {0U, 2U, 3U})
	{
		auto bad = good;
		bad.at(octet) = 7;
		EXPECT_FALSE(parse_app_request(bad)) << octet;
	}
}

TEST(AppWire, attributes_of_a_request_are_skipped_if_they_are_whole)
{
	std::vector<uint8_t> request{1, 3, 0, 0, 0, 0, 0, 9, 0x7f, 0x01, 0, 2, 5, 5};
	EXPECT_TRUE(parse_app_request(request));
	request.pop_back();
	EXPECT_FALSE(parse_app_request(request));
	request.resize(btns::wire::request_max + 1);
	EXPECT_FALSE(parse_app_request(request));
}

TEST(AppWire, the_library_reads_what_the_server_writes)
{
	const auto answer =
		btns::client::read_answer(btns::app_channel_message(77, flow, btns::test::protected_by(full_channel())));
	ASSERT_TRUE(answer && answer->facts);
	EXPECT_EQ(answer->type, btns::wire::Type::channel);
	EXPECT_EQ(answer->id, 77U);
	const btns::client::Facts &facts = *answer->facts;
	EXPECT_EQ(facts.info.protection, BTNS_PROTECTED);
	EXPECT_EQ(facts.info.confidentiality, 1);
	EXPECT_EQ(facts.info.integrity, 1);
	EXPECT_EQ(facts.info.mode, BTNS_MODE_TUNNEL);
	EXPECT_STREQ(facts.info.encryption_algorithm, "AES_GCM_16-128");
	EXPECT_STREQ(facts.info.integrity_algorithm, "");
	EXPECT_EQ(facts.info.local_method, BTNS_METHOD_PUBLIC_KEY);
	EXPECT_EQ(facts.info.peer_method, BTNS_METHOD_BTNS);
	EXPECT_STREQ(facts.info.asserted_id, "somebody");
	EXPECT_STREQ(facts.info.authorized_id, "btns:sha256:0102");
	EXPECT_EQ(facts.info.has_local_fingerprint, 1);
	EXPECT_EQ(facts.info.local_fingerprint[31], 1);
	EXPECT_EQ(facts.info.has_peer_fingerprint, 1);
	EXPECT_EQ(facts.info.peer_fingerprint[0], 2);
	EXPECT_EQ(text_of(facts.info.inner_local), "10.0.0.1#1234");
	EXPECT_EQ(text_of(facts.info.inner_peer), "10.0.0.2#80");
	EXPECT_EQ(text_of(facts.info.outer_local), "192.0.2.1#4500");
	EXPECT_EQ(text_of(facts.info.outer_peer), "2001:db8::2#4501");
	EXPECT_EQ(facts.info.local_nat, 1);
	EXPECT_EQ(facts.info.peer_nat, 0);
	EXPECT_EQ(facts.info.established, 1700000000);
	EXPECT_EQ(facts.peer_key, (std::vector<uint8_t>{0x30, 0x03, 1, 2, 3}));
	EXPECT_EQ(facts.peer_certificate, (std::vector<uint8_t>{0x30, 0x01, 4}));
	EXPECT_EQ(facts.trust_anchor, (std::vector<uint8_t>{0x30, 0x02, 0, 5}));
	ASSERT_TRUE(facts.endpoints.value && facts.unique.value);
	EXPECT_EQ(facts.endpoints.value->at(0), 3);
	EXPECT_EQ(facts.unique.value->at(0), 4);
	EXPECT_EQ(facts.reason, "");
}

TEST(AppWire, a_certificate_for_which_there_is_no_room_is_left_out)
{
	btns::Channel channel = full_channel();
	channel.peer_key.assign(BTNS_SIDE_KEY_MAX, 1);
	channel.authorized_id.assign(255, 'a');
	const auto read = [&](size_t certificate, size_t trust_anchor)
	{
		channel.certificates = std::make_shared<const btns::PeerCertificates>(btns::PeerCertificates{
			std::vector<uint8_t>(certificate, 1), std::make_shared<const std::string>(trust_anchor, 'a')});
		const auto message = btns::app_channel_message(1, flow, btns::test::protected_by(channel));
		EXPECT_LE(message.size(), btns::wire::answer_max);
		const auto answer = btns::client::read_answer(message);
		EXPECT_TRUE(answer && answer->facts && answer->facts->unique.value);
		return answer && answer->facts
				   ? std::pair(answer->facts->peer_certificate.size(), answer->facts->trust_anchor.size())
				   : std::pair(size_t{0}, size_t{0});
	};
	EXPECT_EQ(read(1500, 1500), std::pair(size_t{1500}, size_t{1500}));
	EXPECT_EQ(read(1500, btns::certificate_max), std::pair(size_t{1500}, size_t{0}));
	EXPECT_EQ(read(btns::certificate_max, 1500), std::pair(size_t{0}, size_t{1500}));
	EXPECT_EQ(read(btns::certificate_max, btns::certificate_max), std::pair(size_t{0}, size_t{0}));
}

TEST(AppWire, each_nat_and_each_protection_has_a_bit_of_its_own)
{
	for (unsigned bits = 0; bits < 16; bits++)
	{
		btns::Channel channel = full_channel();
		channel.confidentiality = (bits & 1) != 0;
		channel.integrity = (bits & 2) != 0;
		channel.local.nat = (bits & 4) != 0;
		channel.peer.nat = (bits & 8) != 0;
		const auto answer =
			btns::client::read_answer(btns::app_channel_message(1, flow, btns::test::protected_by(channel)));
		ASSERT_TRUE(answer && answer->facts);
		EXPECT_EQ(answer->facts->info.confidentiality, channel.confidentiality);
		EXPECT_EQ(answer->facts->info.integrity, channel.integrity);
		EXPECT_EQ(answer->facts->info.local_nat, channel.local.nat);
		EXPECT_EQ(answer->facts->info.peer_nat, channel.peer.nat);
	}
}

TEST(AppWire, what_has_no_binding_has_a_reason)
{
	btns::Channel channel = full_channel();
	channel.endpoints = {std::nullopt, btns::Unavailable::same_key};
	channel.unique = {std::nullopt, btns::Unavailable::not_seen};
	const auto answer =
		btns::client::read_answer(btns::app_channel_message(1, flow, btns::test::protected_by(channel)));
	ASSERT_TRUE(answer && answer->facts);
	EXPECT_FALSE(answer->facts->endpoints.value);
	EXPECT_EQ(answer->facts->endpoints.reason, btns::unavailable_text(btns::Unavailable::same_key));
	EXPECT_FALSE(answer->facts->unique.value);
	EXPECT_EQ(answer->facts->unique.reason, btns::unavailable_text(btns::Unavailable::not_seen));
}

TEST(AppWire, nothing_of_a_channel_is_said_unless_it_is_protected)
{
	btns::ChannelAnswer answer = btns::test::ambiguous();
	answer.channel = full_channel();
	auto read = btns::client::read_answer(btns::app_channel_message(1, flow, answer));
	ASSERT_TRUE(read && read->facts);
	EXPECT_EQ(read->facts->info.protection, BTNS_AMBIGUOUS);
	EXPECT_EQ(read->facts->reason, answer.reason);
	EXPECT_STREQ(read->facts->info.authorized_id, "");
	EXPECT_EQ(text_of(read->facts->info.inner_local), "10.0.0.1#1234");
	EXPECT_EQ(read->facts->info.outer_local.ss_family, AF_UNSPEC);

	answer = btns::test::protected_by(full_channel());
	answer.channel.reset();
	read = btns::client::read_answer(btns::app_channel_message(1, flow, answer));
	ASSERT_TRUE(read && read->facts);
	EXPECT_EQ(read->facts->info.protection, BTNS_UNPROTECTED);
}

TEST(AppWire, the_longest_answer_is_whole)
{
	btns::Channel channel = full_channel();
	const std::string longest(5000, 'x');
	channel.asserted_id = channel.authorized_id = channel.encryption_algorithm = channel.integrity_algorithm = longest;
	channel.peer_key.assign(BTNS_SPKI_MAX, 0x55);
	const auto message = btns::app_channel_message(1, flow, btns::test::protected_by(channel));
	EXPECT_LE(message.size(), btns::wire::answer_max);
	const auto answer = btns::client::read_answer(message);
	ASSERT_TRUE(answer && answer->facts);
	EXPECT_EQ(answer->facts->peer_key.size(), size_t{BTNS_SPKI_MAX});
	EXPECT_EQ(std::string(answer->facts->info.asserted_id), longest.substr(0, BTNS_TEXT_MAX - 1));
	EXPECT_EQ(std::string(answer->facts->info.integrity_algorithm), longest.substr(0, BTNS_ALGORITHM_MAX - 1));
	EXPECT_TRUE(answer->facts->unique.value);
}

TEST(AppWire, texts_are_printable_utf8)
{
	EXPECT_EQ(app_text("C=CH, O=Z\u00fcrich \u20ac \U0001f511", 255), "C=CH, O=Z\u00fcrich \u20ac \U0001f511");
	EXPECT_EQ(app_text(std::string("a\0b\n\x1b[31m\x7f", 10), 255), "a?b??[31m?");
	EXPECT_EQ(app_text("\xc2\x85|", 255), "??|") << "a control character beyond ASCII";
	EXPECT_EQ(app_text("\xc0\xaf|\xe0\x80\xaf|\xf0\x80\x80\xaf", 255), "??|???|????") << "longer than needed";
	EXPECT_EQ(app_text("\xed\xa0\x80|", 255), "???|") << "a surrogate";
	EXPECT_EQ(app_text("\xf4\x90\x80\x80|\xff|", 255), "????|?|") << "beyond the last character";
	EXPECT_EQ(app_text("\xe2\x82", 255), "??") << "half a character";
}

TEST(AppWire, a_text_is_cut_between_characters)
{
	EXPECT_EQ(app_text("ab\u20ac", 5), "ab\u20ac");
	EXPECT_EQ(app_text("ab\u20ac", 4), "ab");
	EXPECT_EQ(app_text("ab", 0), "");
}

TEST(AppWire, errors_and_events_come_through)
{
	for (int error = BTNS_EINVAL; error <= BTNS_EKERNEL; error++)
	{
		const auto answer = btns::client::read_answer(btns::app_error_message(5, static_cast<btns_error_t>(error)));
		ASSERT_TRUE(answer);
		EXPECT_EQ(answer->type, btns::wire::Type::error);
		EXPECT_EQ(answer->error, error);
		EXPECT_EQ(answer->id, 5U);
	}
	for (int event = BTNS_EVENT_RENEWED; event <= BTNS_EVENT_CHANGED; event++)
	{
		const auto answer =
			btns::client::read_answer(btns::app_event_message(6, static_cast<btns_event_type_t>(event)));
		ASSERT_TRUE(answer);
		EXPECT_EQ(answer->type, btns::wire::Type::event);
		EXPECT_EQ(answer->event, event);
	}
	const auto done = btns::client::read_answer(btns::app_done_message(7));
	ASSERT_TRUE(done);
	EXPECT_EQ(done->type, btns::wire::Type::done);
	EXPECT_EQ(done->id, 7U);
}

} // namespace
