/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* Latches, from the library to the service that makes them. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <future>
#include <latch>
#include <tuple>

#include "answer.h"
#include "app_wire.h"
#include "latch_world.h"

namespace
{

using btns::AppLimits;
using btns::Descriptor;
using btns::Endpoint;
using btns::LatchAuth;
using btns::LatchDisposition;
using btns::LatchOutcome;
using btns::LatchReason;
using btns::LatchState;
using btns::client::read_answer;
using btns::test::AppWorld;
using btns::test::Client;
using btns::test::eventually;
using btns::test::FakeDaemon;
using btns::test::FakeLatches;
using btns::test::find;
using btns::test::inquire;
using btns::test::latch_accepted;
using btns::test::latch_connect;
using btns::test::latch_listen;
using btns::test::LatchHandle;
using btns::test::Listener;
using btns::test::loopback_listener;
using btns::test::open_client;
using btns::test::RawClient;
using btns::test::tcp_pair;
using btns::test::udp_socket;
using btns::test::wait_event;
using btns::wire::Tag;
using btns::wire::Type;

Descriptor tcp_socket(int family = AF_INET, int flags = 0)
{
	return Descriptor(socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

/** Is nobody in a listener's queue, or soon? */
bool is_untouched(const Listener &listener, bool soon = false)
{
	pollfd waiting{listener.socket.get(), POLLIN, 0};
	return poll(&waiting, 1, soon ? 10000 : 0) == 0;
}

bool has_peer(int socket)
{
	sockaddr_storage peer{};
	socklen_t length = sizeof(peer);
	return getpeername(socket, reinterpret_cast<sockaddr *>(&peer), &length) == 0;
}

/** A daemon with latches, and a client. */
class AppLatch : public testing::Test
{
protected:
	std::shared_ptr<FakeLatches> latches = std::make_shared<FakeLatches>();
	AppWorld world{{}, latches};
	Client client = open_client(world.path());
};

TEST_F(AppLatch, is_asked_for_before_connect_and_told_after)
{
	const Listener listener = loopback_listener();
	const Descriptor socket = tcp_socket();
	latches->ready_after(3);
	const LatchHandle latch = latch_connect(client, socket.get(), listener);
	ASSERT_TRUE(latch);
	const FakeLatches::Latch made = latches->only();
	EXPECT_FALSE(made.was_connected);
	EXPECT_TRUE(made.is_connected);
	EXPECT_EQ(made.asked, 4U) << "until it is ready, and once after connect()";
	ASSERT_TRUE(made.destination);
	EXPECT_EQ(made.destination->address, (btns::Address{4, 0x7f000001}));
	EXPECT_EQ(made.destination->port, listener.port());
	EXPECT_TRUE(has_peer(socket.get()));
	EXPECT_EQ(inquire(latch).state, BTNS_LATCH_ESTABLISHED);
	EXPECT_EQ(world.server.counters().latches, 1U);
}

TEST_F(AppLatch, takes_ipv6_and_mapped_addresses_and_udp)
{
	const Listener v6 = loopback_listener(AF_INET6);
	EXPECT_TRUE(latch_connect(client, tcp_socket(AF_INET6).get(), v6));
	EXPECT_EQ(latches->only().destination->address, (btns::Address{6, 1}));

	const Client other = open_client(world.path());
	Listener mapped = loopback_listener();
	sockaddr_in6 in{};
	in.sin6_family = AF_INET6;
	in.sin6_port = htons(mapped.port());
	in.sin6_addr.s6_addr[10] = in.sin6_addr.s6_addr[11] = 0xff;
	in.sin6_addr.s6_addr[12] = 127;
	in.sin6_addr.s6_addr[15] = 1;
	std::memcpy(&mapped.address, &in, sizeof(in));
	mapped.length = sizeof(in);
	EXPECT_TRUE(latch_connect(other, tcp_socket(AF_INET6).get(), mapped));
	EXPECT_EQ(latches->all().back().destination->address, (btns::Address{4, 0x7f000001}));

	const Listener udp = loopback_listener(AF_INET, SOCK_DGRAM);
	const Descriptor socket(::socket(AF_INET, SOCK_DGRAM, 0));
	EXPECT_TRUE(latch_connect(client, socket.get(), udp));
	EXPECT_TRUE(has_peer(socket.get()));
}

TEST_F(AppLatch, passes_on_what_is_asked_for_and_tells_it)
{
	const auto pair = tcp_pair();
	btns_latch_options_t options = BTNS_LATCH_OPTIONS_INIT;
	EXPECT_TRUE(latch_accepted(client, pair.mine.get(), &options));
	btns::LatchRequest request = latches->only().request;
	EXPECT_TRUE(request.confidentiality);
	EXPECT_FALSE(request.narrow || request.peer_key);
	EXPECT_EQ(request.auth, LatchAuth::any);
	EXPECT_EQ(request.disposition, LatchDisposition::reset);
	EXPECT_EQ(request.mode, BTNS_MODE_NONE);
	EXPECT_EQ(request.timeout, 10000U);

	options.confidentiality = 0;
	options.narrow = 1;
	options.auth = BTNS_LATCH_AUTHENTICATED;
	options.disposition = BTNS_LATCH_WAIT;
	options.mode = BTNS_MODE_TUNNEL;
	options.has_peer_key = 1;
	std::memset(options.peer_key, 7, sizeof(options.peer_key));
	options.timeout = 1234;
	const auto other = tcp_pair();
	const LatchHandle latch = latch_accepted(client, other.mine.get(), &options);
	request = latches->all().back().request;
	EXPECT_FALSE(request.confidentiality);
	EXPECT_TRUE(request.narrow);
	EXPECT_EQ(request.auth, LatchAuth::authenticated);
	EXPECT_EQ(request.disposition, LatchDisposition::wait);
	EXPECT_EQ(request.mode, BTNS_MODE_TUNNEL);
	ASSERT_TRUE(request.peer_key);
	EXPECT_EQ(request.peer_key->at(31), 7);
	EXPECT_EQ(request.timeout, 1234U);

	const btns_latch_info_t info = inquire(latch);
	EXPECT_EQ(info.state, BTNS_LATCH_ESTABLISHED);
	EXPECT_EQ(info.wants_confidentiality, 0);
	EXPECT_EQ(info.wants_narrow, 1);
	EXPECT_EQ(info.wants_auth, BTNS_LATCH_AUTHENTICATED);
	EXPECT_EQ(info.disposition, BTNS_LATCH_WAIT);
	EXPECT_EQ(info.wants_mode, BTNS_MODE_TUNNEL);
	EXPECT_EQ(info.wants_peer_key, 1);
	EXPECT_EQ(info.peer_key[0], 7);
	EXPECT_EQ(info.timeout, 1234U);
	EXPECT_EQ(info.indeterminate, 1);
	EXPECT_EQ(info.protocol, IPPROTO_TCP);
	EXPECT_EQ(info.local.ss_family, AF_INET);
	EXPECT_EQ(reinterpret_cast<const sockaddr_in *>(&info.peer)->sin_port, htons(80));
}

TEST_F(AppLatch, what_cannot_be_latched_is_not_connected)
{
	const std::vector<std::pair<LatchOutcome, int>> cases{
		{LatchOutcome::not_available, BTNS_ENOTSUP},
		{LatchOutcome::bad_socket, BTNS_ESOCKET},
		{LatchOutcome::exists, BTNS_EEXIST},
		{LatchOutcome::full, BTNS_EBUSY},
		{LatchOutcome::unprotected, BTNS_EUNPROTECTED},
		{LatchOutcome::conflict, BTNS_ECONFLICT},
		{LatchOutcome::not_wanted, BTNS_EREFUSED},
		{LatchOutcome::kernel, BTNS_EKERNEL},
	};
	const Listener listener = loopback_listener();
	for (const auto &[outcome, expected] : cases)
	{
		latches->decide([outcome = outcome](const auto &) { return outcome; });
		const Descriptor socket = tcp_socket();
		int error = BTNS_OK;
		EXPECT_FALSE(latch_connect(client, socket.get(), listener, nullptr, &error));
		EXPECT_EQ(error, expected);
		EXPECT_FALSE(has_peer(socket.get()));
		EXPECT_TRUE(is_untouched(listener));
		const auto pair = tcp_pair();
		EXPECT_FALSE(latch_accepted(client, pair.mine.get(), nullptr, &error));
		EXPECT_EQ(error, expected);
	}
	EXPECT_EQ(world.server.counters().latches, 0U);
}

TEST_F(AppLatch, sas_that_do_not_come_are_not_waited_for_longer_than_allowed)
{
	const Listener listener = loopback_listener();
	latches->ready_after(1000000);
	btns_latch_options_t options = BTNS_LATCH_OPTIONS_INIT;
	for (const uint32_t timeout : {0U, 1U, 120U})
	{
		options.timeout = timeout;
		const Descriptor socket = tcp_socket();
		const auto begin = std::chrono::steady_clock::now();
		int error = BTNS_OK;
		EXPECT_FALSE(latch_connect(client, socket.get(), listener, &options, &error));
		EXPECT_EQ(error, BTNS_ETIMEOUT);
		EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(timeout));
		EXPECT_TRUE(is_untouched(listener));
	}
	EXPECT_EQ(latches->released(), 3U) << "and the kernel's policy is taken from the socket";
	EXPECT_TRUE(latches->all().empty());
}

TEST_F(AppLatch, says_why_one_does_not_come_to_be_established)
{
	const Listener listener = loopback_listener();
	latches->ready_after(1000000);
	for (const auto &[reason, expected] :
		 {std::pair(LatchReason::not_established, BTNS_ETIMEOUT), std::pair(LatchReason::conflict, BTNS_ECONFLICT)})
	{
		latches->on_connected([&, reason = reason]
							  { latches->change(latches->only().id, LatchState::broken, reason); });
		int error = BTNS_OK;
		EXPECT_FALSE(latch_connect(client, tcp_socket().get(), listener, nullptr, &error));
		EXPECT_EQ(error, expected);
		EXPECT_TRUE(latches->all().empty());
	}
	// the daemon was first: the peer has refused, the time was up, or somebody has closed it
	latches->begin_larval();
	for (const auto &[reason, timeout, expected] : {
			 std::tuple(LatchReason::not_established, 10000U, BTNS_EUNPROTECTED),
			 std::tuple(LatchReason::not_established, 0U, BTNS_ETIMEOUT),
			 std::tuple(LatchReason::shutdown, 10000U, BTNS_EUNAVAILABLE),
			 std::tuple(LatchReason::administrator, 10000U, BTNS_EUNAVAILABLE),
		 })
	{
		btns_latch_options_t options = BTNS_LATCH_OPTIONS_INIT;
		options.timeout = timeout;
		int error = BTNS_OK;
		latches->on_connected([&, reason = reason]
							  { latches->change(latches->only().id, LatchState::closed, reason); });
		const auto pair = tcp_pair();
		EXPECT_FALSE(latch_accepted(client, pair.mine.get(), &options, &error));
		EXPECT_EQ(error, expected);
		btns_event_t event = BTNS_EVENT_INIT;
		EXPECT_EQ(btns_next_event(client.get(), &event), BTNS_EUNAVAILABLE) << "it was never this application's";
	}
}

TEST_F(AppLatch, one_that_breaks_while_it_connects_leaves_no_connection)
{
	const Listener listener = loopback_listener();
	const Descriptor socket = tcp_socket();
	latches->on_connected([&]
						  { latches->change_silently(latches->only().id, LatchState::broken, LatchReason::conflict); });
	int error = BTNS_OK;
	EXPECT_FALSE(latch_connect(client, socket.get(), listener, nullptr, &error));
	EXPECT_EQ(error, BTNS_ECONFLICT);
	EXPECT_FALSE(has_peer(socket.get()));
	const Descriptor accepted(accept(listener.socket.get(), nullptr, nullptr));
	char octet = 0;
	EXPECT_EQ(recv(accepted.get(), &octet, 1, 0), -1);
	EXPECT_EQ(errno, ECONNRESET);
	latches->on_connected({});
	EXPECT_TRUE(latch_connect(client, socket.get(), listener)) << "another attempt with the same socket";
}

TEST_F(AppLatch, says_what_connect_says)
{
	const Listener nobody = loopback_listener(AF_INET, SOCK_STREAM, false);
	const Descriptor socket = tcp_socket();
	int error = BTNS_OK;
	errno = 0;
	EXPECT_FALSE(latch_connect(client, socket.get(), nobody, nullptr, &error));
	EXPECT_EQ(errno, ECONNREFUSED);
	EXPECT_EQ(error, BTNS_ECONNECT);
	EXPECT_EQ(latches->released(), 1U);
	const Listener listener = loopback_listener();
	EXPECT_TRUE(latch_connect(client, socket.get(), listener));
}

TEST_F(AppLatch, a_socket_that_does_not_block_goes_on_connecting)
{
	const Listener listener = loopback_listener();
	const Descriptor socket = tcp_socket(AF_INET, SOCK_NONBLOCK);
	int error = BTNS_OK;
	const LatchHandle latch = latch_connect(client, socket.get(), listener, nullptr, &error);
	EXPECT_EQ(error, BTNS_EINPROGRESS);
	ASSERT_TRUE(latch);
	EXPECT_TRUE(latches->only().is_connected) << "its local end was known";
	pollfd waiting{socket.get(), POLLOUT, 0};
	EXPECT_EQ(poll(&waiting, 1, 10000), 1);
	EXPECT_TRUE(has_peer(socket.get()));
	EXPECT_EQ(inquire(latch).state, BTNS_LATCH_ESTABLISHED);
}

TEST_F(AppLatch, a_listener_is_latched_before_it_listens)
{
	const Listener listener = loopback_listener(AF_INET, SOCK_STREAM, false);
	const LatchHandle latch = latch_listen(client, listener.socket.get());
	ASSERT_TRUE(latch);
	EXPECT_FALSE(latches->only().was_listening);
	EXPECT_EQ(inquire(latch).state, BTNS_LATCH_LISTENER);
	btns_channel_t *channel = nullptr;
	EXPECT_EQ(btns_latch_channel(latch.get(), &channel), BTNS_EUNAVAILABLE);
	int error = BTNS_OK;
	EXPECT_FALSE(latch_listen(client, tcp_pair().mine.get(), nullptr, &error)) << "connected";
	EXPECT_EQ(error, BTNS_ESOCKET);
	EXPECT_FALSE(latch_accepted(client, listener.socket.get(), nullptr, &error)) << "not connected";
	EXPECT_EQ(error, BTNS_ESOCKET);
	const auto pair = tcp_pair();
	EXPECT_FALSE(latch_connect(client, pair.mine.get(), listener, nullptr, &error)) << "connected already";
	EXPECT_EQ(error, BTNS_ESOCKET);
}

TEST_F(AppLatch, an_accepted_connection_that_is_not_latched_keeps_the_policy_of_the_kernel)
{
	latches->on_connected([] {});
	const auto pair = tcp_pair();
	std::thread breaker([&] { ASSERT_TRUE(eventually([&] { return latches->made() == 1; })); });
	const LatchHandle latch = latch_accepted(client, pair.mine.get());
	breaker.join();
	EXPECT_EQ(btns_latch_release(latch.get(), -1), BTNS_OK);
	EXPECT_EQ(latches->released_blind(), 1U);
	EXPECT_EQ(latches->released(), 0U);
}

TEST_F(AppLatch, tells_who_is_at_the_other_end_as_it_was_at_birth)
{
	const auto pair = tcp_pair();
	const LatchHandle latch = latch_accepted(client, pair.mine.get());
	// what there is now is another matter
	world.source.set(btns::test::unprotected());
	latches->change_silently(latches->only().id, LatchState::broken, LatchReason::peer_dead);
	const btns_latch_info_t info = inquire(latch);
	EXPECT_EQ(info.state, BTNS_LATCH_BROKEN);
	EXPECT_EQ(info.reason, BTNS_LATCH_REASON_PEER_DEAD);
	btns_channel_t *made = nullptr;
	ASSERT_EQ(btns_latch_channel(latch.get(), &made), BTNS_OK);
	const btns::test::Found channel(made, btns_channel_free);
	btns_info_t facts = BTNS_INFO_INIT;
	ASSERT_EQ(btns_inquire(channel.get(), &facts), BTNS_OK);
	EXPECT_EQ(facts.protection, BTNS_PROTECTED);
	EXPECT_STREQ(facts.authorized_id, "btns:sha256:0102");
	std::vector<uint8_t> binding(BTNS_BINDING_MAX);
	size_t length = binding.size();
	EXPECT_EQ(btns_binding(channel.get(), BTNS_ENDPOINTS, BTNS_BARE, binding.data(), &length), BTNS_OK);
	EXPECT_EQ(binding.at(0), 3);
}

TEST_F(AppLatch, is_found_by_its_socket)
{
	const auto pair = tcp_pair();
	const auto other = tcp_pair();
	const LatchHandle latch = latch_accepted(client, pair.mine.get());
	btns_latch_t *found = nullptr;
	ASSERT_EQ(btns_latch_find(client.get(), pair.mine.get(), &found), BTNS_OK);
	EXPECT_EQ(btns_latch_number(found), btns_latch_number(latch.get()));
	btns_latch_free(found);
	EXPECT_EQ(btns_latch_find(client.get(), other.mine.get(), &found), BTNS_EUNAVAILABLE);
	EXPECT_EQ(found, nullptr);
	const Client stranger = open_client(world.path());
	EXPECT_EQ(btns_latch_find(stranger.get(), pair.mine.get(), &found), BTNS_EUNAVAILABLE) << "somebody else's";
}

TEST_F(AppLatch, is_released_with_its_socket_or_without)
{
	const auto pair = tcp_pair();
	LatchHandle latch = latch_accepted(client, pair.mine.get());
	EXPECT_EQ(btns_latch_release(latch.get(), pair.mine.get()), BTNS_OK);
	EXPECT_EQ(latches->released(), 1U);
	EXPECT_EQ(inquire(latch).state, BTNS_LATCH_CLOSED);
	EXPECT_EQ(btns_latch_release(latch.get(), pair.mine.get()), BTNS_EUNAVAILABLE) << "it is no more";
	latch = latch_accepted(client, pair.mine.get());
	EXPECT_EQ(btns_latch_release(latch.get(), -1), BTNS_OK);
	EXPECT_EQ(latches->released_blind(), 1U);
	EXPECT_EQ(world.server.counters().latches, 0U);
	latch = latch_accepted(client, pair.mine.get());
	latch.reset();
	EXPECT_EQ(latches->all().size(), 1U) << "what is only freed goes on";
}

TEST_F(AppLatch, its_owner_hears_what_becomes_of_it_at_once)
{
	const auto pair = tcp_pair();
	const LatchHandle latch = latch_accepted(client, pair.mine.get());
	const auto id = latches->only().id;
	struct
	{
		LatchState state;
		LatchReason reason;
		btns_event_type_t event;
		btns_latch_reason_t said;
	} const story[]{
		// NOLINT(*-avoid-c-arrays)
		{LatchState::broken, LatchReason::conflict, BTNS_EVENT_LATCH_BROKEN, BTNS_LATCH_REASON_CONFLICT},
		{LatchState::established, LatchReason::cleared, BTNS_EVENT_LATCH_RESTORED, BTNS_LATCH_REASON_CLEARED},
		{LatchState::closed, LatchReason::administrator, BTNS_EVENT_LATCH_CLOSED, BTNS_LATCH_REASON_ADMINISTRATOR},
	};
	for (const auto &step : story)
	{
		const auto begin = std::chrono::steady_clock::now();
		latches->change(id, step.state, step.reason);
		const auto event = wait_event(client);
		ASSERT_TRUE(event);
		EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
		EXPECT_EQ(event->type, step.event);
		EXPECT_EQ(event->reason, step.said);
		EXPECT_EQ(event->latch, btns_latch_number(latch.get()));
		EXPECT_EQ(event->watch, 0U);
	}
	EXPECT_EQ(inquire(latch).state, BTNS_LATCH_CLOSED);
	EXPECT_EQ(world.server.counters().latches, 0U);
}

TEST_F(AppLatch, that_its_own_socket_was_closed_is_nothing_to_hear)
{
	const auto pair = tcp_pair();
	const LatchHandle latch = latch_accepted(client, pair.mine.get());
	latches->change(latches->only().id, LatchState::closed, LatchReason::socket_gone);
	EXPECT_TRUE(eventually([&] { return world.server.counters().latches == 0; }));
	btns_event_t event = BTNS_EVENT_INIT;
	EXPECT_EQ(btns_next_event(client.get(), &event), BTNS_EUNAVAILABLE);
	EXPECT_EQ(inquire(latch).state, BTNS_LATCH_CLOSED);
}

TEST_F(AppLatch, who_has_freed_it_hears_nothing)
{
	const auto pair = tcp_pair();
	const auto other = tcp_pair();
	LatchHandle latch = latch_accepted(client, pair.mine.get());
	const auto id = latches->only().id;
	const LatchHandle kept = latch_accepted(client, other.mine.get());
	latches->change(id, LatchState::broken, LatchReason::conflict);
	EXPECT_TRUE(wait_event(client));
	btns_latch_t *same = nullptr;
	ASSERT_EQ(btns_latch_find(client.get(), pair.mine.get(), &same), BTNS_OK);
	latch.reset();
	latches->change(id, LatchState::established, LatchReason::cleared);
	EXPECT_TRUE(wait_event(client)) << "one who hears is left";
	btns_latch_free(same);
	latches->change(id, LatchState::broken, LatchReason::conflict);
	latches->change(latches->all().back().id, LatchState::broken, LatchReason::conflict);
	const auto event = wait_event(client);
	ASSERT_TRUE(event);
	EXPECT_EQ(event->latch, btns_latch_number(kept.get()));
}

TEST_F(AppLatch, a_listener_hears_what_it_has_given_birth_to)
{
	const Listener listener = loopback_listener(AF_INET, SOCK_STREAM, false);
	const LatchHandle mother = latch_listen(client, listener.socket.get());
	const auto mother_id = latches->only().id;
	const auto owner = latches->only().owner;
	const auto pair = tcp_pair();
	const LatchHandle born = latch_accepted(client, pair.mine.get());
	const auto born_id = latches->all().back().id;
	latches->alert({owner, mother_id, LatchState::established, LatchReason::none, born_id});
	auto event = wait_event(client);
	ASSERT_TRUE(event);
	EXPECT_EQ(event->type, BTNS_EVENT_LATCH_BORN);
	EXPECT_EQ(event->latch, btns_latch_number(mother.get()));
	EXPECT_EQ(event->born, btns_latch_number(born.get()));

	// another process has accepted it
	const Client worker = open_client(world.path());
	const auto theirs = tcp_pair();
	const LatchHandle other = latch_accepted(worker, theirs.mine.get());
	latches->alert({owner, mother_id, LatchState::established, LatchReason::none, latches->all().back().id});
	event = wait_event(client);
	ASSERT_TRUE(event);
	EXPECT_EQ(event->type, BTNS_EVENT_LATCH_BORN);
	EXPECT_EQ(event->born, 0U);
}

TEST_F(AppLatch, one_that_was_born_without_a_request_has_a_number_of_the_daemons)
{
	const auto pair = tcp_pair();
	const LatchHandle first = latch_accepted(client, pair.mine.get());
	const auto owner = latches->only().owner;
	const auto other = tcp_pair();
	// of the same owner, and nobody has told the client
	ASSERT_EQ(latches->latch(owner, other.mine.get(), std::nullopt, {}).outcome, LatchOutcome::made);
	btns_latch_t *found = nullptr;
	ASSERT_EQ(btns_latch_find(client.get(), other.mine.get(), &found), BTNS_OK);
	EXPECT_EQ(btns_latch_number(found), btns::wire::daemons_number | 1U);
	EXPECT_EQ(world.server.counters().latches, 2U);
	latches->change(latches->all().back().id, LatchState::broken, LatchReason::conflict);
	const auto event = wait_event(client);
	ASSERT_TRUE(event);
	EXPECT_EQ(event->latch, btns_latch_number(found));
	btns_latch_free(found);
}

TEST_F(AppLatch, goes_with_its_client)
{
	const auto pair = tcp_pair();
	const auto other = tcp_pair();
	const Client second = open_client(world.path());
	const LatchHandle mine = latch_accepted(client, pair.mine.get());
	const auto owner = latches->only().owner;
	const LatchHandle theirs = latch_accepted(second, other.mine.get());
	const Client third = open_client(world.path());
	EXPECT_TRUE(find(third, udp_socket().get()));
	client.reset();
	EXPECT_TRUE(eventually([&] { return latches->gone().contains(owner); }));
	EXPECT_EQ(latches->gone().size(), 1U);
	EXPECT_EQ(latches->all().size(), 1U);
	EXPECT_TRUE(eventually([&] { return world.server.counters().latches == 1; }));
	btns_latch_info_t info = BTNS_LATCH_INFO_INIT;
	EXPECT_EQ(btns_latch_inquire(mine.get(), &info), BTNS_EDAEMON) << "a handle is none without its btns_t";
	EXPECT_EQ(btns_latch_release(mine.get(), -1), BTNS_EDAEMON);
	btns_channel_t *channel = nullptr;
	EXPECT_EQ(btns_latch_channel(mine.get(), &channel), BTNS_OK) << "but knows what was known";
	btns_channel_free(channel);
	client = open_client(world.path());
	const LatchHandle later = latch_accepted(client, pair.mine.get());
	EXPECT_NE(latches->all().back().owner, owner) << "no owner is like another one";
	world.server.stop();
	EXPECT_EQ(latches->gone().size(), 3U) << "at the end all go";
}

TEST(AppLatches, without_the_service_there_are_none)
{
	AppWorld world;
	const Client client = open_client(world.path());
	const Listener listener = loopback_listener();
	const auto pair = tcp_pair();
	const Descriptor socket = tcp_socket();
	int error = BTNS_OK;
	EXPECT_FALSE(latch_connect(client, socket.get(), listener, nullptr, &error));
	EXPECT_EQ(error, BTNS_ENOTSUP);
	EXPECT_TRUE(is_untouched(listener));
	EXPECT_FALSE(latch_accepted(client, pair.mine.get(), nullptr, &error));
	EXPECT_EQ(error, BTNS_ENOTSUP);
	EXPECT_FALSE(latch_listen(client, listener.socket.get(), nullptr, &error));
	EXPECT_EQ(error, BTNS_ENOTSUP);
	btns_latch_t *latch = nullptr;
	EXPECT_EQ(btns_latch_find(client.get(), pair.mine.get(), &latch), BTNS_ENOTSUP);
	world.server.set_latches(std::make_shared<FakeLatches>());
	EXPECT_TRUE(latch_connect(client, socket.get(), listener)) << "it came later";
	world.server.set_latches(nullptr);
	EXPECT_FALSE(latch_accepted(client, pair.mine.get(), nullptr, &error));
	EXPECT_EQ(error, BTNS_ENOTSUP);
}

TEST(AppLatches, a_daemon_of_before_has_none)
{
	std::atomic<unsigned> requests = 0;
	const FakeDaemon daemon(
		[&](const std::vector<uint8_t> &request)
		{
			requests++;
			EXPECT_LE(request.size(), btns::wire::request_max_1_0) << "it would hang up";
			return FakeDaemon::Messages{btns::app_error_message(FakeDaemon::id_of(request), BTNS_EINVAL)};
		});
	const Client client = open_client(daemon.path());
	const Listener listener = loopback_listener(AF_INET6);
	btns_latch_options_t options = BTNS_LATCH_OPTIONS_INIT;
	options.has_peer_key = 1;
	for (int i = 0; i < 2; i++)
	{
		int error = BTNS_OK;
		EXPECT_FALSE(latch_connect(client, tcp_socket(AF_INET6).get(), listener, &options, &error));
		EXPECT_EQ(error, BTNS_ENOTSUP);
		EXPECT_TRUE(is_untouched(listener));
	}
	EXPECT_EQ(requests, 2U);
}

/** What a client makes of a daemon that answers its request for a latch with these messages. */
int latch_error_of(const FakeDaemon::Answer &answer)
{
	const FakeDaemon daemon(
		[&](const std::vector<uint8_t> &request)
		{
			const uint32_t id = FakeDaemon::id_of(request);
			return request.at(1) == static_cast<uint8_t>(Type::latch_inquire)
					   ? FakeDaemon::Messages{btns::app_error_message(id, BTNS_EUNAVAILABLE)}
					   : answer(id);
		});
	const Client client = open_client(daemon.path());
	const Listener listener = loopback_listener();
	btns_latch_options_t options = BTNS_LATCH_OPTIONS_INIT;
	options.timeout = 20;
	int error = BTNS_OK;
	latch_connect(client, tcp_socket().get(), listener, &options, &error);
	EXPECT_TRUE(error == BTNS_OK || is_untouched(listener)) << error;
	return error;
}

btns::LatchAnswer made(LatchState state, bool has_channel)
{
	btns::LatchAnswer answer;
	answer.outcome = LatchOutcome::made;
	answer.state = state;
	answer.ready = true;
	if (has_channel)
	{
		answer.channel = std::make_shared<const btns::Channel>(btns::test::full_channel());
	}
	return answer;
}

TEST(AppLatches, the_library_takes_no_answer_that_makes_no_sense)
{
	const auto answers = [](const btns::LatchAnswer &answer, uint32_t offset = 0)
	{ return [=](uint32_t id) { return FakeDaemon::Messages{btns::app_latched_message(id + offset, answer, 0)}; }; };
	EXPECT_EQ(latch_error_of(answers(made(LatchState::larval, false), 1)), BTNS_EDAEMON);
	EXPECT_EQ(latch_error_of([](uint32_t id) { return FakeDaemon::Messages{btns::app_done_message(id)}; }),
			  BTNS_EDAEMON);
	EXPECT_EQ(latch_error_of([](uint32_t) { return FakeDaemon::Messages{}; }), BTNS_EDAEMON);
	EXPECT_EQ(latch_error_of(answers(made(LatchState::closed, false))), BTNS_ECONFLICT);
	EXPECT_EQ(latch_error_of(answers(made(LatchState::listener, false))), BTNS_ESOCKET);
	EXPECT_EQ(latch_error_of(answers(made(LatchState::established, false))), BTNS_ECONFLICT)
		<< "held to nobody is not held";
	auto never = made(LatchState::larval, false);
	never.ready = false;
	EXPECT_EQ(latch_error_of(answers(never)), BTNS_ETIMEOUT);
	EXPECT_EQ(
		latch_error_of([](uint32_t id) { return FakeDaemon::Messages{btns::app_error_message(id, BTNS_EINVAL)}; }),
		BTNS_EINVAL)
		<< "after some numbers";
}

TEST_F(AppLatch, arguments_that_make_no_sense_are_errors)
{
	const Listener listener = loopback_listener();
	const Descriptor socket = tcp_socket();
	btns_latch_t *out = reinterpret_cast<btns_latch_t *>(1);
	const auto *address = listener.where();
	EXPECT_EQ(btns_latch_connect(nullptr, socket.get(), address, listener.length, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(out, nullptr);
	EXPECT_EQ(btns_latch_connect(client.get(), -1, address, listener.length, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_connect(client.get(), socket.get(), nullptr, listener.length, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_connect(client.get(), socket.get(), address, 1, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_connect(client.get(), socket.get(), address, sizeof(sockaddr_in) - 1, nullptr, &out),
			  BTNS_EINVAL);
	sockaddr_storage other{};
	other.ss_family = AF_UNIX;
	EXPECT_EQ(btns_latch_connect(client.get(), socket.get(), reinterpret_cast<sockaddr *>(&other), sizeof(other),
								 nullptr, &out),
			  BTNS_EINVAL);
	sockaddr_in nowhere{};
	nowhere.sin_family = AF_INET;
	nowhere.sin_port = htons(80);
	EXPECT_EQ(btns_latch_connect(client.get(), socket.get(), reinterpret_cast<sockaddr *>(&nowhere), sizeof(nowhere),
								 nullptr, &out),
			  BTNS_EINVAL);
	EXPECT_EQ(btns_latch_connect(client.get(), 9999, address, listener.length, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_listen(nullptr, socket.get(), nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_listen(client.get(), -1, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_accepted(nullptr, socket.get(), nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_accepted(client.get(), -1, nullptr, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_find(client.get(), -1, &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_find(nullptr, socket.get(), &out), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_release(nullptr, -1), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_number(nullptr), 0U);
	btns_latch_free(nullptr);
	btns_latch_info_t info = BTNS_LATCH_INFO_INIT;
	EXPECT_EQ(btns_latch_inquire(nullptr, &info), BTNS_EINVAL);
	const auto pair = tcp_pair();
	const LatchHandle latch = latch_accepted(client, pair.mine.get());
	EXPECT_EQ(btns_latch_release(latch.get(), -2), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_inquire(latch.get(), nullptr), BTNS_EINVAL);
	info.size--;
	EXPECT_EQ(btns_latch_inquire(latch.get(), &info), BTNS_EINVAL);
	EXPECT_EQ(btns_latch_channel(latch.get(), nullptr), BTNS_EINVAL);
	EXPECT_EQ(latches->made(), 1U);
}

TEST_F(AppLatch, options_that_make_no_sense_are_errors)
{
	const auto pair = tcp_pair();
	const btns_latch_options_t good = BTNS_LATCH_OPTIONS_INIT;
	const auto error_of = [&](auto change)
	{
		btns_latch_options_t options = good;
		change(options);
		int error = BTNS_OK;
		latch_accepted(client, pair.mine.get(), &options, &error);
		return error;
	};
	EXPECT_EQ(error_of([](auto &options) { options.size--; }), BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.confidentiality = 2; }), BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.narrow = -1; }), BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.has_peer_key = 2; }), BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.auth = static_cast<btns_latch_auth_t>(2); }), BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.disposition = static_cast<btns_latch_disposition_t>(2); }),
			  BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.mode = static_cast<btns_mode_t>(4); }), BTNS_EINVAL);
	EXPECT_EQ(error_of([](auto &options) { options.timeout = btns::wire::timeout_max + 1; }), BTNS_EINVAL);

	struct
	{
		btns_latch_options_t known;
		std::array<uint8_t, 16> more;
	} later{good, {}};
	later.known.size = sizeof(later);
	later.more[15] = 1;
	int error = BTNS_OK;
	latch_accepted(client, pair.mine.get(), &later.known, &error);
	EXPECT_EQ(error, BTNS_ENOTSUP) << "more is asked for than is known";
	EXPECT_EQ(latches->made(), 0U);
	later.more[15] = 0;
	EXPECT_TRUE(latch_accepted(client, pair.mine.get(), &later.known));
}

TEST(AppLatches, there_are_so_many)
{
	struct
	{
		unsigned all;
		unsigned user;
		unsigned client;
	} const cases[]{{2, 9, 9}, {9, 2, 9}, {9, 9, 2}}; // NOLINT(*-avoid-c-arrays)
	for (const auto &bound : cases)
	{
		AppLimits limits;
		limits.latches = bound.all;
		limits.latches_per_user = bound.user;
		limits.latches_per_client = bound.client;
		const auto latches = std::make_shared<FakeLatches>();
		AppWorld world(limits, latches);
		const Client client = open_client(world.path());
		std::vector<btns::test::Pair> pairs;
		std::vector<LatchHandle> handles;
		for (int i = 0; i < 3; i++)
		{
			pairs.push_back(tcp_pair());
		}
		handles.push_back(latch_accepted(client, pairs[0].mine.get()));
		handles.push_back(latch_accepted(client, pairs[1].mine.get()));
		int error = BTNS_OK;
		EXPECT_FALSE(latch_accepted(client, pairs[2].mine.get(), nullptr, &error));
		EXPECT_EQ(error, BTNS_EBUSY);
		EXPECT_EQ(latches->made(), 2U);
		EXPECT_EQ(btns_latch_release(handles[0].get(), -1), BTNS_OK);
		EXPECT_TRUE(latch_accepted(client, pairs[2].mine.get()));
	}
}

/** Latches, made by a client that reads nothing afterwards. */
std::vector<btns::LatchId> make_many(RawClient &client, FakeLatches &latches, uint32_t count)
{
	for (uint32_t number = 1; number <= count; number++)
	{
		const Descriptor socket = udp_socket();
		EXPECT_TRUE(client.request(static_cast<uint8_t>(Type::latch), number, {socket.get()}));
		const auto answer = read_answer(client.receive());
		EXPECT_TRUE(answer && answer->latch);
	}
	std::vector<btns::LatchId> ids;
	for (const auto &latch : latches.all())
	{
		ids.push_back(latch.id);
	}
	return ids;
}

TEST(AppLatches, who_does_not_read_alerts_has_them_all_later_and_is_not_dropped)
{
	AppLimits limits;
	limits.unread = 50;
	limits.alert_interval = limits.look_pause = 1;
	limits.alerts = 7;
	const auto latches = std::make_shared<FakeLatches>();
	AppWorld world(limits, latches);
	RawClient silent(world.path());
	const auto ids = make_many(silent, *latches, 300);
	RawClient second(world.path());
	const Descriptor socket = udp_socket();
	ASSERT_TRUE(second.request(static_cast<uint8_t>(Type::latch), 1, {socket.get()}));
	ASSERT_TRUE(read_answer(second.receive()));
	const auto last = latches->all().back().id;
	constexpr unsigned rounds = 5;
	for (unsigned round = 0; round < rounds; round++)
	{
		for (const auto id : ids)
		{
			latches->change(id, round % 2 == 0 ? LatchState::broken : LatchState::established, LatchReason::conflict);
		}
	}
	latches->change(last, LatchState::broken, LatchReason::conflict);
	EXPECT_TRUE(read_answer(second.receive())) << "others hear meanwhile";
	std::this_thread::sleep_for(std::chrono::milliseconds(4 * limits.unread));
	ASSERT_TRUE(silent.request(static_cast<uint8_t>(Type::latch_inquire), 1)) << "and it may ask, too";
	unsigned heard = 0;
	bool answered = false;
	while (heard < rounds * ids.size() || !answered)
	{
		const auto message = read_answer(silent.receive());
		ASSERT_TRUE(message) << heard;
		if (message->type == Type::latched)
		{
			answered = true;
			continue;
		}
		EXPECT_EQ(message->id, heard % ids.size() + 1) << "in the order in which it was";
		EXPECT_EQ(message->event, heard / ids.size() % 2 == 0 ? BTNS_EVENT_LATCH_BROKEN : BTNS_EVENT_LATCH_RESTORED);
		heard++;
	}
	EXPECT_TRUE(latches->gone().empty());
}

/** Attributes of a request. */
std::vector<uint8_t> latch_request(uint32_t id, const std::vector<std::pair<Tag, std::vector<uint8_t>>> &attributes)
{
	std::vector<uint8_t> out{1, static_cast<uint8_t>(Type::latch), 0, 0, 0, 0, 0, static_cast<uint8_t>(id)};
	for (const auto &[tag, value] : attributes)
	{
		out.insert(out.end(), {0, static_cast<uint8_t>(tag), 0, static_cast<uint8_t>(value.size())});
		out.insert(out.end(), value.begin(), value.end());
	}
	return out;
}

/** The error that comes next, BTNS_OK for another answer, -1 for none. */
int next_error(RawClient &client)
{
	const auto answer = read_answer(client.receive());
	return !answer ? -1 : answer->type == Type::error ? answer->error : BTNS_OK;
}

TEST(AppLatches, hostile_requests_are_answered_and_make_nothing)
{
	const auto latches = std::make_shared<FakeLatches>();
	AppWorld world({}, latches);
	RawClient client(world.path());
	const Descriptor socket = udp_socket();
	const std::vector<std::pair<int, std::vector<std::pair<Tag, std::vector<uint8_t>>>>> cases{
		{BTNS_ENOTSUP, {{Tag::want_flags, {4}}}},
		{BTNS_ENOTSUP, {{Tag::want_auth, {2}}}},
		{BTNS_ENOTSUP, {{Tag::want_disposition, {2}}}},
		{BTNS_ENOTSUP, {{Tag::want_mode, {4}}}},
		{BTNS_ENOTSUP, {{static_cast<Tag>(99), {}}}},
		{BTNS_ENOTSUP, {{Tag::protection, {1}}}},
		{BTNS_EINVAL, {{Tag::want_flags, {}}}},
		{BTNS_EINVAL, {{Tag::want_flags, {0, 0}}}},
		{BTNS_EINVAL, {{Tag::want_auth, {1}}, {Tag::want_auth, {0}}}},
		{BTNS_EINVAL, {{Tag::want_peer_key, std::vector<uint8_t>(31)}}},
		{BTNS_EINVAL, {{Tag::want_peer_key, std::vector<uint8_t>(33)}}},
		{BTNS_EINVAL, {{Tag::want_timeout, {1}}}},
		{BTNS_EINVAL, {{Tag::want_timeout, {0xff, 0xff, 0xff, 0xff}}}},
		{BTNS_EINVAL, {{Tag::destination, {0, 80}}}},
		{BTNS_EINVAL, {{Tag::destination, {0, 80, 10, 0, 0}}}},
		{BTNS_EINVAL, {{Tag::destination, {0, 0, 10, 0, 0, 1}}}},
		{BTNS_EINVAL, {{Tag::destination, {0, 80, 0, 0, 0, 0}}}},
		{BTNS_EINVAL, {{Tag::destination, std::vector<uint8_t>(19)}}},
		{BTNS_OK, {{Tag::want_flags, {3}}, {Tag::destination, {0, 80, 10, 0, 0, 1}}}},
	};
	for (const auto &[expected, attributes] : cases)
	{
		ASSERT_TRUE(client.send(latch_request(1, attributes), {socket.get()}));
		EXPECT_EQ(next_error(client), expected) << static_cast<int>(attributes.front().first);
		EXPECT_EQ(latches->made(), expected == BTNS_OK ? 1U : 0U);
	}
	const auto ask = [&](Type type, uint32_t id, const std::vector<int> &fds)
	{
		client.request(static_cast<uint8_t>(type), id, fds);
		return next_error(client);
	};
	const Descriptor other = udp_socket();
	EXPECT_EQ(ask(Type::latch, 1, {other.get()}), BTNS_EINVAL) << "a number that is taken";
	EXPECT_EQ(ask(Type::latch, btns::wire::daemons_number | 5U, {other.get()}), BTNS_EINVAL);
	EXPECT_EQ(ask(Type::latch, 2, {}), BTNS_EINVAL);
	EXPECT_EQ(ask(Type::latch, 2, {other.get(), other.get()}), BTNS_EINVAL);
	EXPECT_EQ(ask(Type::latch_connected, 1, {}), BTNS_EINVAL);
	EXPECT_EQ(ask(Type::latch_find, 3, {}), BTNS_EINVAL);
	EXPECT_EQ(ask(Type::latch_connected, 2, {other.get()}), BTNS_EUNAVAILABLE) << "none of its latches";
	EXPECT_EQ(ask(Type::latch_inquire, 2, {}), BTNS_EUNAVAILABLE);
	EXPECT_EQ(ask(Type::latch_release, 2, {}), BTNS_EUNAVAILABLE);
	EXPECT_EQ(ask(Type::latch_release, 1, {other.get(), other.get()}), BTNS_EINVAL);
	EXPECT_EQ(ask(Type::latch_inquire, 1, {other.get()}), BTNS_OK) << "a descriptor that is not needed";
	EXPECT_EQ(latches->made(), 1U);
	RawClient stranger(world.path());
	stranger.request(static_cast<uint8_t>(Type::latch_release), 1);
	EXPECT_EQ(next_error(stranger), BTNS_EUNAVAILABLE) << "numbers are each client's own";
	EXPECT_EQ(latches->all().size(), 1U);
	RawClient longer(world.path());
	auto too_long = latch_request(1, {{Tag::want_flags, {3}}});
	too_long.resize(btns::wire::request_max + 1);
	longer.send(too_long, {socket.get()});
	EXPECT_TRUE(longer.is_dropped());
}

TEST(AppLatches, a_service_that_fails_ends_the_connection_or_is_an_error)
{
	const auto latches = std::make_shared<FakeLatches>();
	AppWorld world({}, latches);
	const auto pair = tcp_pair();
	const Client client = open_client(world.path());
	latches->decide([](const auto &) -> LatchOutcome { throw std::bad_alloc(); });
	int error = BTNS_OK;
	EXPECT_FALSE(latch_accepted(client, pair.mine.get(), nullptr, &error));
	EXPECT_EQ(error, BTNS_ENOMEM);
	latches->decide([](const auto &) -> LatchOutcome { throw std::runtime_error("no"); });
	EXPECT_FALSE(latch_accepted(client, pair.mine.get(), nullptr, &error));
	EXPECT_EQ(error, BTNS_EDAEMON);
	EXPECT_TRUE(world.lines.wait_for("cannot be served"));
	EXPECT_TRUE(eventually([&] { return latches->gone().size() == 1; }));
	latches->decide({});
	latches->on_owner_gone([](btns::LatchOwner) { throw std::runtime_error("sock_diag is gone"); });
	EXPECT_TRUE(latch_accepted(open_client(world.path()), pair.mine.get()));
	EXPECT_TRUE(world.lines.wait_for("cannot close the latches of a client that has gone: sock_diag is gone"));
	EXPECT_TRUE(latch_accepted(open_client(world.path()), tcp_pair().mine.get())) << "and it goes on";
}

/** As another user, as far as who connects is concerned. */
template <typename Body>
void as_user(uid_t user, Body &&body)
{
	std::thread(
		[&]
		{
			// of this thread only, which the C library would not do
			ASSERT_EQ(syscall(SYS_setresuid, -1, user, -1), 0);
			body();
		})
		.join();
}

TEST(AppLatches, those_of_others_are_closed_when_a_thread_is_stuck_with_somebodys_socket)
{
	if (geteuid() != 0)
	{
		GTEST_SKIP() << "needs another user";
	}
	AppLimits limits;
	limits.check_interval = 10;
	limits.checks = 5;
	const auto latches = std::make_shared<FakeLatches>();
	AppWorld world(limits, latches);
	ASSERT_EQ(chmod(world.path(), 0666), 0);
	ASSERT_EQ(chmod(std::filesystem::path(world.path()).parent_path().c_str(), 0711), 0);
	const Client honest = open_client(world.path());
	const auto pair = tcp_pair();
	const LatchHandle mine = latch_accepted(honest, pair.mine.get());
	const auto honest_owner = latches->only().owner;
	std::promise<void> way;
	std::shared_future<void> free = way.get_future();
	latches->on_connected([free] { free.wait(); });
	btns::LatchOwner hostile_owner = 0;
	as_user(4711,
			[&]
			{
				RawClient client(world.path());
				const Descriptor socket = udp_socket();
				client.request(static_cast<uint8_t>(Type::latch), 1, {socket.get()});
				EXPECT_EQ(next_error(client), BTNS_OK);
				hostile_owner = latches->all().back().owner;
				client.request(static_cast<uint8_t>(Type::latch_connected), 1, {socket.get()});
				EXPECT_TRUE(client.is_dropped());
			});
	EXPECT_TRUE(world.lines.wait_for("cannot be asked or closed; this user has to wait"));
	EXPECT_TRUE(eventually([&] { return latches->gone().contains(honest_owner); }))
		<< "its client was hung up on, and nobody else would close its latches";
	EXPECT_FALSE(latches->gone().contains(hostile_owner)) << "which may make the next thread stuck, too";
	const Client again = open_client(world.path());
	EXPECT_TRUE(latch_accepted(again, pair.mine.get())) << "others are served";
	latches->on_connected({});
	way.set_value();
	EXPECT_TRUE(eventually([&] { return latches->gone().contains(hostile_owner); })) << "when it has come back";
}

TEST(AppLatches, the_end_does_not_wait_for_a_service_that_is_stuck)
{
	AppLimits limits;
	limits.check_interval = 10;
	limits.checks = 5;
	std::promise<void> way;
	std::shared_future<void> free = way.get_future();
	auto latches = std::make_shared<FakeLatches>();
	const std::weak_ptr<FakeLatches> watched = latches;
	{
		AppWorld world(limits, latches);
		RawClient client(world.path());
		const Descriptor socket = udp_socket();
		client.request(static_cast<uint8_t>(Type::latch), 1, {socket.get()});
		EXPECT_EQ(next_error(client), BTNS_OK);
		latches->on_connected([free] { free.wait(); });
		client.request(static_cast<uint8_t>(Type::latch_connected), 1, {socket.get()});
		EXPECT_TRUE(world.lines.wait_for("cannot be asked or closed"));
	}
	latches.reset();
	EXPECT_FALSE(watched.expired()) << "the thread that is stuck has it";
	way.set_value();
	EXPECT_TRUE(eventually([&] { return watched.expired(); }));
}

TEST(AppLatches, many_threads_and_one_connection)
{
	const auto latches = std::make_shared<FakeLatches>();
	AppWorld world({}, latches);
	const Client shared = open_client(world.path());
	const Listener listener = loopback_listener();
	std::latch start(6);
	std::vector<std::thread> threads;
	for (int i = 0; i < 6; i++)
	{
		threads.emplace_back(
			[&]
			{
				start.arrive_and_wait();
				for (int round = 0; round < 20; round++)
				{
					const Descriptor socket = tcp_socket();
					const LatchHandle latch = latch_connect(shared, socket.get(), listener);
					ASSERT_TRUE(latch);
					btns_event_t event = BTNS_EVENT_INIT;
					btns_next_event(shared.get(), &event);
					EXPECT_EQ(inquire(latch).state, BTNS_LATCH_ESTABLISHED);
					if (round % 2 == 0)
					{
						EXPECT_EQ(btns_latch_release(latch.get(), socket.get()), BTNS_OK);
					}
				}
			});
	}
	std::atomic<bool> done = false;
	std::thread acceptor(
		[&]
		{
			while (!done)
			{
				pollfd waiting{listener.socket.get(), POLLIN, 0};
				if (poll(&waiting, 1, 10) == 1)
				{
					const Descriptor accepted(accept(listener.socket.get(), nullptr, nullptr));
				}
			}
		});
	for (std::thread &thread : threads)
	{
		thread.join();
	}
	done = true;
	acceptor.join();
	EXPECT_EQ(latches->made(), 120U);
	EXPECT_EQ(world.server.counters().latches, 60U);
}

TEST(AppLatchWire, the_library_reads_what_the_server_writes)
{
	auto answer = made(LatchState::broken, true);
	answer.reason = LatchReason::conflict;
	answer.indeterminate = false;
	answer.tuple = {17, {4, 0x0a000001}, {6, 5}, 53, 54};
	const auto read = read_answer(btns::app_latched_message(9, answer, 77));
	ASSERT_TRUE(read && read->latch);
	EXPECT_EQ(read->id, 9U);
	EXPECT_EQ(read->latch->number, 77U);
	EXPECT_EQ(read->latch->info.state, BTNS_LATCH_BROKEN);
	EXPECT_EQ(read->latch->info.reason, BTNS_LATCH_REASON_CONFLICT);
	EXPECT_EQ(read->latch->info.indeterminate, 0);
	EXPECT_EQ(read->latch->info.protocol, 17);
	EXPECT_TRUE(read->latch->ready);
	EXPECT_EQ(reinterpret_cast<const sockaddr_in *>(&read->latch->info.local)->sin_port, htons(53));
	EXPECT_EQ(read->latch->info.peer.ss_family, AF_INET6);
	ASSERT_TRUE(read->latch->channel);
	EXPECT_STREQ(read->latch->channel->info.asserted_id, "somebody");
	EXPECT_EQ(read->latch->channel->trust_anchor.size(), 4U);

	auto listening = made(LatchState::listener, false);
	listening.tuple = {6, {}, {}, 80, 0};
	const auto mother = read_answer(btns::app_latched_message(9, listening, 0));
	ASSERT_TRUE(mother && mother->latch);
	EXPECT_FALSE(mother->latch->channel);
	EXPECT_EQ(mother->latch->info.peer.ss_family, AF_UNSPEC);
	EXPECT_EQ(mother->latch->info.local.ss_family, AF_INET6) << "at any address";
	EXPECT_EQ(reinterpret_cast<const sockaddr_in6 *>(&mother->latch->info.local)->sin6_port, htons(80));
}

TEST(AppLatchWire, each_state_and_reason_has_one_for_the_application)
{
	for (const LatchState state :
		 {LatchState::listener, LatchState::larval, LatchState::established, LatchState::broken, LatchState::closed})
	{
		const auto read = read_answer(btns::app_latched_message(1, made(state, true), 0));
		ASSERT_TRUE(read && read->latch);
		EXPECT_EQ(read->latch->info.state, static_cast<int>(state) + BTNS_LATCH_LISTENER);
	}
	std::set<std::string> seen;
	for (int reason = 0; reason <= BTNS_LATCH_REASON_SHUTDOWN; reason++)
	{
		const auto read =
			read_answer(btns::app_alert_message(1, BTNS_EVENT_LATCH_BROKEN, static_cast<LatchReason>(reason), 5));
		ASSERT_TRUE(read);
		EXPECT_EQ(read->reason, reason);
		EXPECT_EQ(read->born, 5U);
		EXPECT_TRUE(seen.insert(btns_latch_reason(reason)).second);
	}
	EXPECT_STREQ(btns_latch_reason(-1), "unknown reason");
	EXPECT_STREQ(btns_latch_reason(BTNS_LATCH_REASON_SHUTDOWN + 1), "unknown reason");
}

TEST(AppLatchWire, what_makes_no_sense_is_no_answer)
{
	const auto message = [](const std::vector<std::pair<Tag, std::vector<uint8_t>>> &attributes)
	{
		auto out = latch_request(1, attributes);
		out.at(1) = static_cast<uint8_t>(Type::latched);
		return out;
	};
	const std::pair<Tag, std::vector<uint8_t>> larval{Tag::latch_state, {BTNS_LATCH_LARVAL}};
	EXPECT_TRUE(read_answer(message({larval})));
	EXPECT_TRUE(read_answer(message({larval, {static_cast<Tag>(99), {1}}}))) << "of a later version";
	EXPECT_FALSE(read_answer(message({})));
	EXPECT_FALSE(read_answer(message({{Tag::latch_reason, {0}}, larval}))) << "the state is the first";
	EXPECT_FALSE(read_answer(message({larval, larval})));
	EXPECT_FALSE(read_answer(message({{Tag::latch_state, {0}}})));
	EXPECT_FALSE(read_answer(message({{Tag::latch_state, {BTNS_LATCH_CLOSED + 1}}})));
	EXPECT_FALSE(read_answer(message({{Tag::latch_state, {BTNS_LATCH_ESTABLISHED}}}))) << "with whom?";
	EXPECT_TRUE(
		read_answer(message({{Tag::latch_state, {BTNS_LATCH_ESTABLISHED}}, {Tag::protection, {BTNS_PROTECTED}}})));
	EXPECT_FALSE(read_answer(message({larval, {Tag::endpoints_binding, std::vector<uint8_t>(32)}})))
		<< "a binding of nothing";
	for (const Tag tag : {Tag::latch_reason, Tag::latch_number, Tag::latch_flags, Tag::latch_protocol, Tag::want_flags,
						  Tag::want_auth, Tag::want_disposition, Tag::want_mode, Tag::want_peer_key, Tag::want_timeout})
	{
		EXPECT_FALSE(read_answer(message({larval, {tag, {}}}))) << static_cast<int>(tag);
		EXPECT_FALSE(read_answer(message({larval, {tag, std::vector<uint8_t>(33)}}))) << static_cast<int>(tag);
	}
	EXPECT_FALSE(read_answer(message({larval, {Tag::latch_number, {0, 0, 0, 0}}})));
	EXPECT_FALSE(read_answer(message({larval, {Tag::want_auth, {2}}})));
}

} // namespace
