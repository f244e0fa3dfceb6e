/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * What the kernel lets pass is what arrives, or does not. There need not be ESP: a policy that demands an SA which is
 * not there lets nothing pass.
 */
#include "latch_socket.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "app_world.h"
#include "net_world.h"

namespace
{

using btns::clear_socket_policy;
using btns::Descriptor;
using btns::Flow;
using btns::latchable_socket;
using btns::LatchableSocket;
using btns::set_socket_policy;
using btns::SocketDiag;
using btns::SocketKind;
using btns::SocketPolicy;
using btns::SocketWatch;
using btns::test::address_of;
using btns::test::bound_socket;
using btns::test::eventually;
using btns::test::in_own_network;
using btns::test::Pair;
using btns::test::receives;
using btns::test::SocketAddress;
using btns::test::tcp_pair;
using btns::test::this_network;
using btns::test::try_connect;
using btns::test::try_send;

/** The body of a test that needs a network of its own. */
#define RUN_IN_OWN_NETWORK(...)                                                                                        \
	if (!in_own_network(__VA_ARGS__))                                                                                  \
	{                                                                                                                  \
		GTEST_SKIP() << "cannot have a network namespace";                                                             \
	}

LatchableSocket look_at(const Descriptor &socket)
{
	const auto found = latchable_socket(socket.get(), this_network());
	EXPECT_TRUE(found);
	return found.value_or(LatchableSocket{});
}

SocketPolicy demand(const Flow &flow, uint32_t reqid = 777)
{
	SocketPolicy policy;
	policy.flow = flow;
	policy.block = false;
	policy.reqid = reqid;
	return policy;
}

SocketPolicy block(const Flow &flow)
{
	SocketPolicy policy;
	policy.flow = flow;
	return policy;
}

/** What is known before connect(). */
Flow to(const Descriptor &there)
{
	const LatchableSocket target = look_at(there);
	Flow flow;
	flow.protocol = target.flow.protocol;
	flow.remote = target.flow.local;
	flow.remote_port = target.flow.local_port;
	return flow;
}

Pair udp_pair(int family, bool mapped = false)
{
	Pair pair{Descriptor(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
			  bound_socket(mapped ? AF_INET : family, SOCK_DGRAM)};
	EXPECT_EQ(try_connect(pair.mine.get(), address_of(pair.other.get(), mapped)), 0);
	const SocketAddress mine = address_of(pair.mine.get());
	if (!mapped)
	{
		EXPECT_EQ(try_connect(pair.other.get(), mine), 0);
		return pair;
	}
	sockaddr_in6 wide{};
	std::memcpy(&wide, &mine.storage, sizeof(wide));
	sockaddr_in back{};
	back.sin_family = AF_INET;
	back.sin_port = wide.sin6_port;
	std::memcpy(&back.sin_addr, wide.sin6_addr.s6_addr + 12, 4);
	EXPECT_EQ(connect(pair.other.get(), reinterpret_cast<const sockaddr *>(&back), sizeof(back)), 0);
	return pair;
}

/** Takes CAP_NET_ADMIN from this thread. */
void drop_net_admin()
{
	__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
	__user_cap_data_struct data[2]{};
	ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1U << CAP_NET_ADMIN);
	ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
}

/** All policies that the kernel has. */
size_t count_policies()
{
	size_t count = 0;
	const xfrm_userpolicy_id all{};
	EXPECT_EQ(btns::Netlink(NETLINK_XFRM)
				  .ask(XFRM_MSG_GETPOLICY, NLM_F_DUMP, btns::octets_of(all),
					   [&](uint16_t type, btns::Bytes) { count += type == XFRM_MSG_NEWPOLICY ? 1 : 0; }),
			  0);
	return count;
}

/** What the kernel's policies demand, by their direction. */
std::map<uint8_t, xfrm_user_tmpl> demanded()
{
	std::map<uint8_t, xfrm_user_tmpl> found;
	const xfrm_userpolicy_id all{};
	const auto look = [&](uint16_t /*type*/, btns::Bytes payload)
	{
		btns::Cursor cursor(payload);
		const auto policy = btns::take_as<xfrm_userpolicy_info>(cursor);
		while (const auto head = btns::take_as<rtattr>(cursor))
		{
			ASSERT_GE(head->rta_len, sizeof(*head));
			const auto value = cursor.take(head->rta_len - sizeof(*head));
			btns::Cursor inside(value.value_or(btns::Bytes{}));
			const auto tmpl = btns::take_as<xfrm_user_tmpl>(inside);
			if (policy && tmpl && head->rta_type == XFRMA_TMPL)
			{
				found[policy->dir] = *tmpl;
			}
			const size_t padding = RTA_ALIGN(head->rta_len) - size_t{head->rta_len};
			static_cast<void>(cursor.take(std::min(padding, cursor.rest().size())));
		}
	};
	EXPECT_EQ(btns::Netlink(NETLINK_XFRM).ask(XFRM_MSG_GETPOLICY, NLM_F_DUMP, btns::octets_of(all), look), 0);
	return found;
}

/** Nothing passes between the two, whoever sends; what was sent may come later. */
void expect_silence(const Pair &pair)
{
	try_send(pair.mine.get());
	EXPECT_FALSE(receives(pair.other.get()));
	try_send(pair.other.get());
	EXPECT_FALSE(receives(pair.mine.get()));
}

void expect_traffic(const Pair &pair)
{
	EXPECT_EQ(try_send(pair.mine.get()), 0);
	EXPECT_TRUE(receives(pair.other.get()));
	EXPECT_EQ(try_send(pair.other.get()), 0);
	EXPECT_TRUE(receives(pair.mine.get()));
}

enum class Over
{
	ipv4,
	ipv6,
	mapped,
};

class LatchSocket : public testing::TestWithParam<Over>
{
protected:
	static bool mapped() { return GetParam() == Over::mapped; }
	static int family() { return GetParam() == Over::ipv4 ? AF_INET : AF_INET6; }
	/** of the other end */
	static int other_family() { return GetParam() == Over::ipv6 ? AF_INET6 : AF_INET; }
};

INSTANTIATE_TEST_SUITE_P(Over, LatchSocket, testing::Values(Over::ipv4, Over::ipv6, Over::mapped),
						 [](const auto &param) {
							 return param.param == Over::ipv4 ? "ipv4" : param.param == Over::ipv6 ? "ipv6" : "mapped";
						 });

TEST_P(LatchSocket, nothing_passes_a_tcp_connection_in_the_clear)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = tcp_pair(family(), mapped());
			expect_traffic(pair);
			const LatchableSocket mine = look_at(pair.mine);
			ASSERT_EQ(mine.kind, SocketKind::connected);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine.flow)));
			expect_silence(pair);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), block(mine.flow)));
			expect_silence(pair);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine.flow, 778)));
			expect_silence(pair);
			// and all that was kept back comes once it is allowed
			ASSERT_TRUE(clear_socket_policy(pair.mine.get()));
			EXPECT_TRUE(eventually([&] { return receives(pair.other.get()); }));
			EXPECT_TRUE(eventually([&] { return receives(pair.mine.get()); }));
		});
}

TEST_P(LatchSocket, nothing_passes_a_udp_connection_in_the_clear)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = udp_pair(family(), mapped());
			expect_traffic(pair);
			const LatchableSocket mine = look_at(pair.mine);
			ASSERT_EQ(mine.kind, SocketKind::connected);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine.flow)));
			expect_silence(pair);
			EXPECT_NE(try_send(pair.mine.get()), 0);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), block(mine.flow)));
			expect_silence(pair);
			EXPECT_EQ(try_send(pair.mine.get()), EPERM);
			ASSERT_TRUE(clear_socket_policy(pair.mine.get()));
			expect_traffic(pair);
		});
}

TEST_P(LatchSocket, a_policy_holds_before_connect)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			for (const int type : {SOCK_STREAM, SOCK_DGRAM})
			{
				const Descriptor there = bound_socket(other_family(), type);
				const Descriptor here(socket(family(), type | SOCK_CLOEXEC, 0));
				ASSERT_EQ(look_at(here).kind, SocketKind::fresh);
				const SocketAddress at = address_of(there.get(), mapped());
				ASSERT_TRUE(set_socket_policy(here.get(), block(to(there))));
				EXPECT_EQ(try_connect(here.get(), at), EPERM);
				// of which there are none: the application tries again when there are
				ASSERT_TRUE(set_socket_policy(here.get(), demand(to(there))));
				EXPECT_EQ(try_connect(here.get(), at), EAGAIN);
				EXPECT_EQ(look_at(here).kind, SocketKind::fresh);
				ASSERT_TRUE(clear_socket_policy(here.get()));
				EXPECT_EQ(try_connect(here.get(), at), 0);
				ASSERT_EQ(look_at(here).kind, SocketKind::connected);
				EXPECT_EQ(look_at(here).flow.remote_port, look_at(there).flow.local_port);
			}
		});
}

TEST_P(LatchSocket, a_reset_is_there_at_once)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			SocketDiag diag;
			const Pair pair = tcp_pair(family(), mapped());
			const LatchableSocket mine = look_at(pair.mine);
			EXPECT_TRUE(diag.exists(mine.flow, mine.cookie));
			EXPECT_FALSE(diag.exists(mine.flow, mine.cookie + 1));
			EXPECT_FALSE(diag.reset(mine.flow, mine.cookie + 1));
			expect_traffic(pair);
			EXPECT_TRUE(diag.reset(mine.flow, mine.cookie));
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			char octet = 0;
			EXPECT_EQ(recv(pair.other.get(), &octet, 1, 0), -1);
			EXPECT_EQ(errno, ECONNRESET);
			EXPECT_FALSE(diag.exists(mine.flow, mine.cookie));
			EXPECT_FALSE(diag.reset(mine.flow, mine.cookie));
			EXPECT_FALSE(latchable_socket(pair.other.get(), this_network()) &&
						 look_at(pair.other).kind == SocketKind::connected);
		});
}

TEST_P(LatchSocket, a_udp_socket_is_disconnected)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			SocketDiag diag;
			const Pair pair = udp_pair(family(), mapped());
			const LatchableSocket mine = look_at(pair.mine);
			EXPECT_FALSE(diag.reset(mine.flow, mine.cookie + 1));
			EXPECT_TRUE(diag.reset(mine.flow, mine.cookie));
			EXPECT_EQ(try_send(pair.mine.get()), EDESTADDRREQ);
			char octet = 0;
			EXPECT_EQ(recv(pair.mine.get(), &octet, 1, 0), -1);
			EXPECT_EQ(errno, ECONNABORTED);
			try_send(pair.other.get());
			EXPECT_FALSE(receives(pair.mine.get()));
		});
}

TEST_P(LatchSocket, what_is_left_is_found_and_reset)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			SocketDiag diag;
			EXPECT_TRUE(diag.left().empty());
			const Pair pair = tcp_pair(family(), mapped());
			const Pair other = tcp_pair(family(), mapped());
			const Flow mine = look_at(pair.mine).flow;
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine)));
			const auto left = diag.left();
			ASSERT_EQ(left.size(), 1U);
			EXPECT_EQ(left[0].protocol, IPPROTO_TCP);
			EXPECT_EQ(left[0].local, mine.local);
			EXPECT_EQ(left[0].remote, mine.remote);
			EXPECT_EQ(left[0].local_port, mine.local_port);
			EXPECT_EQ(left[0].remote_port, mine.remote_port);
			EXPECT_TRUE(diag.reset(left[0], 0));
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			expect_traffic(other);
		});
}

TEST_P(LatchSocket, what_is_left_with_an_open_end_is_reset)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			SocketDiag diag;
			const Pair pair = tcp_pair(family(), mapped());
			const Pair other = tcp_pair(family(), mapped());
			Flow mine = look_at(pair.mine).flow;
			mine.local = {};
			mine.local_port = 0;
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine)));
			const auto left = diag.left();
			ASSERT_EQ(left.size(), 1U);
			EXPECT_EQ(left[0].local.family, 0U);
			EXPECT_FALSE(diag.reset(left[0], 0));
			EXPECT_EQ(diag.reset_all(left[0]), 1U);
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			expect_traffic(other);
		});
}

TEST_P(LatchSocket, a_socket_that_has_gone_is_heard_of)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			SocketWatch watch;
			std::set<uint64_t> gone;
			const auto hears = [&](uint64_t cookie)
			{
				return eventually(
					[&]
					{
						EXPECT_TRUE(watch.read([&](uint64_t which) { gone.insert(which); }));
						return gone.contains(cookie);
					});
			};
			Pair pair = tcp_pair(family(), mapped());
			const uint64_t mine = look_at(pair.mine).cookie;
			Descriptor copy(fcntl(pair.mine.get(), F_DUPFD_CLOEXEC, 0));
			pair.mine.reset();
			pair.other.reset();
			EXPECT_TRUE(watch.read([&](uint64_t which) { gone.insert(which); }));
			EXPECT_FALSE(gone.contains(mine));
			copy.reset();
			EXPECT_TRUE(hears(mine));

			Pair datagrams = udp_pair(family(), mapped());
			const uint64_t udp = look_at(datagrams.mine).cookie;
			datagrams.mine.reset();
			EXPECT_TRUE(hears(udp));
		});
}

TEST(LatchSockets, a_killed_process_is_heard_of)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			SocketWatch watch;
			Pair pair = tcp_pair();
			const LatchableSocket mine = look_at(pair.mine);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine.flow)));
			fcntl(pair.mine.get(), F_SETFD, 0);
			pid_t child = 0;
			char sleep[] = "sleep";
			char long_time[] = "1000";
			char *arguments[]{sleep, long_time, nullptr};
			ASSERT_EQ(posix_spawnp(&child, sleep, nullptr, nullptr, arguments, nullptr), 0);
			pair.mine.reset();
			SocketDiag diag;
			EXPECT_EQ(diag.left().size(), 1U);
			EXPECT_TRUE(diag.exists(mine.flow, mine.cookie));
			kill(child, SIGKILL);
			EXPECT_EQ(waitpid(child, nullptr, 0), child);
			// nothing is acknowledged any more
			diag.reset(mine.flow, mine.cookie);
			bool gone = false;
			EXPECT_TRUE(eventually(
				[&]
				{
					watch.read([&](uint64_t which) { gone = gone || which == mine.cookie; });
					return gone;
				}));
			EXPECT_TRUE(diag.left().empty());
		});
}

TEST(LatchSockets, a_listener_takes_nothing_in_the_clear)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			for (const int family : {AF_INET, AF_INET6})
			{
				const Descriptor listener = bound_socket(family, SOCK_STREAM);
				const LatchableSocket at = look_at(listener);
				ASSERT_EQ(at.kind, SocketKind::listening);
				ASSERT_TRUE(set_socket_policy(listener.get(), demand(at.flow, 0)));
				const Descriptor client(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
				EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), ETIMEDOUT);
				EXPECT_EQ(look_at(client).kind, SocketKind::connecting);
				EXPECT_EQ(look_at(client).flow.remote, at.flow.local);
				EXPECT_EQ(look_at(client).flow.remote_port, at.flow.local_port);
				EXPECT_NE(look_at(client).flow.local_port, 0U);
				ASSERT_TRUE(clear_socket_policy(listener.get()));
				const Descriptor second(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
				EXPECT_EQ(try_connect(second.get(), address_of(listener.get())), 0);
			}
		});
}

TEST(LatchSockets, what_a_listener_accepts_inherits_its_policy)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			Descriptor listener = bound_socket(AF_INET, SOCK_STREAM);
			// for connections from a port that is not the client's, which can be set up without ESP
			Flow others = look_at(listener).flow;
			others.remote_port = 1;
			ASSERT_TRUE(set_socket_policy(listener.get(), demand(others, 0)));
			Pair pair{Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), Descriptor()};
			ASSERT_EQ(try_connect(pair.mine.get(), address_of(listener.get())), 0);
			pair.other = Descriptor(accept(listener.get(), nullptr, nullptr));
			expect_traffic(pair);
			const auto left = SocketDiag().left();
			ASSERT_EQ(left.size(), 1U);
			EXPECT_EQ(left[0].remote.family, 0U);
			EXPECT_EQ(left[0].remote_port, 1U);
			// two directions each
			EXPECT_EQ(count_policies(), 4U);
			listener.reset();
			EXPECT_EQ(count_policies(), 2U);
			ASSERT_TRUE(clear_socket_policy(pair.other.get()));
			EXPECT_EQ(count_policies(), 0U);
		});
}

TEST(LatchSockets, it_is_known_since_when_nobody_has_answered)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Descriptor listener = bound_socket(AF_INET, SOCK_STREAM);
			const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
			ASSERT_EQ(try_connect(client.get(), address_of(listener.get())), 0);
			const auto began = std::chrono::steady_clock::now();
			std::this_thread::sleep_for(std::chrono::milliseconds(100));
			ASSERT_EQ(try_send(client.get()), 0);
			std::this_thread::sleep_for(std::chrono::milliseconds(100));
			const Descriptor server(accept(listener.get(), nullptr, nullptr));
			const auto since = btns::unanswered_since(server.get());
			const auto took = std::chrono::steady_clock::now() - began;
			ASSERT_TRUE(since);
			// the kernel's clock has larger ticks
			EXPECT_GE(*since, std::chrono::milliseconds(190));
			EXPECT_LE(*since, took + std::chrono::milliseconds(10));
			EXPECT_FALSE(btns::unanswered_since(client.get())) << "nothing has come";
			ASSERT_EQ(try_send(server.get()), 0);
			EXPECT_FALSE(btns::unanswered_since(server.get()));
			EXPECT_FALSE(btns::unanswered_since(btns::test::udp_socket().get()));
		});
}

TEST(LatchSockets, a_listener_is_never_reset_for_a_connection_that_is_not_there)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Descriptor listener = bound_socket(AF_INET, SOCK_STREAM);
			Flow flow = look_at(listener).flow;
			flow.remote = flow.local;
			flow.remote_port = 1;
			SocketDiag diag;
			EXPECT_FALSE(diag.reset(flow, 0));
			Flow any;
			any.protocol = IPPROTO_TCP;
			EXPECT_EQ(diag.reset_all(any), 0U);
			EXPECT_EQ(look_at(listener).kind, SocketKind::listening);
		});
}

TEST(LatchSockets, nothing_slips_through_while_policies_change)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = udp_pair(AF_INET);
			const Flow mine = look_at(pair.mine).flow;
			Flow open = mine;
			open.local = {};
			open.local_port = 0;
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(open)));
			std::atomic<bool> stop = false;
			std::atomic<unsigned> tries = 0;
			std::thread sender(
				[&]
				{
					while (!stop)
					{
						try_send(pair.mine.get());
						try_send(pair.other.get());
						tries++;
					}
				});
			for (uint32_t i = 1; i <= 2000; i++)
			{
				EXPECT_TRUE(
					set_socket_policy(pair.mine.get(), i % 5 == 0 ? block(mine) : demand(i % 2 == 0 ? mine : open, i)));
			}
			EXPECT_TRUE(eventually([&] { return tries > 1000; }));
			stop = true;
			sender.join();
			EXPECT_FALSE(receives(pair.other.get()));
			EXPECT_FALSE(receives(pair.mine.get()));
		});
}

TEST(LatchSockets, tunnel_mode_is_set_as_it_is_told)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = tcp_pair();
			SocketPolicy policy = demand(look_at(pair.mine).flow);
			for (const btns_mode_t mode : {BTNS_MODE_TUNNEL, BTNS_MODE_BEET})
			{
				policy.mode = mode;
				policy.outer_local = {4, 0xc0000201};
				policy.outer_remote = {4, 0xc0000202};
				ASSERT_TRUE(set_socket_policy(pair.mine.get(), policy));
				expect_silence(pair);
				policy.outer_local = {6, 1};
				policy.outer_remote = {6, 1};
				ASSERT_TRUE(set_socket_policy(pair.mine.get(), policy));
				expect_silence(pair);
			}
		});
}

TEST(LatchSockets, the_kernel_demands_what_it_is_told_in_both_directions)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			constexpr uint8_t in = XFRM_POLICY_MAX + XFRM_POLICY_IN;
			constexpr uint8_t out = XFRM_POLICY_MAX + XFRM_POLICY_OUT;
			const Pair pair = tcp_pair();
			SocketPolicy policy = demand(look_at(pair.mine).flow, 4242);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), policy));
			auto kernel = demanded();
			ASSERT_EQ(kernel.size(), 2U);
			for (const uint8_t direction : {in, out})
			{
				EXPECT_EQ(kernel.at(direction).reqid, 4242U);
				EXPECT_EQ(kernel.at(direction).mode, XFRM_MODE_TRANSPORT);
				EXPECT_EQ(kernel.at(direction).id.proto, IPPROTO_ESP);
				EXPECT_EQ(kernel.at(direction).optional, 0);
			}
			policy.mode = BTNS_MODE_TUNNEL;
			policy.outer_local = {4, 0xc0000201};
			policy.outer_remote = {4, 0xc0000202};
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), policy));
			kernel = demanded();
			ASSERT_EQ(kernel.size(), 2U);
			EXPECT_EQ(kernel.at(out).mode, XFRM_MODE_TUNNEL);
			EXPECT_EQ(kernel.at(out).saddr.a4, htonl(0xc0000201));
			EXPECT_EQ(kernel.at(out).id.daddr.a4, htonl(0xc0000202));
			EXPECT_EQ(kernel.at(in).saddr.a4, htonl(0xc0000202));
			EXPECT_EQ(kernel.at(in).id.daddr.a4, htonl(0xc0000201));
			// nothing is demanded where nothing passes
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), block(policy.flow)));
			EXPECT_TRUE(demanded().empty());
		});
}

TEST(LatchSockets, a_bypass_of_the_system_is_not_asked)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = udp_pair(AF_INET);
			const Flow mine = look_at(pair.mine).flow;
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(mine)));
			for (const int direction : {XFRM_POLICY_IN, XFRM_POLICY_OUT})
			{
				// the strongest that there can be
				xfrm_userpolicy_info bypass{};
				bypass.sel.family = AF_INET;
				bypass.lft.soft_byte_limit = bypass.lft.hard_byte_limit = XFRM_INF;
				bypass.lft.soft_packet_limit = bypass.lft.hard_packet_limit = XFRM_INF;
				bypass.dir = static_cast<uint8_t>(direction);
				bypass.action = XFRM_POLICY_ALLOW;
				EXPECT_EQ(btns::Netlink(NETLINK_XFRM)
							  .ask(XFRM_MSG_NEWPOLICY, 0, btns::octets_of(bypass), [](uint16_t, btns::Bytes) {}),
						  0);
			}
			expect_silence(pair);
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), block(mine)));
			expect_silence(pair);
			ASSERT_TRUE(clear_socket_policy(pair.mine.get()));
			expect_traffic(pair);
		});
}

TEST(LatchSockets, a_policy_that_would_never_be_asked_is_refused)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			Flow six;
			six.protocol = IPPROTO_TCP;
			six.remote = {6, 1};
			six.remote_port = 1;
			const Descriptor four(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
			EXPECT_FALSE(set_socket_policy(four.get(), block(six)));
			EXPECT_EQ(errno, EAFNOSUPPORT);
			six.local = {4, 1};
			const Descriptor wide(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
			EXPECT_FALSE(set_socket_policy(wide.get(), block(six)));
			EXPECT_EQ(errno, EAFNOSUPPORT);
			int pipes[2];
			ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
			const Descriptor in(pipes[0]);
			const Descriptor out(pipes[1]);
			EXPECT_FALSE(set_socket_policy(in.get(), block({})));
			EXPECT_FALSE(clear_socket_policy(in.get()));
		});
}

TEST(LatchSockets, without_privileges_nothing_changes)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = tcp_pair();
			const LatchableSocket mine = look_at(pair.mine);
			drop_net_admin();
			EXPECT_FALSE(set_socket_policy(pair.mine.get(), demand(mine.flow)));
			EXPECT_EQ(errno, EPERM);
			EXPECT_FALSE(set_socket_policy(pair.mine.get(), block(mine.flow)));
			EXPECT_FALSE(clear_socket_policy(pair.mine.get()));
			SocketDiag diag;
			EXPECT_FALSE(diag.reset(mine.flow, mine.cookie));
			EXPECT_THROW(diag.left(), std::system_error);
			expect_traffic(pair);
		});
}

TEST(LatchSockets, policies_of_others_are_not_ours)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Pair pair = tcp_pair();
			xfrm_userpolicy_info bypass{};
			bypass.sel.family = AF_INET;
			bypass.dir = XFRM_POLICY_OUT;
			bypass.action = XFRM_POLICY_ALLOW;
			ASSERT_EQ(setsockopt(pair.mine.get(), IPPROTO_IP, 17, &bypass, sizeof(bypass)), 0);
			SocketDiag diag;
			EXPECT_TRUE(diag.left().empty());
			// it is replaced
			ASSERT_TRUE(set_socket_policy(pair.mine.get(), demand(look_at(pair.mine).flow)));
			expect_silence(pair);
			EXPECT_EQ(diag.left().size(), 1U);
		});
}

TEST(LatchSockets, other_things_are_not_latchable)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Descriptor local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
			EXPECT_FALSE(latchable_socket(local.get(), this_network()));
			const Descriptor raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
			EXPECT_FALSE(latchable_socket(raw.get(), this_network()));
			const Descriptor file(open("/dev/null", O_RDWR | O_CLOEXEC));
			EXPECT_FALSE(latchable_socket(file.get(), this_network()));
			EXPECT_FALSE(latchable_socket(-1, this_network()));
			const Pair pair = tcp_pair();
			const btns::NetworkNamespace here = this_network();
			EXPECT_TRUE(latchable_socket(pair.mine.get(), here));
			EXPECT_TRUE(in_own_network([&] { EXPECT_FALSE(latchable_socket(pair.mine.get(), this_network())); }));
		});
}

TEST(LatchSockets, a_dual_stack_listener_says_so)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			for (const int only : {0, 1})
			{
				const Descriptor listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
				ASSERT_EQ(setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)), 0);
				ASSERT_EQ(listen(listener.get(), 1), 0);
				const LatchableSocket at = look_at(listener);
				EXPECT_EQ(at.dual_stack, only == 0);
				EXPECT_EQ(at.flow.local, (btns::Address{6, 0}));
				// the policy is for IPv6
				ASSERT_TRUE(set_socket_policy(listener.get(), demand(at.flow, 0)));
				SocketAddress to = address_of(listener.get());
				reinterpret_cast<sockaddr_in6 *>(&to.storage)->sin6_addr = in6addr_loopback;
				const Descriptor client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
				EXPECT_EQ(try_connect(client.get(), to), ETIMEDOUT);
			}
		});
}

TEST(LatchSockets, the_source_is_the_route_s)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			EXPECT_EQ(btns::source_address({4, 0x7f000002}, 0), (btns::Address{4, 0x7f000001}));
			EXPECT_EQ(btns::source_address({6, 1}, 0), (btns::Address{6, 1}));
			EXPECT_EQ(btns::source_address({4, 0x7f000002}, 1), (btns::Address{4, 0x7f000001}));
			EXPECT_FALSE(btns::source_address({4, 0xc0000201}, 0));
			EXPECT_FALSE(btns::source_address({4, 0x7f000002}, 99));
		});
}

} // namespace
