/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* The server, asked through the library and by clients that misbehave. */
#include "app_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <latch>

#include "answer.h"
#include "app_world.h"

namespace
{

using btns::AppLimits;
using btns::Descriptor;
using btns::test::AppWorld;
using btns::test::eventually;
using btns::test::find;
using btns::test::full_channel;
using btns::test::open_client;
using btns::test::protected_by;
using btns::test::RawClient;
using btns::test::tcp_pair;
using btns::test::udp_socket;
using btns::test::unprotected;
using btns::test::wait_event;

constexpr auto find_type = static_cast<uint8_t>(btns::wire::Type::find);
constexpr auto watch_type = static_cast<uint8_t>(btns::wire::Type::watch);
constexpr auto unwatch_type = static_cast<uint8_t>(btns::wire::Type::unwatch);

/** The error that comes next, BTNS_OK for another answer, -1 for none. */
int next_error(RawClient &client)
{
	const auto answer = btns::client::read_answer(client.receive());
	return !answer ? -1 : answer->type == btns::wire::Type::error ? answer->error : BTNS_OK;
}

TEST(AppServer, tells_what_protects_the_flow_of_a_socket)
{
	AppWorld world;
	const auto pair = tcp_pair();
	const auto flow = btns::flow_of(pair.mine.get(), *btns::network_namespace_of(pair.mine.get()));
	ASSERT_TRUE(flow);
	world.source.set(
		[flow](const btns::Flow &asked)
		{
			EXPECT_EQ(asked.local, flow->local);
			EXPECT_EQ(asked.local_port, flow->local_port);
			EXPECT_EQ(asked.remote_port, flow->remote_port);
			EXPECT_EQ(asked.protocol, 6);
			return protected_by(full_channel());
		});
	const auto client = open_client(world.path());
	const auto channel = find(client, pair.mine.get());
	ASSERT_TRUE(channel);
	btns_info_t info = BTNS_INFO_INIT;
	ASSERT_EQ(btns_inquire(channel.get(), &info), BTNS_OK);
	EXPECT_EQ(info.protection, BTNS_PROTECTED);
	EXPECT_STREQ(info.authorized_id, "btns:sha256:0102");
	EXPECT_EQ(world.source.asked, 1U);
}

TEST(AppServer, tells_why_a_flow_is_not_protected)
{
	AppWorld world;
	const auto pair = tcp_pair();
	const auto client = open_client(world.path());
	world.source.set(unprotected());
	EXPECT_STREQ(btns_channel_reason(find(client, pair.mine.get()).get()), "no CHILD_SA takes it");
	world.source.set(btns::test::ambiguous());
	EXPECT_STREQ(btns_channel_reason(find(client, pair.mine.get()).get()), "two peers' CHILD_SAs take it");
}

TEST(AppServer, tells_nothing_about_other_descriptors)
{
	AppWorld world;
	const auto client = open_client(world.path());
	std::array<int, 2> pipe_ends{};
	ASSERT_EQ(pipe(pipe_ends.data()), 0);
	const Descriptor read_end(pipe_ends[0]);
	const Descriptor write_end(pipe_ends[1]);
	std::array<int, 2> pair{};
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
	const Descriptor one(pair[0]);
	const Descriptor other(pair[1]);
	const Descriptor null(open("/dev/null", O_RDONLY));
	const Descriptor folder(open("/", O_RDONLY | O_DIRECTORY));
	const Descriptor unconnected(socket(AF_INET, SOCK_DGRAM, 0));
	const Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(listen(listener.get(), 1), 0);
	for (const Descriptor *descriptor : {&read_end, &write_end, &one, &other, &null, &folder, &unconnected, &listener})
	{
		int error = BTNS_OK;
		EXPECT_FALSE(find(client, descriptor->get(), &error));
		EXPECT_EQ(error, BTNS_ESOCKET);
	}
	EXPECT_EQ(world.source.asked, 0U);
	EXPECT_TRUE(find(client, udp_socket().get())) << "and the client may go on";
}

TEST(AppServer, keeps_no_copy_of_a_descriptor)
{
	AppWorld world;
	const auto client = open_client(world.path());
	auto pair = tcp_pair();
	uint32_t watch = 0;
	ASSERT_EQ(btns_watch(client.get(), pair.mine.get(), nullptr, &watch), BTNS_OK);
	ASSERT_TRUE(find(client, pair.mine.get()));
	pair.mine.reset();
	char octet = 0;
	EXPECT_EQ(recv(pair.other.get(), &octet, 1, 0), 0) << "the other end sees that it was closed";
}

TEST(AppServer, a_source_that_fails_is_an_error_and_nothing_else)
{
	AppWorld world;
	const auto client = open_client(world.path());
	const auto socket = udp_socket();
	world.source.set([](const btns::Flow &) -> btns::ChannelAnswer { throw std::bad_alloc(); });
	int error = BTNS_OK;
	EXPECT_FALSE(find(client, socket.get(), &error));
	EXPECT_EQ(error, BTNS_ENOMEM);
	world.source.set(unprotected());
	EXPECT_TRUE(find(client, socket.get()));
}

TEST(AppServer, tells_who_watches_what_has_changed)
{
	AppWorld world;
	const auto client = open_client(world.path());
	const auto pair = tcp_pair();
	btns_channel_t *channel = nullptr;
	uint32_t watch = 0;
	world.source.set(unprotected());
	ASSERT_EQ(btns_watch(client.get(), pair.mine.get(), &channel, &watch), BTNS_OK);
	EXPECT_STREQ(btns_channel_reason(channel), "no CHILD_SA takes it");
	btns_channel_free(channel);

	btns::Channel changed = full_channel();
	const std::vector<std::pair<btns::ChannelAnswer, btns_event_type_t>> story{
		{protected_by(changed), BTNS_EVENT_PROTECTED},
		{(changed.unique.value->front()++, protected_by(changed)), BTNS_EVENT_RENEWED},
		{(changed.peer_fingerprint->front()++, protected_by(changed)), BTNS_EVENT_CHANGED},
		{unprotected(), BTNS_EVENT_UNPROTECTED},
	};
	for (const auto &[answer, expected] : story)
	{
		world.source.set(answer);
		const auto event = wait_event(client);
		ASSERT_TRUE(event);
		EXPECT_EQ(event->type, expected);
		EXPECT_EQ(event->watch, watch);
	}
	EXPECT_EQ(btns_unwatch(client.get(), watch), BTNS_OK);
	EXPECT_EQ(btns_unwatch(client.get(), watch), BTNS_EINVAL);
	EXPECT_EQ(world.server.counters().watches, 0U);
}

TEST(AppServer, looks_at_all_watches_of_all_clients)
{
	AppLimits limits;
	limits.looks = 3;
	limits.requests_per_client = limits.requests_per_user = 1000000;
	AppWorld world(limits);
	constexpr size_t count = 40;
	const auto pair = tcp_pair();
	std::vector<btns::test::Client> clients;
	for (int i = 0; i < 3; i++)
	{
		clients.push_back(open_client(world.path()));
		for (size_t made = 0; made < count; made++)
		{
			uint32_t watch = 0;
			ASSERT_EQ(btns_watch(clients.back().get(), pair.mine.get(), nullptr, &watch), BTNS_OK);
		}
	}
	// whoever goes in the middle leaves the others where they are
	clients.erase(clients.begin() + 1);
	world.source.set(protected_by(full_channel()));
	for (const auto &client : clients)
	{
		std::set<uint32_t> told;
		while (told.size() < count)
		{
			const auto event = wait_event(client);
			ASSERT_TRUE(event) << told.size();
			EXPECT_EQ(event->type, BTNS_EVENT_PROTECTED);
			EXPECT_TRUE(told.insert(event->watch).second) << "each is told once";
		}
	}
	EXPECT_TRUE(eventually([&] { return world.server.counters().watches == 2 * count; }));
}

TEST(AppServer, asks_nothing_unless_something_has_changed)
{
	AppLimits limits;
	limits.look_interval = 1;
	AppWorld world(limits);
	const auto client = open_client(world.path());
	uint32_t watch = 0;
	ASSERT_EQ(btns_watch(client.get(), udp_socket().get(), nullptr, &watch), BTNS_OK);
	// whatever was due is over when this has come
	world.source.set(protected_by(full_channel()));
	ASSERT_TRUE(wait_event(client));
	const unsigned asked = world.source.asked;
	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_LE(world.source.asked, asked + 1);
}

TEST(AppServer, a_change_that_could_not_be_looked_at_is_looked_at_again)
{
	AppLimits limits;
	limits.look_interval = 1;
	AppWorld world(limits);
	const auto client = open_client(world.path());
	uint32_t watch = 0;
	ASSERT_EQ(btns_watch(client.get(), udp_socket().get(), nullptr, &watch), BTNS_OK);
	std::atomic<unsigned> failures = 0;
	world.source.set(
		[&failures](const btns::Flow &)
		{
			if (failures++ < 3)
			{
				throw std::bad_alloc();
			}
			return protected_by(full_channel());
		});
	ASSERT_TRUE(wait_event(client));
	EXPECT_EQ(failures, 4U);
}

TEST(AppServer, requests_that_are_none_end_the_connection)
{
	AppWorld world;
	const auto socket = udp_socket();
	const std::vector<uint8_t> good{1, find_type, 0, 0, 0, 0, 0, 1};
	std::vector<std::vector<uint8_t>> bad{
		{1}, {1, 1, 0, 0, 0, 0, 0}, {2, 1, 0, 0, 0, 0, 0, 1}, {1, 1, 0, 1, 0, 0, 0, 1}};
	bad.emplace_back(100, 'x');
	bad.emplace_back(good).resize(btns::wire::request_max + 1);
	bad.emplace_back(good).insert(bad.back().end(), {0, 1, 0, 9});
	for (const auto &octets : bad)
	{
		RawClient client(world.path());
		client.send(octets, {socket.get()});
		EXPECT_TRUE(client.is_dropped()) << octets.size();
		EXPECT_TRUE(client.receive().empty());
	}
	EXPECT_TRUE(world.lines.wait_for("sent what is no request"));
	EXPECT_EQ(world.source.asked, 0U);
	EXPECT_EQ(world.server.counters().refused, bad.size());
}

TEST(AppServer, requests_that_cannot_be_answered_have_an_error)
{
	AppWorld world;
	RawClient client(world.path());
	const auto socket = udp_socket();
	client.request(99, 1);
	EXPECT_EQ(next_error(client), BTNS_EINVAL);
	client.request(static_cast<uint8_t>(btns::wire::Type::channel), 1, {socket.get()});
	EXPECT_EQ(next_error(client), BTNS_EINVAL);
	client.request(find_type, 2);
	EXPECT_EQ(next_error(client), BTNS_EINVAL) << "without a descriptor";
	client.request(unwatch_type, 3);
	EXPECT_EQ(next_error(client), BTNS_EINVAL) << "nothing to unwatch";
	client.request(watch_type, 4, {socket.get()});
	EXPECT_EQ(next_error(client), BTNS_OK);
	client.request(watch_type, 4, {socket.get()});
	EXPECT_EQ(next_error(client), BTNS_EINVAL) << "the same number again";
	client.request(unwatch_type, 4, {socket.get()});
	EXPECT_EQ(next_error(client), BTNS_OK) << "a descriptor that is not needed";
}

TEST(AppServer, takes_one_descriptor_with_a_request_and_keeps_none_of_several)
{
	AppWorld world;
	RawClient client(world.path());
	for (const size_t count : {2U, 3U, 100U, 253U})
	{
		std::array<int, 2> ends{};
		ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
		const Descriptor read_end(ends[0]);
		Descriptor write_end(ends[1]);
		client.request(find_type, 1, std::vector<int>(count, write_end.get()));
		EXPECT_EQ(next_error(client), BTNS_EINVAL);
		write_end.reset();
		char octet = 0;
		EXPECT_TRUE(eventually([&] { return read(read_end.get(), &octet, 1) == 0; })) << "nobody else has it";
	}
	EXPECT_TRUE(client.request(find_type, 2, {udp_socket().get()}));
	EXPECT_EQ(next_error(client), BTNS_OK);
}

TEST(AppServer, takes_so_many_clients_of_a_user)
{
	AppLimits limits;
	limits.clients_per_user = 3;
	AppWorld world(limits);
	std::vector<btns::test::Client> clients;
	const auto socket = udp_socket();
	for (unsigned i = 0; i < limits.clients_per_user; i++)
	{
		clients.push_back(open_client(world.path()));
		EXPECT_TRUE(find(clients.back(), socket.get()));
	}
	int error = BTNS_OK;
	EXPECT_FALSE(find(open_client(world.path()), socket.get(), &error));
	EXPECT_EQ(error, BTNS_EBUSY);
	EXPECT_TRUE(world.lines.wait_for("one client too many"));
	clients.pop_back();
	EXPECT_TRUE(eventually([&] { return world.server.counters().clients == 2; }));
	EXPECT_TRUE(find(open_client(world.path()), socket.get()));
	EXPECT_TRUE(find(clients.front(), socket.get()));
}

TEST(AppServer, takes_so_many_clients_in_all)
{
	AppLimits limits;
	limits.clients = 1;
	AppWorld world(limits);
	const auto client = open_client(world.path());
	EXPECT_TRUE(find(client, udp_socket().get()));
	RawClient other(world.path());
	EXPECT_EQ(next_error(other), BTNS_EBUSY);
	EXPECT_TRUE(other.is_dropped());
}

TEST(AppServer, takes_so_many_watches)
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
		limits.watches = bound.all;
		limits.watches_per_user = bound.user;
		limits.watches_per_client = bound.client;
		AppWorld world(limits);
		const auto client = open_client(world.path());
		const auto socket = udp_socket();
		uint32_t first = 0;
		uint32_t watch = 0;
		EXPECT_EQ(btns_watch(client.get(), socket.get(), nullptr, &first), BTNS_OK);
		EXPECT_EQ(btns_watch(client.get(), socket.get(), nullptr, &watch), BTNS_OK);
		EXPECT_NE(first, watch);
		EXPECT_EQ(btns_watch(client.get(), socket.get(), nullptr, &watch), BTNS_EBUSY);
		EXPECT_EQ(btns_unwatch(client.get(), first), BTNS_OK);
		EXPECT_EQ(btns_watch(client.get(), socket.get(), nullptr, &watch), BTNS_OK);
	}
}

TEST(AppServer, who_asks_too_fast_waits_and_others_do_not)
{
	AppLimits limits;
	limits.requests_per_client = 50;
	AppWorld world(limits);
	const auto socket = udp_socket();
	RawClient fast(world.path());
	const auto began = std::chrono::steady_clock::now();
	for (uint32_t i = 0; i < 200; i++)
	{
		ASSERT_TRUE(fast.request(find_type, i, {socket.get()}));
	}
	EXPECT_TRUE(eventually([&] { return world.server.counters().requests >= 50; }));
	const auto client = open_client(world.path());
	EXPECT_TRUE(find(client, socket.get()));
	for (uint32_t i = 0; i < 110; i++)
	{
		EXPECT_EQ(next_error(fast), BTNS_OK) << "those that wait are answered in the end";
	}
	// fifty at once, and the others at the rate
	EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST(AppServer, who_does_not_read_is_dropped)
{
	AppLimits limits;
	limits.unread = 100;
	limits.requests_per_client = limits.requests_per_user = 1000000;
	AppWorld world(limits);
	const auto socket = udp_socket();
	world.source.set(protected_by(full_channel()));
	RawClient deaf(world.path());
	while (deaf.request(find_type, 1, {socket.get()}))
	{}
	EXPECT_TRUE(deaf.is_dropped());
	EXPECT_TRUE(world.lines.wait_for("does not read"));
	EXPECT_TRUE(find(open_client(world.path()), socket.get()));
}

TEST(AppServer, who_reads_late_has_every_answer)
{
	AppLimits limits;
	limits.requests_per_client = limits.requests_per_user = 1000000;
	AppWorld world(limits);
	const auto socket = udp_socket();
	world.source.set(protected_by(full_channel()));
	RawClient slow(world.path());
	constexpr uint32_t count = 300;
	std::thread sender(
		[&]
		{
			for (uint32_t i = 0; i < count; i++)
			{
				EXPECT_TRUE(slow.request(find_type, i, {socket.get()}));
			}
		});
	EXPECT_TRUE(eventually([&] { return world.server.counters().requests > 20; }));
	for (uint32_t i = 0; i < count; i++)
	{
		const auto answer = btns::client::read_answer(slow.receive());
		ASSERT_TRUE(answer) << i;
		EXPECT_EQ(answer->id, i);
	}
	sender.join();
}

TEST(AppServer, who_reads_events_late_has_the_last_state_of_each_watch)
{
	AppLimits limits;
	limits.requests_per_client = limits.requests_per_user = 1000000;
	limits.look_interval = 5;
	AppWorld world(limits);
	RawClient slow(world.path());
	const auto socket = udp_socket();
	constexpr uint32_t count = 1000;
	for (uint32_t i = 1; i <= count; i++)
	{
		ASSERT_TRUE(slow.request(watch_type, i, {socket.get()}));
		ASSERT_EQ(next_error(slow), BTNS_OK);
	}
	// more than the client has room for
	world.source.set(protected_by(full_channel()));
	EXPECT_TRUE(eventually([&] { return world.source.asked >= 3 * count; }));
	std::set<uint32_t> told;
	while (told.size() < count)
	{
		const auto answer = btns::client::read_answer(slow.receive());
		ASSERT_TRUE(answer) << told.size();
		ASSERT_EQ(answer->type, btns::wire::Type::event);
		EXPECT_EQ(answer->event, BTNS_EVENT_PROTECTED);
		EXPECT_TRUE(told.insert(answer->id).second);
	}
}

TEST(AppServer, clients_that_come_and_go_leave_nothing)
{
	AppWorld world;
	const auto socket = udp_socket();
	for (int round = 0; round < 50; round++)
	{
		RawClient silent(world.path());
		RawClient asking(world.path());
		asking.request(watch_type, 1, {socket.get()});
		// what is in flight goes with the client
		asking.request(find_type, 2, {socket.get()});
	}
	EXPECT_TRUE(eventually([&] { return world.server.counters().clients == 0; }));
	EXPECT_EQ(world.server.counters().watches, 0U);
	EXPECT_TRUE(find(open_client(world.path()), socket.get()));
}

TEST(AppServer, who_has_hung_up_is_not_served_any_more)
{
	AppLimits limits;
	limits.requests_per_client = 1;
	AppWorld world(limits);
	uint64_t served = 0;
	{
		RawClient hasty(world.path());
		for (uint32_t i = 0; i < 50; i++)
		{
			ASSERT_TRUE(hasty.request(unwatch_type, i));
		}
		// with an answer that it has not taken it would be gone by an error
		ASSERT_FALSE(hasty.receive().empty());
		served = world.server.counters().requests;
	}
	EXPECT_TRUE(eventually([&] { return world.server.counters().clients == 0; }));
	EXPECT_EQ(world.server.counters().requests, served);
}

TEST(AppLines, are_so_many_a_second)
{
	constexpr unsigned rate = 3;
	btns::AppLines lines(rate);
	for (unsigned i = 0; i < 40; i++)
	{
		lines.add({"one more"});
	}
	lines.end();
	unsigned count = 0;
	while (lines.wait())
	{
		count++;
	}
	EXPECT_GE(count, rate);
	EXPECT_LE(count, 2 * rate) << "a second may have ended meanwhile";
}

TEST(AppServer, serves_many_threads_over_one_connection_and_over_many)
{
	AppWorld world;
	world.source.set(protected_by(full_channel()));
	const auto shared = open_client(world.path());
	const auto pair = tcp_pair();
	std::latch start(6);
	std::vector<std::thread> threads;
	for (int i = 0; i < 6; i++)
	{
		threads.emplace_back(
			[&, i]
			{
				const auto own = open_client(world.path());
				start.arrive_and_wait();
				for (int round = 0; round < 50; round++)
				{
					const auto &client = i % 2 == 0 ? shared : own;
					uint32_t watch = 0;
					EXPECT_TRUE(find(client, pair.mine.get()));
					EXPECT_EQ(btns_watch(client.get(), pair.mine.get(), nullptr, &watch), BTNS_OK);
					world.source.set(round % 2 == 0 ? unprotected() : protected_by(full_channel()));
					btns_event_t event = BTNS_EVENT_INIT;
					btns_next_event(client.get(), &event);
					EXPECT_EQ(btns_unwatch(client.get(), watch), BTNS_OK);
				}
			});
	}
	for (std::thread &thread : threads)
	{
		thread.join();
	}
	EXPECT_EQ(world.server.counters().watches, 0U);
}

TEST(AppServer, tells_clients_when_it_ends)
{
	AppWorld world;
	const auto client = open_client(world.path());
	uint32_t watch = 0;
	ASSERT_EQ(btns_watch(client.get(), udp_socket().get(), nullptr, &watch), BTNS_OK);
	world.server.stop();
	const auto event = wait_event(client);
	ASSERT_TRUE(event);
	EXPECT_EQ(event->type, BTNS_EVENT_CLOSED);
	EXPECT_EQ(event->watch, 0U);
	int error = BTNS_OK;
	EXPECT_FALSE(find(client, 0, &error));
	EXPECT_EQ(error, BTNS_EDAEMON);
	btns_t *late = nullptr;
	EXPECT_EQ(btns_open(&late, world.path()), BTNS_ENODAEMON);
	EXPECT_EQ(late, nullptr);
}

TEST(AppServer, changes_who_may_connect)
{
	AppWorld world;
	EXPECT_TRUE(world.server.set_mode(0620));
	EXPECT_EQ(std::filesystem::status(world.path()).permissions(), std::filesystem::perms(0620));
	std::filesystem::remove(world.path());
	std::ofstream(world.path()) << "mine";
	EXPECT_FALSE(world.server.set_mode(0666));
	EXPECT_NE(std::filesystem::status(world.path()).permissions(), std::filesystem::perms(0666));
	EXPECT_TRUE(world.lines.wait_for("cannot set the mode"));
}

TEST(AppServer, says_why_it_cannot_begin)
{
	const btns::test::Folder folder;
	std::ofstream(folder.path("socket")) << "mine";
	const btns::test::FakeSource source;
	try
	{
		const btns::AppServer server(source, {folder.path("socket"), 0600, static_cast<gid_t>(-1)},
									 std::make_shared<btns::AppCounters>());
		FAIL() << "it has begun";
	}
	catch (const std::runtime_error &error)
	{
		EXPECT_NE(std::string(error.what()).find("is no socket"), std::string::npos);
	}
}

/** Threads of this process that do not block all signals that can be blocked. */
size_t threads_with_signals(size_t &all)
{
	size_t open = 0;
	all = 0;
	for (const auto &task : std::filesystem::directory_iterator("/proc/self/task"))
	{
		std::ifstream status(task.path() / "status");
		std::string line;
		while (std::getline(status, line))
		{
			if (line.starts_with("SigBlk:"))
			{
				const uint64_t blocked = std::stoull(line.substr(8), nullptr, 16);
				open += (blocked >> (SIGTERM - 1) & 1) != 0 && (blocked >> (SIGHUP - 1) & 1) != 0 ? 0 : 1;
				all++;
			}
		}
	}
	return open;
}

TEST(AppServer, its_threads_take_no_signals)
{
	size_t threads = 0;
	const size_t before = threads_with_signals(threads);
	const size_t threads_before = threads;
	const btns::test::Folder folder;
	const btns::test::FakeSource source;
	btns::AppServer server(source, {folder.path("socket"), 0600, static_cast<gid_t>(-1)},
						   std::make_shared<btns::AppCounters>());
	EXPECT_EQ(threads_with_signals(threads), before);
	EXPECT_EQ(threads, threads_before + 2);
}

#ifndef __SANITIZE_THREAD__ // which has one table of descriptors for all

size_t descriptors()
{
	return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

TEST(AppServer, its_descriptors_are_not_the_process_s)
{
	const size_t before = descriptors();
	AppWorld world;
	std::vector<std::unique_ptr<RawClient>> clients;
	for (int i = 0; i < 20; i++)
	{
		clients.push_back(std::make_unique<RawClient>(world.path()));
	}
	EXPECT_TRUE(eventually([&] { return world.server.counters().clients == 20; }));
	EXPECT_EQ(descriptors(), before + 20) << "the clients' ends only";
}

TEST(AppServer, rests_when_there_are_no_descriptors_and_goes_on_later)
{
	rlimit before{};
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	AppLimits limits;
	limits.no_descriptors_pause = 20;
	AppWorld world(limits);
	// those of the process are not closed by that
	std::vector<std::unique_ptr<RawClient>> clients;
	for (int i = 0; i < 100; i++)
	{
		clients.push_back(std::make_unique<RawClient>(world.path()));
	}
	EXPECT_TRUE(eventually([&] { return world.server.counters().clients == 100; }));
	const rlimit few{20, before.rlim_max};
	RawClient late(world.path());
	EXPECT_TRUE(eventually([&] { return world.server.counters().clients == 101; }));
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	// a descriptor that is there already needs no number
	const auto mine = clients.back()->get();
	EXPECT_TRUE(clients.back()->request(find_type, 1, {mine}));
	EXPECT_EQ(next_error(*clients.back()), BTNS_EBUSY) << "no descriptor for what it hands over";
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	EXPECT_TRUE(find(open_client(world.path()), udp_socket().get()));
}

#endif

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

/** A connection that nobody reads from, and that is kept when it is closed until all is read. */
btns::test::Pair lingering()
{
	auto pair = tcp_pair();
	const linger forever{1, 3600};
	EXPECT_EQ(setsockopt(pair.mine.get(), SOL_SOCKET, SO_LINGER, &forever, sizeof(forever)), 0);
	const std::vector<uint8_t> much(65536);
	while (send(pair.mine.get(), much.data(), much.size(), MSG_DONTWAIT) > 0)
	{}
	return pair;
}

TEST(AppServer, who_hands_over_what_cannot_be_closed_waits_and_others_do_not)
{
	if (geteuid() != 0)
	{
		GTEST_SKIP() << "needs another user";
	}
	AppLimits limits;
	limits.check_interval = 10;
	limits.checks = 5;
	limits.requests_per_client = 1;
	AppWorld world(limits);
	ASSERT_EQ(chmod(world.path(), 0666), 0);
	ASSERT_EQ(chmod(std::filesystem::path(world.path()).parent_path().c_str(), 0711), 0);
	constexpr uid_t hostile = 4711;
	const auto honest = open_client(world.path());
	const auto socket = udp_socket();
	EXPECT_TRUE(find(honest, socket.get()));
	auto trap = lingering();
	as_user(hostile,
			[&]
			{
				RawClient client(world.path());
				// the second waits, because the first was all that the rate allows; so nobody else has the socket
				client.request(unwatch_type, 1);
				client.request(find_type, 2, {trap.mine.get()});
				trap.mine.reset();
				EXPECT_TRUE(client.is_dropped());
			});
	EXPECT_TRUE(world.lines.wait_for("cannot be asked or closed; this user has to wait"));
	const auto event = wait_event(honest);
	ASSERT_TRUE(event) << "who was served by the same thread is told";
	EXPECT_EQ(event->type, BTNS_EVENT_CLOSED);
	EXPECT_TRUE(find(open_client(world.path()), socket.get())) << "and served by another one";
	as_user(hostile,
			[&]
			{
				RawClient client(world.path());
				EXPECT_EQ(next_error(client), BTNS_EBUSY);
			});
	// the other end goes: nothing to wait for any more
	trap.other.reset();
	EXPECT_TRUE(eventually(
		[&]
		{
			int error = BTNS_EBUSY;
			as_user(hostile, [&] { find(open_client(world.path()), socket.get(), &error); });
			return error == BTNS_OK;
		}));
}

TEST(AppServer, ends_although_a_thread_is_stuck)
{
	auto trap = lingering();
	{
		AppLimits limits;
		limits.check_interval = 10;
		limits.checks = 5;
		limits.requests_per_client = 1;
		AppWorld world(limits);
		RawClient client(world.path());
		client.request(unwatch_type, 1);
		client.request(find_type, 2, {trap.mine.get()});
		trap.mine.reset();
		EXPECT_TRUE(world.lines.wait_for("cannot be asked or closed"));
	}
	// so that the thread ends before the test program does
	trap.other.reset();
	size_t threads = 0;
	EXPECT_TRUE(eventually(
		[&]
		{
			threads_with_signals(threads);
			return threads <= 2;
		}));
}

} // namespace
