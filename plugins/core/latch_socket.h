/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_socket.h
 * How the kernel is made to hold a connection to its latch: by a policy of the socket itself.
 *
 * Such a policy (IP_XFRM_POLICY) is asked before all others, costs a packet the same however many there are, applies
 * before connect(), is inherited by what a listener accepts, and goes with the socket, whoever closes it. It demands an
 * SA with a reqid, or lets nothing pass.
 *
 * What it does not do:
 *  - A socket has one policy for each direction, of one address family. A listener on :: that takes IPv4 as well has
 * the one for IPv6: what comes over IPv4 is as any listener's until the accepted socket has a policy of its own.
 *  - Nobody can ask for the policy that a socket has. One that somebody with CAP_NET_ADMIN had set is replaced.
 *  - Of what the kernel sends on its own when a socket is gone (RST, the ACK of TIME_WAIT), which has no payload, the
 *    policies of the host decide; so they do of the SYN-ACK of a listener.
 *  - Packets that an XFRM interface has received are judged by the interface's policies.
 */
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "app_flow.h"
#include "channel.h"
#include "netlink.h"

namespace btns
{

/** Priority of latches' policies, for people who look with ip xfrm policy: "BTNS". */
constexpr uint32_t latch_priority = 0x42544e53;

/** What a socket's policy lets pass. */
struct SocketPolicy
{
	/** family 0, address 0 or port 0 on a side: any. Packets of other flows are not the policy's */
	Flow flow;
	/** nothing at all */
	bool block = true;
	/**
	 * Else what an SA with this reqid protects. 0 is for listeners: whatever ESP protects may come in, and of what
	 * goes out the host's policies decide, since one of a socket could demand one reqid only.
	 */
	uint32_t reqid = 0;
	btns_mode_t mode = BTNS_MODE_TRANSPORT;
	/** outer addresses of tunnel mode and BEET; family 0 for any, which the remote one cannot be if anything is to go
	 * out */
	Address outer_local;
	Address outer_remote;

	bool operator==(const SocketPolicy &) const = default;
};

/**
 * Put a policy into force for both directions, at once: nothing passes in between that neither it nor the one before
 * lets pass. IPv4 on an IPv6 socket (mapped) is possible.
 *
 * @return	FALSE, with errno, if the kernel refuses (EPERM, without CAP_NET_ADMIN) or the socket is of the other
 *			family; then nothing passes, or what passed before
 */
bool set_socket_policy(int socket, const SocketPolicy &policy);
/** Take it away, whoever set it. FALSE with errno. */
bool clear_socket_policy(int socket);

/** Kind of a socket that can be latched. */
enum class SocketKind
{
	listening,
	connected,
	/** neither: it can be connected */
	fresh,
	/** connect() was called, the answer is not there yet */
	connecting,
};

struct LatchableSocket
{
	SocketKind kind = SocketKind::fresh;
	/** what is known of it: the remote end of connected ones, and of those that are being connected; family 0 for a
	 * local address that is open, but of a listener on any address, which has value 0 */
	Flow flow;
	/** SO_COOKIE */
	uint64_t cookie = 0;
	/** that it is bound to, 0 for none */
	uint32_t interface = 0;
	/** 4 or 6 */
	unsigned family = 4;
	/** it is of IPv6, and takes IPv4 as well */
	bool dual_stack = false;
};

/** Nothing if it is no TCP or UDP socket of this network namespace. Asks as flow_of() does. */
std::optional<LatchableSocket> latchable_socket(int socket, const NetworkNamespace &own);

/** How long ago a TCP connection began, if payload has come over it and none was sent; nothing otherwise. */
std::optional<std::chrono::milliseconds> unanswered_since(int socket);

/** The address that this host would send from, by its routes; nothing if there is no route, or the kernel cannot be
 * asked. Throws std::bad_alloc. */
std::optional<Address> source_address(const Address &destination, uint32_t interface);

/** The kernel's sockets, through sock_diag. One thread at a time. Throws std::bad_alloc. */
class SocketDiag
{
public:
	/** Throws std::system_error, also if this kernel cannot end sockets (CONFIG_INET_DIAG_DESTROY). */
	SocketDiag();

	/**
	 * Reset a connection (SOCK_DESTROY): TCP sends RST, the application gets ECONNABORTED; a UDP socket is no longer
	 * connected. Synchronous: when it returns, no payload of it passes any more. It may wait for as long as the
	 * application makes the kernel work on the socket. FALSE if there is none, or it cannot be ended.
	 *
	 * @param cookie	the socket must be this one; 0 for whichever has the flow
	 */
	bool reset(const Flow &flow, uint64_t cookie, uint32_t interface = 0);
	/** Reset all connections that fit, family 0 or port 0 being any; time grows with all sockets. Returns how many. */
	size_t reset_all(const Flow &like);
	/** Is there a socket with this flow and cookie? */
	bool exists(const Flow &flow, uint64_t cookie, uint32_t interface = 0);
	/**
	 * Flows of sockets that have a latch's policy, whoever set it: what a daemon that was killed has left. Those of
	 * listeners have a remote end of family 0; what they have accepted and nobody has latched is not told, since the
	 * kernel forgets the priority of what is inherited. Throws std::system_error, also without CAP_NET_ADMIN.
	 */
	std::vector<Flow> left();

private:
	std::optional<uint64_t> find(const Flow &flow, uint64_t cookie, uint32_t interface);

	Netlink diag_;
};

/** Hears which sockets have gone (SKNLGRP_INET_*_DESTROY). */
class SocketWatch
{
public:
	/** Throws std::system_error. */
	SocketWatch();
	/** Readable when there is something. */
	[[nodiscard]] int descriptor() const { return socket_.get(); }
	/** Call with each cookie that has gone, without waiting; a bounded number of messages. FALSE if some were missed:
	 * then ask with exists(). */
	bool read(const std::function<void(uint64_t cookie)> &gone);

private:
	Descriptor socket_;
};

} // namespace btns
