/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_flow.h
 * From the descriptor of somebody's socket to its flow.
 */
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "channel.h"

namespace btns
{

/** A network namespace, as the kernel tells it from others. */
struct NetworkNamespace
{
	/** SO_NETNS_COOKIE (Linux 5.14), else 0 */
	uint64_t cookie = 0;
	/** else device and inode of the namespace, which needs CAP_NET_ADMIN */
	uint64_t device = 0;
	uint64_t inode = 0;

	auto operator<=>(const NetworkNamespace &) const = default;
};

/** The namespace of a socket of any kind; nothing if it cannot be told. */
std::optional<NetworkNamespace> network_namespace_of(int socket);

/**
 * The flow of a connected socket: TCP, UDP, UDP-Lite, SCTP (one-to-one) or DCCP over IPv4 or IPv6. IPv4-mapped
 * addresses are IPv4. Nothing for whatever else the descriptor is.
 *
 * Only getsockopt(), getsockname() and getpeername() are called, and the first says whether it is a socket at all: no
 * file system that somebody else runs is asked anything.
 *
 * @param own	nothing is told about sockets of another namespace: addresses mean something else there
 */
std::optional<Flow> flow_of(int socket, const NetworkNamespace &own);

} // namespace btns
