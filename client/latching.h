/* SPDX-License-Identifier: MIT */
/**
 * @file latching.h
 * Connections that are latched: what is said to the daemon, and what is done with the socket, in which order.
 */
#ifndef BTNS_LATCHING_H_
#define BTNS_LATCHING_H_

#include <poll.h>
#include <sys/socket.h>

#include "connection.h"

namespace btns::client
{

/** A latch that was made; whoever has it calls Connection::hear_no_more() in the end. */
struct Latched
{
	uint32_t number = 0;
	LatchFacts facts;
	/** connect() goes on: EINPROGRESS or EINTR. 0 if it does not */
	int in_progress = 0;
};

/** What is thrown if connect() fails. */
struct ConnectError
{
	int error;
};

/** What the caller asks for; BTNS_LATCH_OPTIONS_INIT if that is NULL. Throws Error. */
btns_latch_options_t checked_options(const btns_latch_options_t *options);

/** What waits: others may have to do something before and after. */
struct Calls
{
	int (*connect)(int, const sockaddr *, socklen_t) = ::connect;
	void (*pause)(int milliseconds) = [](int milliseconds) { poll(nullptr, 0, milliseconds); };
};

/** What a latch that failed leaves on its socket. */
enum class OnFailure
{
	/** no policy: it is as before */
	clear,
	/** the kernel's policy, which lets nothing pass, until it is closed */
	keep,
};

/** btns_latch_connect(). Throws Error or ConnectError; then the socket is not connected. Keeps errno otherwise. */
Latched latch_connect(Connection &connection, int fd, const sockaddr *address, socklen_t length,
					  const btns_latch_options_t &options, const Calls &calls = {});
/** btns_latch_listen(). Throws Error. */
Latched latch_listen(Connection &connection, int fd, const btns_latch_options_t &options);
/** btns_latch_accepted(). Throws Error. */
Latched latch_accepted(Connection &connection, int fd, const btns_latch_options_t &options, OnFailure on_failure,
					   const Calls &calls = {});

} // namespace btns::client

#endif /* BTNS_LATCHING_H_ */
