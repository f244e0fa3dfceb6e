/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* The library, with daemons that are none. */
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "app_wire.h"
#include "app_world.h"

namespace
{

using btns::Descriptor;
using btns::test::AppWorld;
using btns::test::Client;
using btns::test::FakeDaemon;
using btns::test::find;
using btns::test::Folder;
using btns::test::Found;
using btns::test::full_channel;
using btns::test::open_client;
using btns::test::protected_by;
using btns::test::udp_socket;
using btns::test::unprotected;

const btns::Flow flow{17, {4, 1}, {4, 2}, 1, 2};

btns::AppMessage channel_message(uint32_t id)
{
	return btns::app_channel_message(id, flow, protected_by(full_channel()));
}

/** What btns_find() says if the daemon answers that. */
int error_of(const FakeDaemon::Answer &answer)
{
	const FakeDaemon daemon(answer);
	const Client client = open_client(daemon.path());
	int error = BTNS_OK;
	find(client, udp_socket().get(), &error);
	if (error == BTNS_EDAEMON || error == BTNS_EBUSY)
	{
		int again = BTNS_OK;
		find(client, udp_socket().get(), &again);
		EXPECT_EQ(again, BTNS_EDAEMON) << "the connection is closed";
		btns_event_t event = BTNS_EVENT_INIT;
		EXPECT_EQ(btns_next_event(client.get(), &event), BTNS_OK);
		EXPECT_EQ(event.type, BTNS_EVENT_CLOSED);
		EXPECT_EQ(btns_next_event(client.get(), &event), BTNS_EUNAVAILABLE);
	}
	return error;
}

TEST(AppClient, takes_no_answer_that_makes_no_sense)
{
	EXPECT_EQ(error_of([](uint32_t id) { return FakeDaemon::Messages{channel_message(id)}; }), BTNS_OK);
	EXPECT_EQ(error_of([](uint32_t) { return FakeDaemon::Messages{{1, 2, 3}}; }), BTNS_EDAEMON);
	EXPECT_EQ(error_of([](uint32_t) { return FakeDaemon::Messages{std::vector<uint8_t>(9000, 1)}; }), BTNS_EDAEMON);
	EXPECT_EQ(error_of([](uint32_t) { return FakeDaemon::Messages{std::vector<uint8_t>(100000, 1)}; }), BTNS_EDAEMON);
	EXPECT_EQ(error_of([](uint32_t id) { return FakeDaemon::Messages{channel_message(id + 1)}; }), BTNS_EDAEMON);
	EXPECT_EQ(error_of([](uint32_t id) { return FakeDaemon::Messages{btns::app_done_message(id)}; }), BTNS_EDAEMON);
	EXPECT_EQ(error_of([](uint32_t) { return FakeDaemon::Messages{}; }), BTNS_EDAEMON);
	EXPECT_EQ(error_of(
				  [](uint32_t id)
				  {
					  auto message = channel_message(id);
					  message.pop_back();
					  return FakeDaemon::Messages{message};
				  }),
			  BTNS_EDAEMON);
}

TEST(AppClient, hands_on_errors)
{
	for (const btns_error_t error : {BTNS_EINVAL, BTNS_ENOMEM, BTNS_ESOCKET})
	{
		EXPECT_EQ(error_of([error](uint32_t id) { return FakeDaemon::Messages{btns::app_error_message(id, error)}; }),
				  error);
	}
	EXPECT_EQ(error_of([](uint32_t) { return FakeDaemon::Messages{btns::app_error_message(0, BTNS_EBUSY)}; }),
			  BTNS_EBUSY);
}

TEST(AppClient, does_not_wait_for_ever)
{
	std::atomic<unsigned> requests = 0;
	EXPECT_EQ(error_of(
				  [&](uint32_t id)
				  {
					  requests++;
					  // something, but no answer
					  return FakeDaemon::Messages{btns::app_event_message(id + 7, BTNS_EVENT_CHANGED)};
				  }),
			  BTNS_EDAEMON);
	EXPECT_EQ(requests, 1U);
}

TEST(AppClient, keeps_events_that_come_before_an_answer)
{
	uint32_t watched = 0;
	unsigned round = 0;
	const FakeDaemon daemon(
		[&](uint32_t id)
		{
			if (round++ == 0)
			{
				watched = id;
				return FakeDaemon::Messages{channel_message(id)};
			}
			// the last of each kind counts, and what nobody watches does not
			return FakeDaemon::Messages{btns::app_event_message(watched, BTNS_EVENT_UNPROTECTED),
										btns::app_event_message(watched, BTNS_EVENT_PROTECTED),
										btns::app_event_message(watched + 100, BTNS_EVENT_PROTECTED),
										btns::app_event_message(watched, BTNS_EVENT_UNPROTECTED), channel_message(id)};
		});
	const Client client = open_client(daemon.path());
	const auto socket = udp_socket();
	uint32_t watch = 0;
	ASSERT_EQ(btns_watch(client.get(), socket.get(), nullptr, &watch), BTNS_OK);
	EXPECT_EQ(watch, watched);
	EXPECT_TRUE(find(client, socket.get()));
	for (const btns_event_type_t type : {BTNS_EVENT_PROTECTED, BTNS_EVENT_UNPROTECTED})
	{
		const auto event = btns::test::wait_event(client);
		ASSERT_TRUE(event);
		EXPECT_EQ(event->type, type);
		EXPECT_EQ(event->watch, watch);
	}
	btns_event_t event = BTNS_EVENT_INIT;
	EXPECT_EQ(btns_next_event(client.get(), &event), BTNS_EUNAVAILABLE);
}

TEST(AppClient, an_answer_that_nobody_has_asked_for_ends_the_connection)
{
	const FakeDaemon daemon([](uint32_t id) { return FakeDaemon::Messages{channel_message(id), channel_message(id)}; });
	const Client client = open_client(daemon.path());
	EXPECT_TRUE(find(client, udp_socket().get()));
	const auto event = btns::test::wait_event(client);
	ASSERT_TRUE(event);
	EXPECT_EQ(event->type, BTNS_EVENT_CLOSED);
}

TEST(AppClient, says_what_is_wrong_with_a_socket)
{
	btns_t *client = reinterpret_cast<btns_t *>(1);
	const Folder folder;
	EXPECT_EQ(btns_open(&client, folder.path("nothing").c_str()), BTNS_ENODAEMON);
	EXPECT_EQ(client, nullptr);
	std::ofstream(folder.path("file")) << "x";
	EXPECT_EQ(btns_open(&client, folder.path("file").c_str()), BTNS_ENODAEMON);
	const FakeDaemon stream([](uint32_t) { return FakeDaemon::Messages{}; }, SOCK_STREAM);
	EXPECT_EQ(btns_open(&client, stream.path()), BTNS_ENODAEMON);
	EXPECT_EQ(btns_open(&client, ""), BTNS_EINVAL);
	EXPECT_EQ(btns_open(&client, folder.path(std::string(200, 'x')).c_str()), BTNS_EINVAL);
	EXPECT_EQ(btns_open(nullptr, nullptr), BTNS_EINVAL);
}

TEST(AppClient, says_that_there_is_no_permission)
{
	if (geteuid() != 0)
	{
		GTEST_SKIP() << "needs another user";
	}
	const AppWorld world;
	std::thread(
		[&]
		{
			// of this thread only, which the C library would not do
			ASSERT_EQ(syscall(SYS_setresuid, 4711, 4711, 4711), 0);
			btns_t *client = nullptr;
			EXPECT_EQ(btns_open(&client, world.path()), BTNS_EACCES);
		})
		.join();
}

TEST(AppClient, arguments_that_make_no_sense_are_errors)
{
	AppWorld world;
	world.source.set(protected_by(full_channel()));
	const Client client = open_client(world.path());
	const auto socket = udp_socket();
	const Found channel = find(client, socket.get());
	btns_channel_t *out = reinterpret_cast<btns_channel_t *>(1);
	EXPECT_EQ(btns_find(nullptr, socket.get(), &out), BTNS_EINVAL);
	EXPECT_EQ(out, nullptr);
	EXPECT_EQ(btns_find(client.get(), -1, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_find(client.get(), 9999, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_find(client.get(), socket.get(), nullptr), BTNS_EINVAL);
	uint32_t watch = 0;
	EXPECT_EQ(btns_watch(nullptr, socket.get(), nullptr, &watch), BTNS_EINVAL);
	EXPECT_EQ(btns_watch(client.get(), socket.get(), nullptr, nullptr), BTNS_EINVAL);
	EXPECT_EQ(btns_watch(client.get(), 9999, nullptr, &watch), BTNS_EINVAL);
	EXPECT_EQ(btns_unwatch(client.get(), 4711), BTNS_EINVAL);
	EXPECT_EQ(btns_unwatch(nullptr, 1), BTNS_EINVAL);
	EXPECT_EQ(btns_event_fd(nullptr), -1);
	btns_event_t event = BTNS_EVENT_INIT;
	EXPECT_EQ(btns_next_event(nullptr, &event), BTNS_EINVAL);
	EXPECT_EQ(btns_next_event(client.get(), nullptr), BTNS_EINVAL);
	EXPECT_EQ(btns_inquire(channel.get(), nullptr), BTNS_EINVAL);
	btns_info_t info = BTNS_INFO_INIT;
	EXPECT_EQ(btns_inquire(nullptr, &info), BTNS_EINVAL);
	EXPECT_STREQ(btns_channel_reason(nullptr), "");
	EXPECT_STREQ(btns_binding_reason(nullptr, BTNS_UNIQUE), "");
	size_t len = 64;
	std::array<uint8_t, 64> octets{};
	EXPECT_EQ(btns_binding(nullptr, BTNS_UNIQUE, BTNS_BARE, octets.data(), &len), BTNS_EINVAL);
	EXPECT_EQ(len, 0U);
	EXPECT_EQ(btns_binding(channel.get(), BTNS_UNIQUE, BTNS_BARE, octets.data(), nullptr), BTNS_EINVAL);
	len = 64;
	EXPECT_EQ(btns_binding(channel.get(), static_cast<btns_binding_type_t>(3), BTNS_BARE, octets.data(), &len),
			  BTNS_EINVAL);
	len = 64;
	EXPECT_EQ(btns_binding(channel.get(), BTNS_UNIQUE, static_cast<btns_binding_form_t>(0), octets.data(), &len),
			  BTNS_EINVAL);
	len = 64;
	EXPECT_EQ(btns_binding(channel.get(), BTNS_UNIQUE, BTNS_BARE, nullptr, &len), BTNS_EINVAL);
	EXPECT_EQ(btns_peer_key(nullptr, octets.data(), &len), BTNS_EINVAL);
	EXPECT_EQ(btns_binding_types(channel.get(), nullptr, nullptr), BTNS_EINVAL);
	EXPECT_EQ(btns_binding_name(static_cast<btns_binding_type_t>(3)), nullptr);
	btns_close(nullptr);
	btns_channel_free(nullptr);
}

TEST(AppClient, a_channel_lives_longer_than_the_connection)
{
	AppWorld world;
	world.source.set(protected_by(full_channel()));
	Client client = open_client(world.path());
	const Found channel = find(client, udp_socket().get());
	client.reset();
	btns_info_t info = BTNS_INFO_INIT;
	EXPECT_EQ(btns_inquire(channel.get(), &info), BTNS_OK);
	EXPECT_EQ(info.protection, BTNS_PROTECTED);
}

class AppBinding : public testing::Test
{
protected:
	/** What btns_find() finds if that is the answer. */
	Found channel(const btns::ChannelAnswer &answer)
	{
		world_.source.set(answer);
		return find(client_, socket_.get());
	}

	static int get(const Found &channel, btns_binding_type_t type, btns_binding_form_t form, std::vector<uint8_t> &out)
	{
		size_t len = out.size();
		const int status = btns_binding(channel.get(), type, form, out.data(), &len);
		last_len = len;
		if (status == BTNS_OK)
		{
			out.resize(len);
		}
		return status;
	}

	static inline size_t last_len = 0;

private:
	AppWorld world_;
	Client client_ = open_client(world_.path());
	Descriptor socket_ = udp_socket();
};

TEST_F(AppBinding, has_two_forms)
{
	const Found found = channel(protected_by(full_channel()));
	for (const auto &[type, octet] : {std::pair(BTNS_ENDPOINTS, uint8_t{3}), std::pair(BTNS_UNIQUE, uint8_t{4})})
	{
		std::vector<uint8_t> bare(BTNS_BINDING_MAX);
		ASSERT_EQ(get(found, type, BTNS_BARE, bare), BTNS_OK);
		EXPECT_EQ(bare, std::vector<uint8_t>(32, octet));
		std::vector<uint8_t> prefixed(BTNS_BINDING_MAX);
		ASSERT_EQ(get(found, type, BTNS_PREFIXED, prefixed), BTNS_OK);
		const std::string text = std::string(btns_binding_name(type)) + ":" + std::string(bare.begin(), bare.end());
		EXPECT_EQ(std::string(prefixed.begin(), prefixed.end()), text);
		EXPECT_STREQ(btns_binding_reason(found.get(), type), "");
	}
}

TEST_F(AppBinding, is_the_same_as_the_daemon_makes_it)
{
	for (const auto &[type, core_type] :
		 {std::pair(BTNS_ENDPOINTS, btns::BindingType::endpoints), std::pair(BTNS_UNIQUE, btns::BindingType::unique)})
	{
		const Found found = channel(protected_by(full_channel()));
		EXPECT_EQ(btns_binding_name(type), btns::binding_name(core_type));
		std::vector<uint8_t> out(BTNS_BINDING_MAX);
		ASSERT_EQ(get(found, type, BTNS_PREFIXED, out), BTNS_OK);
		btns::Binding value{};
		value.fill(type == BTNS_ENDPOINTS ? 3 : 4);
		EXPECT_EQ(out, btns::prefixed(core_type, value));
	}
}

TEST_F(AppBinding, a_buffer_that_is_too_short_is_left_alone)
{
	const Found found = channel(protected_by(full_channel()));
	for (const btns_binding_form_t form : {BTNS_BARE, BTNS_PREFIXED})
	{
		const size_t needed = form == BTNS_BARE ? 32 : 32 + 1 + std::strlen(btns_binding_name(BTNS_UNIQUE));
		for (const size_t size : {size_t{0}, size_t{1}, needed - 1})
		{
			std::vector<uint8_t> out(size, 0xee);
			EXPECT_EQ(get(found, BTNS_UNIQUE, form, out), BTNS_ESPACE);
			EXPECT_EQ(last_len, needed);
			EXPECT_EQ(out, std::vector<uint8_t>(size, 0xee));
		}
		std::vector<uint8_t> out(needed);
		EXPECT_EQ(get(found, BTNS_UNIQUE, form, out), BTNS_OK);
	}
	size_t len = 0;
	EXPECT_EQ(btns_binding(found.get(), BTNS_UNIQUE, BTNS_BARE, nullptr, &len), BTNS_ESPACE);
	EXPECT_EQ(len, 32U);
}

TEST_F(AppBinding, is_not_there_unless_the_channel_is_protected)
{
	std::vector<uint8_t> out(BTNS_BINDING_MAX);
	size_t count = 2;
	std::array<btns_binding_type_t, 2> types{};
	size_t len = out.size();

	const Found none = channel(unprotected());
	EXPECT_EQ(get(none, BTNS_ENDPOINTS, BTNS_BARE, out), BTNS_EUNPROTECTED);
	EXPECT_EQ(last_len, 0U);
	EXPECT_STREQ(btns_binding_reason(none.get(), BTNS_UNIQUE), "no CHILD_SA takes it");
	EXPECT_EQ(btns_peer_key(none.get(), out.data(), &len), BTNS_EUNPROTECTED);
	EXPECT_EQ(btns_binding_types(none.get(), types.data(), &count), BTNS_OK);
	EXPECT_EQ(count, 0U);

	const Found several = channel(btns::test::ambiguous());
	EXPECT_EQ(get(several, BTNS_UNIQUE, BTNS_BARE, out), BTNS_EAMBIGUOUS);
	len = out.size();
	EXPECT_EQ(btns_peer_key(several.get(), out.data(), &len), BTNS_EAMBIGUOUS);
}

TEST_F(AppBinding, says_why_it_is_not_available)
{
	btns::Channel incomplete = full_channel();
	incomplete.endpoints = {std::nullopt, btns::Unavailable::no_signature};
	incomplete.peer_key.clear();
	const Found found = channel(protected_by(incomplete));
	std::vector<uint8_t> out(BTNS_BINDING_MAX);
	EXPECT_EQ(get(found, BTNS_ENDPOINTS, BTNS_BARE, out), BTNS_EUNAVAILABLE);
	EXPECT_STREQ(btns_binding_reason(found.get(), BTNS_ENDPOINTS),
				 btns::unavailable_text(btns::Unavailable::no_signature));
	EXPECT_EQ(get(found, BTNS_UNIQUE, BTNS_BARE, out), BTNS_OK);
	EXPECT_STRNE(btns_binding_reason(found.get(), static_cast<btns_binding_type_t>(9)), "");
	size_t len = out.size();
	EXPECT_EQ(btns_peer_key(found.get(), out.data(), &len), BTNS_EUNAVAILABLE);
	EXPECT_EQ(len, 0U);
	std::array<btns_binding_type_t, 2> types{};
	size_t count = 2;
	EXPECT_EQ(btns_binding_types(found.get(), types.data(), &count), BTNS_OK);
	EXPECT_EQ(count, 1U);
	EXPECT_EQ(types[0], BTNS_UNIQUE);
}

TEST_F(AppBinding, types_are_counted_even_if_there_is_no_room_for_them)
{
	const Found found = channel(protected_by(full_channel()));
	size_t count = 0;
	EXPECT_EQ(btns_binding_types(found.get(), nullptr, &count), BTNS_ESPACE);
	EXPECT_EQ(count, 2U);
	btns_binding_type_t type{};
	count = 1;
	EXPECT_EQ(btns_binding_types(found.get(), &type, &count), BTNS_ESPACE);
	EXPECT_EQ(count, 2U);
	EXPECT_EQ(type, BTNS_ENDPOINTS);
}

TEST_F(AppBinding, the_peers_key_is_as_the_daemon_gave_it)
{
	const Found found = channel(protected_by(full_channel()));
	std::array<uint8_t, 5> key{};
	size_t len = 4;
	EXPECT_EQ(btns_peer_key(found.get(), key.data(), &len), BTNS_ESPACE);
	EXPECT_EQ(len, 5U);
	EXPECT_EQ(btns_peer_key(found.get(), key.data(), &len), BTNS_OK);
	EXPECT_EQ(key, (std::array<uint8_t, 5>{0x30, 0x03, 1, 2, 3}));
}

TEST_F(AppBinding, the_peers_certificate_and_its_trust_anchor_are_as_the_daemon_gave_them)
{
	btns::Channel some = full_channel();
	const Found found = channel(protected_by(some));
	std::array<uint8_t, 4> octets{};
	size_t len = 2;
	EXPECT_EQ(btns_peer_certificate(found.get(), octets.data(), &len), BTNS_ESPACE);
	EXPECT_EQ(len, 3U);
	EXPECT_EQ(btns_peer_certificate(found.get(), octets.data(), &len), BTNS_OK);
	EXPECT_EQ(octets, (std::array<uint8_t, 4>{0x30, 0x01, 4, 0}));
	len = octets.size();
	EXPECT_EQ(btns_trust_anchor(found.get(), octets.data(), &len), BTNS_OK);
	EXPECT_EQ(octets, (std::array<uint8_t, 4>{0x30, 0x02, 0, 5}));

	some.certificates = nullptr;
	const Found without = channel(protected_by(some));
	const Found none = channel(unprotected());
	const Found several = channel(btns::test::ambiguous());
	for (auto *get : {btns_peer_certificate, btns_trust_anchor})
	{
		EXPECT_EQ(get(without.get(), octets.data(), &len), BTNS_EUNAVAILABLE);
		EXPECT_EQ(len, 0U);
		len = octets.size();
		EXPECT_EQ(get(none.get(), octets.data(), &len), BTNS_EUNPROTECTED);
		len = octets.size();
		EXPECT_EQ(get(several.get(), octets.data(), &len), BTNS_EAMBIGUOUS);
		EXPECT_EQ(get(nullptr, octets.data(), &len), BTNS_EINVAL);
		EXPECT_EQ(get(found.get(), octets.data(), nullptr), BTNS_EINVAL);
		len = 1;
		EXPECT_EQ(get(found.get(), nullptr, &len), BTNS_EINVAL);
	}
}

TEST_F(AppBinding, structs_of_other_versions_are_filled_as_far_as_both_know)
{
	const Found found = channel(protected_by(full_channel()));
	struct
	{
		btns_info_t info;
		std::array<uint8_t, 16> more;
	} later{};
	std::memset(&later, 0xee, sizeof(later));
	later.info.size = sizeof(later);
	ASSERT_EQ(btns_inquire(found.get(), &later.info), BTNS_OK);
	EXPECT_EQ(later.info.size, sizeof(later));
	EXPECT_EQ(later.info.established, 1700000000);
	EXPECT_EQ(later.more, (std::array<uint8_t, 16>{})) << "what this version does not know is zero";

	later.info.size = sizeof(btns_info_t) - 1;
	later.info.established = 5;
	EXPECT_EQ(btns_inquire(found.get(), &later.info), BTNS_EINVAL);
	EXPECT_EQ(later.info.established, 5);
	later.info.size = 0;
	EXPECT_EQ(btns_inquire(found.get(), &later.info), BTNS_EINVAL);
	btns_event_t event = BTNS_EVENT_INIT;
	event.size = offsetof(btns_event_t, latch) - 1;
	EXPECT_EQ(btns_next_event(nullptr, &event), BTNS_EINVAL);
}

TEST(AppClient, an_event_of_1_0_is_filled_as_far_as_it_goes)
{
	AppWorld world;
	const Client client = open_client(world.path());
	uint32_t watch = 0;
	ASSERT_EQ(btns_watch(client.get(), udp_socket().get(), nullptr, &watch), BTNS_OK);
	world.source.set(protected_by(full_channel()));
	btns_event_t event = BTNS_EVENT_INIT;
	event.size = offsetof(btns_event_t, latch);
	event.latch = 4711;
	EXPECT_TRUE(btns::test::eventually([&] { return btns_next_event(client.get(), &event) == BTNS_OK; }));
	EXPECT_EQ(event.watch, watch);
	EXPECT_EQ(event.latch, 4711U) << "what the caller does not know is left alone";
}

TEST(AppErrors, each_has_a_sentence)
{
	std::set<std::string> seen;
	for (int error = BTNS_OK; error <= BTNS_EINPROGRESS; error++)
	{
		EXPECT_TRUE(seen.insert(btns_strerror(error)).second);
	}
	EXPECT_STREQ(btns_strerror(-1), "unknown error");
	EXPECT_STREQ(btns_strerror(BTNS_EINPROGRESS + 1), "unknown error");
	EXPECT_STREQ(btns_strerror(std::numeric_limits<int>::max()), "unknown error");
}

} // namespace
