/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_flow.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "descriptor.h"
#include "socket_query.h"

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

/** Nobody is connected to or from nowhere. */
bool is_somewhere(const std::optional<SocketName> &name)
{
	return name && name->address.value != 0 && name->port != 0;
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
	const auto domain = socket_option(socket, SOL_SOCKET, SO_DOMAIN);
	if (!domain || (*domain != AF_INET && *domain != AF_INET6))
	{
		return std::nullopt;
	}
	const auto protocol = socket_option(socket, SOL_SOCKET, SO_PROTOCOL);
	const auto type = socket_option(socket, SOL_SOCKET, SO_TYPE);
	const bool known = std::ranges::any_of(transports, [&](const Transport &transport)
										   { return protocol == transport.protocol && type == transport.type; });
	if (!known || network_namespace_of(socket) != own)
	{
		return std::nullopt;
	}
	const auto local = local_name(socket);
	const auto remote = peer_name(socket);
	if (!is_somewhere(local) || !is_somewhere(remote) || local->address.family != remote->address.family)
	{
		return std::nullopt;
	}
	return Flow{static_cast<uint8_t>(*protocol), local->address, remote->address, local->port, remote->port};
}

} // namespace btns
