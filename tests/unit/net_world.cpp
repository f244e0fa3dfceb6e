/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "net_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

namespace btns::test
{

namespace
{

/** Long enough for loopback, on a machine that has other things to do. */
constexpr int patience = 200;

bool enter_own_network()
{
	if (unshare(CLONE_NEWNET) != 0)
	{
		return false;
	}
	const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifreq request{};
	std::strcpy(request.ifr_name, "lo");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(any.get(), SIOCSIFFLAGS, &request) == 0;
}

} // namespace

bool in_own_network(const std::function<void()> &test)
{
	bool entered = false;
	std::thread(
		[&]
		{
			entered = enter_own_network();
			if (entered)
			{
				test();
			}
		})
		.join();
	if (!entered)
	{
		std::fprintf(stderr, "NO NETWORK NAMESPACE: a test of what the kernel enforces is not run; be root\n");
	}
	return entered;
}

namespace
{

sockaddr_in to_sockaddr(const std::string &address, uint16_t port)
{
	sockaddr_in in{};
	in.sin_family = AF_INET;
	in.sin_port = htons(port);
	EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &in.sin_addr), 1);
	return in;
}

} // namespace

void add_address(const std::string &address, unsigned number)
{
	const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifreq request{};
	std::snprintf(request.ifr_name, sizeof(request.ifr_name), "lo:%u", number);
	const sockaddr_in in = to_sockaddr(address, 0);
	std::memcpy(&request.ifr_addr, &in, sizeof(in));
	EXPECT_EQ(ioctl(any.get(), SIOCSIFADDR, &request), 0);
}

Descriptor bound_socket_at(const std::string &address, int type, uint16_t port)
{
	Descriptor made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
	const sockaddr_in in = to_sockaddr(address, port);
	EXPECT_EQ(bind(made.get(), reinterpret_cast<const sockaddr *>(&in), sizeof(in)), 0);
	return made;
}

NetworkNamespace this_network()
{
	const Descriptor any(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return network_namespace_of(any.get()).value_or(NetworkNamespace{});
}

Descriptor bound_socket(int family, int type)
{
	Descriptor made(socket(family, type | SOCK_CLOEXEC, 0));
	SocketAddress at;
	if (family == AF_INET)
	{
		sockaddr_in in{};
		in.sin_family = AF_INET;
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		std::memcpy(&at.storage, &in, sizeof(in));
		at.length = sizeof(in);
	}
	else
	{
		sockaddr_in6 in{};
		in.sin6_family = AF_INET6;
		in.sin6_addr = in6addr_loopback;
		std::memcpy(&at.storage, &in, sizeof(in));
		at.length = sizeof(in);
	}
	EXPECT_EQ(bind(made.get(), reinterpret_cast<const sockaddr *>(&at.storage), at.length), 0);
	if (type == SOCK_STREAM)
	{
		EXPECT_EQ(listen(made.get(), 16), 0);
	}
	return made;
}

SocketAddress address_of(int socket, bool mapped)
{
	SocketAddress at;
	at.length = sizeof(at.storage);
	EXPECT_EQ(getsockname(socket, reinterpret_cast<sockaddr *>(&at.storage), &at.length), 0);
	if (mapped)
	{
		sockaddr_in in{};
		std::memcpy(&in, &at.storage, sizeof(in));
		sockaddr_in6 wide{};
		wide.sin6_family = AF_INET6;
		wide.sin6_port = in.sin_port;
		wide.sin6_addr.s6_addr[10] = wide.sin6_addr.s6_addr[11] = 0xff;
		std::memcpy(wide.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
		std::memcpy(&at.storage, &wide, sizeof(wide));
		at.length = sizeof(wide);
	}
	return at;
}

int try_connect(int socket, const SocketAddress &to)
{
	const int flags = fcntl(socket, F_GETFL);
	fcntl(socket, F_SETFL, flags | O_NONBLOCK);
	int error = 0;
	if (connect(socket, reinterpret_cast<const sockaddr *>(&to.storage), to.length) != 0)
	{
		error = errno;
	}
	if (error == EINPROGRESS)
	{
		pollfd waiting{socket, POLLOUT, 0};
		socklen_t length = sizeof(error);
		if (poll(&waiting, 1, patience) != 1)
		{
			error = ETIMEDOUT;
		}
		else if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		{
			error = errno;
		}
	}
	fcntl(socket, F_SETFL, flags);
	return error;
}

bool receives(int socket)
{
	pollfd waiting{socket, POLLIN, 0};
	char octets[64];
	return poll(&waiting, 1, patience) == 1 && recv(socket, octets, sizeof(octets), MSG_DONTWAIT) > 0;
}

int try_send(int socket, const std::string &text)
{
	return send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

} // namespace btns::test
