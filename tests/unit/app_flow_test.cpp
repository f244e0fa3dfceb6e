/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_flow.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "app_world.h"

namespace
{

using btns::Descriptor;
using btns::Flow;
using btns::flow_of;
using btns::test::tcp_pair;
using btns::test::udp_socket;

constexpr btns::AddressValue loopback = 0x7f000001;

btns::NetworkNamespace own()
{
	const Descriptor any(socket(AF_UNIX, SOCK_DGRAM, 0));
	const auto found = btns::network_namespace_of(any.get());
	EXPECT_TRUE(found);
	return found.value_or(btns::NetworkNamespace{});
}

std::optional<Flow> ask(const Descriptor &descriptor)
{
	return flow_of(descriptor.get(), own());
}

in_port_t port_of(const Descriptor &socket)
{
	sockaddr_in6 at{};
	socklen_t length = sizeof(at);
	EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr *>(&at), &length), 0);
	return ntohs(at.sin6_port);
}

TEST(AppFlow, tcp_over_ipv4)
{
	const auto pair = tcp_pair();
	const auto flow = ask(pair.mine);
	ASSERT_TRUE(flow);
	EXPECT_EQ(flow->protocol, IPPROTO_TCP);
	EXPECT_EQ(flow->local, (btns::Address{4, loopback}));
	EXPECT_EQ(flow->remote, (btns::Address{4, loopback}));
	EXPECT_EQ(flow->local_port, port_of(pair.mine));
	EXPECT_EQ(flow->remote_port, port_of(pair.other));
	const auto back = ask(pair.other);
	ASSERT_TRUE(back);
	EXPECT_EQ(back->local_port, flow->remote_port);
	EXPECT_EQ(back->remote_port, flow->local_port);
}

TEST(AppFlow, tcp_over_ipv6)
{
	const auto pair = tcp_pair(AF_INET6);
	const auto flow = ask(pair.mine);
	ASSERT_TRUE(flow);
	EXPECT_EQ(flow->local, (btns::Address{6, 1}));
	EXPECT_EQ(flow->remote, (btns::Address{6, 1}));
	EXPECT_EQ(flow->local_port, port_of(pair.mine));
}

TEST(AppFlow, an_ipv4_mapped_address_is_ipv4)
{
	const auto pair = tcp_pair(AF_INET6, true);
	const auto flow = ask(pair.mine);
	ASSERT_TRUE(flow);
	EXPECT_EQ(flow->local, (btns::Address{4, loopback}));
	EXPECT_EQ(flow->remote, (btns::Address{4, loopback}));
	EXPECT_EQ(flow->remote_port, port_of(pair.other));
}

TEST(AppFlow, connected_udp)
{
	const auto socket = udp_socket();
	const auto flow = ask(socket);
	ASSERT_TRUE(flow);
	EXPECT_EQ(flow->protocol, IPPROTO_UDP);
	EXPECT_EQ(flow->remote_port, 9);
	const auto lite = udp_socket(IPPROTO_UDPLITE);
	const auto flow_lite = ask(lite);
	ASSERT_TRUE(flow_lite);
	EXPECT_EQ(flow_lite->protocol, IPPROTO_UDPLITE);
}

TEST(AppFlow, a_socket_that_is_not_connected_has_none)
{
	EXPECT_FALSE(ask(Descriptor(socket(AF_INET, SOCK_STREAM, 0))));
	EXPECT_FALSE(ask(Descriptor(socket(AF_INET, SOCK_DGRAM, 0))));
	const Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(listen(listener.get(), 1), 0);
	EXPECT_FALSE(ask(listener));
	const Descriptor bound(socket(AF_INET6, SOCK_DGRAM, 0));
	sockaddr_in6 any{};
	any.sin6_family = AF_INET6;
	ASSERT_EQ(bind(bound.get(), reinterpret_cast<sockaddr *>(&any), sizeof(any)), 0);
	EXPECT_FALSE(ask(bound));
	const auto disconnected = udp_socket();
	sockaddr nobody{};
	nobody.sa_family = AF_UNSPEC;
	ASSERT_TRUE(ask(disconnected));
	ASSERT_EQ(connect(disconnected.get(), &nobody, sizeof(nobody)), 0);
	EXPECT_FALSE(ask(disconnected));
}

TEST(AppFlow, a_connection_that_was_reset_has_none)
{
	auto pair = tcp_pair();
	const linger now{1, 0};
	ASSERT_EQ(setsockopt(pair.other.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	pair.other.reset();
	EXPECT_FALSE(ask(pair.mine));
}

TEST(AppFlow, what_is_no_socket_has_none)
{
	std::array<int, 2> ends{};
	ASSERT_EQ(pipe(ends.data()), 0);
	EXPECT_FALSE(ask(Descriptor(ends[0])));
	EXPECT_FALSE(ask(Descriptor(ends[1])));
	EXPECT_FALSE(ask(Descriptor(open("/dev/null", O_RDWR))));
	EXPECT_FALSE(ask(Descriptor(open("/", O_RDONLY | O_DIRECTORY))));
	EXPECT_FALSE(ask(Descriptor(open("/", O_PATH))));
	EXPECT_FALSE(ask(Descriptor(open("/proc/self/status", O_RDONLY))));
	EXPECT_FALSE(ask(Descriptor(epoll_create1(0))));
	EXPECT_FALSE(ask(Descriptor(eventfd(0, 0))));
	EXPECT_FALSE(ask(Descriptor()));
}

TEST(AppFlow, a_socket_of_another_kind_has_none)
{
	std::array<int, 2> ends{};
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
	EXPECT_FALSE(ask(Descriptor(ends[0])));
	EXPECT_FALSE(ask(Descriptor(ends[1])));
	EXPECT_FALSE(ask(Descriptor(socket(AF_NETLINK, SOCK_RAW, 0))));
	sockaddr_in to{};
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(9);
	const Descriptor raw(socket(AF_INET, SOCK_RAW, IPPROTO_TCP));
	if (!raw)
	{
		GTEST_SKIP() << "raw sockets need CAP_NET_RAW";
	}
	ASSERT_EQ(connect(raw.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to)), 0);
	EXPECT_FALSE(ask(raw)) << "it would look like TCP";
}

TEST(AppFlow, a_socket_of_another_network_namespace_has_none)
{
	const auto here = udp_socket();
	Descriptor there;
	bool made = false;
	// a namespace is a thread's
	std::thread(
		[&]
		{
			made = unshare(CLONE_NEWNET) == 0;
			there = Descriptor(socket(AF_INET, SOCK_DGRAM, 0));
			sockaddr_in self{};
			self.sin_family = AF_INET;
			self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			self.sin_port = htons(9);
			ifreq up{};
			std::strcpy(up.ifr_name, "lo");
			up.ifr_flags = IFF_UP | IFF_RUNNING;
			made = made && ioctl(there.get(), SIOCSIFFLAGS, &up) == 0 &&
				   connect(there.get(), reinterpret_cast<sockaddr *>(&self), sizeof(self)) == 0;
		})
		.join();
	if (!made && geteuid() != 0)
	{
		GTEST_SKIP() << "network namespaces need CAP_SYS_ADMIN";
	}
	ASSERT_TRUE(made);
	const auto other = btns::network_namespace_of(there.get());
	ASSERT_TRUE(other);
	EXPECT_NE(*other, own());
	EXPECT_FALSE(ask(there));
	EXPECT_TRUE(flow_of(there.get(), *other)) << "it is its namespace that is wrong, nothing else";
	EXPECT_FALSE(flow_of(here.get(), *other));
}

} // namespace
