/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch.h
 * Connection latches (RFC 5660): a connection stays with the peer that it began with, or stops.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "channel.h"

namespace btns
{

/** Names a latch; never used again. 0 is none's. */
using LatchId = uint64_t;
/** Who asked for a latch and hears of it: a client of the application socket. 0 is nobody. */
using LatchOwner = uint64_t;

/** The states of RFC 5660 2.2, and the fleeting one of 2.3. */
enum class LatchState : uint8_t
{
	/** a 3-tuple; gives birth to connections' latches */
	listener,
	/** SAs are being set up, or the connection has no local port yet: no packet passes */
	larval,
	established,
	/** somebody else's SA is there, or the peer is dead: no packet passes */
	broken,
	/** final */
	closed,
};

/** Why a latch left a state, for ALERT(). */
enum class LatchReason : uint8_t
{
	none,
	/** an SA of somebody else, or of another quality, covers the connection; or a policy that has it bypass IPsec, or
	 * discards it */
	conflict,
	/** dead peer detection */
	peer_dead,
	/** the conflicting SAs have gone */
	cleared,
	/** by its owner, or because that has gone */
	released,
	/** the connection has ended */
	socket_gone,
	administrator,
	/** no SA came in time, or what came is not what was asked for */
	not_established,
	/** the daemon ends, or latching does */
	shutdown,
};

/** "listener", "larval" …; static storage. */
const char *to_text(LatchState state);
/** Stable code; static storage. */
const char *to_code(LatchReason reason);
/** A sentence; static storage. */
const char *to_text(LatchReason reason);

/** Smallest kind of authentication that an application accepts. */
enum class LatchAuth : uint8_t
{
	/** whatever policy allows, BTNS peers included */
	any,
	/** a peer that proved an identity which policy knows: no BTNS peer, no NULL authentication */
	authenticated,
};

/** What happens to a connection whose latch breaks (RFC 5660 5.5). */
enum class LatchDisposition : uint8_t
{
	/** it is reset: the recommended one */
	reset,
	/** it waits until the conflict is cleared */
	wait,
};

/** What an application asks for. It can only ask for more than policy gives. */
struct LatchRequest
{
	bool confidentiality = true;
	LatchAuth auth = LatchAuth::any;
	LatchDisposition disposition = LatchDisposition::reset;
	/** SAs for this connection alone: their algorithms are latched, too (RFC 5660 2.1) */
	bool narrow = false;
	/** of listeners, before anything is known of the SAs that will come; BTNS_MODE_NONE for what there is, or else
	 * transport */
	btns_mode_t mode = BTNS_MODE_NONE;
	/** the peer must have this key */
	std::optional<Fingerprint> peer_key;
	/** milliseconds that SAs may take to come up; with 0 none are asked for */
	uint32_t timeout = 10000;
};

/**
 * What SAs must have in common to be congruent to a latch (RFC 5660 2). The peer and the local identity are digests
 * over all that tells them from others: method, authorized and asserted identity, key.
 */
struct Congruence
{
	Fingerprint peer{};
	Fingerprint local{};
	btns_mode_t mode = BTNS_MODE_NONE;
	bool confidentiality = false;
	bool integrity = false;
	/** "indeterminate" (RFC 5660 2.1) if empty, which wide SAs are: any suite of the same type will do */
	std::string suite;

	auto operator<=>(const Congruence &) const = default;
};

/** What protects a channel, without the suite if that is to be indeterminate. Throws as watch_state(). */
Congruence congruence_of(const Channel &channel, bool narrow);

/**
 * A latched flow, of a protocol with ports. Of a LISTENER (3-tuple), remote is of family 0 and remote_port 0, and the
 * local address may be of family 0 for both. Of a LARVAL one local_port, and the local address, may be open (0, family
 * 0).
 */
using LatchTuple = Flow;

/** Which latch it is, and how it is. */
struct LatchStatus
{
	LatchId id = 0;
	LatchOwner owner = 0;
	/** that it was born of, 0 for none */
	LatchId listener = 0;
	LatchTuple tuple;
	LatchState state = LatchState::closed;
	LatchReason reason = LatchReason::none;
};

/** A state change that an owner has not heard of. */
struct LatchAlert
{
	LatchOwner owner = 0;
	LatchId latch = 0;
	LatchState state = LatchState::closed;
	LatchReason reason = LatchReason::none;
	/** of a listener: the latch that it gave birth to, else 0 */
	LatchId born = 0;
};

} // namespace btns
