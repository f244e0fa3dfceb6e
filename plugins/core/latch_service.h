/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_service.h
 * What the application socket asks of latching.
 */
#pragma once

#include <memory>

#include "latch.h"

namespace btns
{

enum class LatchOutcome : uint8_t
{
	/** it is there; its state may be LARVAL */
	made,
	/** latching is not there: the plugin is not loaded */
	not_available,
	/** the socket is none that can be latched */
	bad_socket,
	/** another latch has this connection */
	exists,
	full,
	/** no SA covers the connection and none can be asked for */
	unprotected,
	/** SAs of several peers cover it */
	conflict,
	/** the SAs are not what was asked for */
	not_wanted,
	/** the kernel refuses the policy, or the socket has one of somebody else */
	kernel,
	no_such,
};

struct LatchAnswer
{
	LatchOutcome outcome = LatchOutcome::not_available;
	LatchId id = 0;
	LatchState state = LatchState::closed;
	LatchReason reason = LatchReason::none;
	/** of a LARVAL one that is not connected: its SAs are there and the socket's policy lets their packets pass, so
	 * that connect() can be called */
	bool ready = false;
	Flow tuple;
	LatchRequest request;
	/** as it was when the latch was established: frozen. NULL before */
	std::shared_ptr<const Channel> channel;
	/** the suite is indeterminate */
	bool indeterminate = true;
	/** a sentence, unless made; static storage */
	const char *text = "";
};

/**
 * Thread-safe. A socket that is passed in is the application's, and is not kept beyond the call, unless the disposition
 * is wait: then a copy is kept until the latch is CLOSED.
 *
 * An application can have the kernel wait for as long as it likes whenever something is done with its socket: so no
 * lock is held meanwhile, or all others wait, too. What destroys a copy may wait, as well; an owner's are destroyed in
 * calls for that owner only.
 */
class LatchService
{
public:
	virtual ~LatchService() = default;

	/**
	 * Latch a connection or a listener: from now on the kernel lets no packet of it pass that the latch does not allow.
	 *
	 * @param socket		TCP or UDP; listening, connected, or neither, and then about to be connected, or to listen
	 * @param destination	of a socket that is about to be connected; else it is TCP, bound, and about
	 *						to listen
	 */
	virtual LatchAnswer latch(LatchOwner owner, int socket, const std::optional<Endpoint> &destination,
							  const LatchRequest &request) = 0;
	/** How it is now, with the socket at hand: asked while it is LARVAL, until it is ready, and after connect() was
	 * called, when its local end is known. */
	virtual LatchAnswer connected(LatchOwner owner, LatchId id, int socket) = 0;
	/** The latch of a connection, of this owner. */
	virtual LatchAnswer find(LatchOwner owner, int socket) = 0;
	virtual LatchAnswer inquire(LatchOwner owner, LatchId id) = 0;
	/** @param socket	to take the kernel's policy from it; -1 leaves it until the socket is closed */
	virtual LatchAnswer release(LatchOwner owner, LatchId id, int socket) = 0;
	/** The next alert for an owner. Whatever ends a latch is one, except release(): that the socket has gone, too. */
	virtual std::optional<LatchAlert> take_alert(LatchOwner owner) = 0;
	/** An owner that has alerts, 0 if none has. */
	virtual LatchOwner next_alerted() = 0;
	/** Changes whenever there are more alerts. */
	[[nodiscard]] virtual uint64_t alerts() const = 0;
	/** An owner has gone: its connections are reset, its latches closed. */
	virtual void owner_gone(LatchOwner owner) = 0;
};

} // namespace btns
