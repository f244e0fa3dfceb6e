/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file net_world.h
 * A network of its own for a test: policies of the kernel that are nobody else's.
 */
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

#include "app_flow.h"
#include "descriptor.h"

namespace btns::test
{

/**
 * Run a test in a thread with a network namespace of its own, in which only loopback is up. FALSE if that is not
 * permitted: then nothing was run.
 */
bool in_own_network(const std::function<void()> &test);

/** Loopback has this IPv4 address, too. To be called once for each number. */
void add_address(const std::string &address, unsigned number);
/** A TCP or UDP socket that is bound to such an address. */
Descriptor bound_socket_at(const std::string &address, int type, uint16_t port = 0);

/** The network namespace of this thread. */
NetworkNamespace this_network();

/** A socket that listens on loopback, or a UDP socket that is bound there. */
Descriptor bound_socket(int family, int type);
/** Where it is bound, for connect(). @param mapped	as an IPv4-mapped IPv6 address */
struct SocketAddress
{
	sockaddr_storage storage{};
	socklen_t length = 0;
};
SocketAddress address_of(int socket, bool mapped = false);

/** connect() with patience for 200 ms: 0, or a number of errno, ETIMEDOUT included. */
int try_connect(int socket, const SocketAddress &to);
/** Does something come within 200 ms? Errors count as nothing. */
bool receives(int socket);
/** send() without waiting; 0, or a number of errno. */
int try_send(int socket, const std::string &text = "payload");

} // namespace btns::test
