/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file socket_query.h
 * What can be asked of a descriptor that somebody else handed over: the first question tells whether it is a socket at
 * all, so that no file system that somebody runs is asked anything.
 */
#pragma once

#include <cstdint>
#include <optional>

#include "address.h"

namespace btns
{

/** An integer option of a socket (getsockopt()); nothing if it has none. */
std::optional<int> socket_option(int socket, int level, int name);

/** One end of a socket. */
struct SocketName
{
	/** IPv4-mapped addresses are IPv4; value 0 if it is bound to none */
	Address address;
	/** host byte order, 0 if it has none */
	uint16_t port = 0;
};

/** getsockname(), getpeername(); nothing for what is not IPv4 or IPv6, or not connected. */
std::optional<SocketName> local_name(int socket);
std::optional<SocketName> peer_name(int socket);
/** As peer_name(), but also where a socket is being connected to. */
std::optional<SocketName> destination_name(int socket);

} // namespace btns
