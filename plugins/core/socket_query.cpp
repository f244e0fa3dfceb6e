/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "socket_query.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace btns
{

namespace
{

template <typename T>
T as(const sockaddr_storage &storage)
{
	T value;
	std::memcpy(&value, &storage, sizeof(value));
	return value;
}

std::optional<SocketName> to_socket_name(const sockaddr_storage &storage, socklen_t length)
{
	btns_addr_t addr{};
	uint16_t port = 0;
	if (storage.ss_family == AF_INET && length >= sizeof(sockaddr_in))
	{
		const auto in = as<sockaddr_in>(storage);
		addr.family = 4;
		std::memcpy(addr.bytes, &in.sin_addr, 4);
		port = ntohs(in.sin_port);
	}
	else if (storage.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6))
	{
		const auto in = as<sockaddr_in6>(storage);
		const bool mapped = IN6_IS_ADDR_V4MAPPED(&in.sin6_addr);
		addr.family = mapped ? 4 : 6;
		std::memcpy(addr.bytes, in.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
		port = ntohs(in.sin6_port);
	}
	const auto address = to_address(addr);
	if (!address)
	{
		return std::nullopt;
	}
	return SocketName{*address, port};
}

std::optional<SocketName> name(int socket, int (*ask)(int, sockaddr *, socklen_t *))
{
	sockaddr_storage storage{};
	socklen_t length = sizeof(storage);
	if (ask(socket, reinterpret_cast<sockaddr *>(&storage), &length) != 0)
	{
		return std::nullopt;
	}
	return to_socket_name(storage, length);
}

} // namespace

std::optional<int> socket_option(int socket, int level, int name)
{
	int value = 0;
	socklen_t length = sizeof(value);
	if (getsockopt(socket, level, name, &value, &length) != 0 || length != sizeof(value))
	{
		return std::nullopt;
	}
	return value;
}

std::optional<SocketName> local_name(int socket)
{
	return name(socket, getsockname);
}

std::optional<SocketName> peer_name(int socket)
{
	return name(socket, getpeername);
}

std::optional<SocketName> destination_name(int socket)
{
	return name(socket,
				[](int fd, sockaddr *address, socklen_t *length)
				{
					// the kernel refuses who has room for more
					const bool ipv6 = socket_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6;
					*length = ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
					return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, address, length);
				});
}

} // namespace btns
