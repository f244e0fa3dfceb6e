/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_flow.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "descriptor.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace btns
{

namespace
{

/** Protocols whose connected sockets have one flow, and the type that such a socket is of. */
struct Transport
{
	int protocol;
	int type;
};
constexpr std::array<Transport, 5> transports{{
	{IPPROTO_TCP, SOCK_STREAM},
	{IPPROTO_UDP, SOCK_DGRAM},
	{IPPROTO_UDPLITE, SOCK_DGRAM},
	{IPPROTO_SCTP, SOCK_STREAM},
	{IPPROTO_DCCP, SOCK_DCCP},
}};

std::optional<int> option(int socket, int name)
{
	int value = 0;
	socklen_t length = sizeof(value);
	if (getsockopt(socket, SOL_SOCKET, name, &value, &length) != 0 || length != sizeof(value))
	{
		return std::nullopt;
	}
	return value;
}

struct SocketAddress
{
	Address address;
	uint16_t port = 0;
};

template <typename T>
T as(const sockaddr_storage &storage)
{
	T value;
	std::memcpy(&value, &storage, sizeof(value));
	return value;
}

std::optional<SocketAddress> to_socket_address(const sockaddr_storage &storage, socklen_t length)
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
	// nobody is connected to or from nowhere
	if (!address || address->value == 0 || port == 0)
	{
		return std::nullopt;
	}
	return SocketAddress{*address, port};
}

std::optional<SocketAddress> name(int socket, int (*ask)(int, sockaddr *, socklen_t *))
{
	sockaddr_storage storage{};
	socklen_t length = sizeof(storage);
	if (ask(socket, reinterpret_cast<sockaddr *>(&storage), &length) != 0)
	{
		return std::nullopt;
	}
	return to_socket_address(storage, length);
}

} // namespace

std::optional<NetworkNamespace> network_namespace_of(int socket)
{
	NetworkNamespace found;
	socklen_t length = sizeof(found.cookie);
	if (getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &found.cookie, &length) == 0 &&
		length == sizeof(found.cookie) && found.cookie != 0)
	{
		return found;
	}
	const Descriptor space(ioctl(socket, SIOCGSKNS));
	struct stat info
	{};
	if (!space || fstat(space.get(), &info) != 0)
	{
		return std::nullopt;
	}
	return NetworkNamespace{0, info.st_dev, info.st_ino};
}

std::optional<Flow> flow_of(int socket, const NetworkNamespace &own)
{
	// the first of these fails for what is no socket, before anything else is done with it
	const auto domain = option(socket, SO_DOMAIN);
	if (!domain || (*domain != AF_INET && *domain != AF_INET6))
	{
		return std::nullopt;
	}
	const auto protocol = option(socket, SO_PROTOCOL);
	const auto type = option(socket, SO_TYPE);
	const bool known = std::ranges::any_of(transports, [&](const Transport &transport)
										   { return protocol == transport.protocol && type == transport.type; });
	if (!known || network_namespace_of(socket) != own)
	{
		return std::nullopt;
	}
	const auto local = name(socket, getsockname);
	const auto remote = name(socket, getpeername);
	if (!local || !remote || local->address.family != remote->address.family)
	{
		return std::nullopt;
	}
	return Flow{static_cast<uint8_t>(*protocol), local->address, remote->address, local->port, remote->port};
}

} // namespace btns
