/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_socket.h
 * How the kernel is made to hold a connection to its latch: by a policy of the socket itself.
 *
 * Such a policy (IP_XFRM_POLICY) is asked before all others, costs a packet the same however many there are, applies
 * before connect(), is inherited by what a listener accepts, and goes with the socket, whoever closes it. It demands an
 * SA with a reqid, or lets nothing pass.
 */
#pragma once

#include <functional>
#include <vector>

#include "app_flow.h"
#include "channel.h"
#include "descriptor.h"

namespace btns
{

/** Priority of latches' policies, for people who look with ip xfrm policy: "BTNS". */
constexpr uint32_t latch_priority = 0x42544e53;

/** What a socket's policy lets pass. */
struct SocketPolicy
{
	/** family 0 or port 0 on a side: any */
	Flow flow;
	/** nothing at all */
	bool block = true;
	/** else what an SA with this reqid protects, 0 for any */
	uint32_t reqid = 0;
	btns_mode_t mode = BTNS_MODE_TRANSPORT;
	/** outer addresses of tunnel mode, family 0 for any */
	Address outer_local;
	Address outer_remote;
};

/** Put a policy into force for both directions, at once. IPv4 on an IPv6 socket (mapped) is possible. FALSE, with errno,
 * if the kernel refuses; then nothing passes, or what passed before. */
bool set_socket_policy(int socket, const SocketPolicy &policy);
/** Take it away. */
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
	/** what is known of it */
	Flow flow;
	/** SO_COOKIE */
	uint64_t cookie = 0;
};

/** Nothing if it is no TCP or UDP socket of this network namespace. Asks as flow_of() does. */
std::optional<LatchableSocket> latchable_socket(int socket, const NetworkNamespace &own);

/** The kernel's sockets, through sock_diag. One thread at a time, but for the descriptor. */
class SocketDiag
{
public:
	/** Throws std::system_error. */
	SocketDiag();

	/**
	 * Reset a connection (SOCK_DESTROY): TCP sends RST, the application gets ECONNABORTED. Synchronous: when it returns,
	 * no packet of it passes. FALSE if there is none.
	 *
	 * @param cookie	the socket must be this one; 0 for whichever has the flow
	 */
	bool reset(const Flow &flow, uint64_t cookie);
	/** Flows of sockets that have a latch's policy, whoever set it: what a daemon that was killed has left. */
	std::vector<Flow> left();

private:
	Descriptor diag_;
};

/** Hears which sockets have gone (SKNLGRP_INET_*_DESTROY). */
class SocketWatch
{
public:
	/** Throws std::system_error. */
	SocketWatch();
	/** Readable when there is something. */
	[[nodiscard]] int descriptor() const { return socket_.get(); }
	/** Call with each cookie that has gone, without waiting. FALSE if some were missed: then ask with exists(). */
	bool read(const std::function<void(uint64_t cookie)> &gone);

private:
	Descriptor socket_;
};

} // namespace btns
