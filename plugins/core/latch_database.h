/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_database.h
 * The latch database (LD) of RFC 5660 2.3: all latches, their states, and which of them an SA conflicts with.
 *
 * Pure: no I/O, no clock, no lock. What has to be done to sockets follows from what the functions return.
 */
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "latch.h"

namespace btns
{

/** A latched flow. Of a LISTENER, remote is of family 0 and remote_port 0; of a LARVAL one local_port, and the local
 * address, may be open (0). */
using LatchTuple = Flow;

/** An SA that is about to be installed, or is. */
struct LatchSa
{
	/** charon's unique ID of the CHILD_SA */
	uint32_t child = 0;
	uint32_t reqid = 0;
	std::span<const btns_ts_t> local;
	std::span<const btns_ts_t> remote;
	const Congruence *congruence = nullptr;
};

/** What is known of a latch (INQUIRE_LATCH). */
struct LatchInfo
{
	LatchId id = 0;
	LatchOwner owner = 0;
	LatchId listener = 0;
	LatchTuple tuple;
	LatchState state = LatchState::closed;
	LatchReason reason = LatchReason::none;
	LatchRequest request;
	/** NULL until it was established */
	const Congruence *congruence = nullptr;
	uint32_t reqid = 0;
};

enum class LatchError : uint8_t
{
	none,
	/** another latch has this tuple */
	exists,
	/** there is no such latch, or it is not in a state for that */
	no_such,
	/** the database is full, or the owner has as many as it may */
	full,
};

class LatchDatabase
{
public:
	struct Limits
	{
		size_t latches = 16384;
		size_t per_owner = 4096;
		/** alerts that an owner has not taken; beyond that the oldest for each latch stands for all */
		size_t alerts_per_owner = 8192;
	};

	LatchDatabase();
	explicit LatchDatabase(const Limits &limits);
	~LatchDatabase();
	LatchDatabase(const LatchDatabase &) = delete;
	LatchDatabase &operator=(const LatchDatabase &) = delete;
	LatchDatabase(LatchDatabase &&) = delete;
	LatchDatabase &operator=(LatchDatabase &&) = delete;

	struct Made
	{
		LatchId id = 0;
		LatchError error = LatchError::none;
	};

	/** CREATE_LISTENER_LATCH: born in LISTENER. */
	Made listen(const LatchTuple &tuple, LatchOwner owner, const LatchRequest &request);
	/** CREATE_CONNECTION_LATCH: born in LARVAL; from now on conflicting SAs are found. @param listener	0 for none; that
	 * one's owner is alerted of the birth */
	Made create(const LatchTuple &tuple, LatchOwner owner, const LatchRequest &request, LatchId listener = 0);
	/** A LARVAL latch's connection has got its local end. */
	LatchError bound(LatchId id, const LatchTuple &tuple);
	/** LARVAL to ESTABLISHED: the parameters are latched, and never change again. */
	LatchError establish(LatchId id, const Congruence &congruence, uint32_t reqid);
	/** LARVAL to BROKEN without an SA ever having been there: born BROKEN. */
	LatchError born_broken(LatchId id, LatchReason reason);

	/**
	 * Which latches does an SA conflict with? It covers their tuple, or has their reqid, and is not congruent; LARVAL
	 * ones conflict with none but those that do not fit the request's key. Time grows with the answer, not with
	 * the database.
	 */
	[[nodiscard]] std::vector<LatchId> conflicts(const LatchSa &sa) const;
	/** The same, without an allocation if the answer is no. */
	[[nodiscard]] bool has_conflict(const LatchSa &sa) const;
	/** Break those (a LARVAL one, too): owners are alerted. Returns the ones whose packets have to be stopped before the
	 * SA is installed. */
	std::vector<LatchId> sa_coming(const LatchSa &sa);
	/** An SA has gone: latches that it alone had broken, and that wait, are ESTABLISHED again; these are returned. */
	std::vector<LatchId> sa_gone(uint32_t child);
	/** DPD: all latches with this peer are BROKEN, for good. Those that were not are returned. */
	std::vector<LatchId> peer_dead(const Fingerprint &peer);

	/** RELEASE_LATCH and administrative close: CLOSED, its owner is alerted unless it did this, and it is forgotten. */
	LatchError close(LatchId id, LatchReason reason);
	/** All of an owner's; those that were closed are returned. */
	std::vector<LatchInfo> owner_gone(LatchOwner owner);
	/** All of them. */
	std::vector<LatchInfo> close_all(LatchReason reason);

	/** FIND_LATCH: the one of a flow in LARVAL, ESTABLISHED or BROKEN; 0 if there is none. */
	[[nodiscard]] LatchId find(const LatchTuple &tuple) const;
	/** The listener that a flow would be born of: the local address and port; then the port alone. 0 if none. */
	[[nodiscard]] LatchId find_listener(const LatchTuple &tuple) const;
	/** INQUIRE_LATCH; nothing if there is none. Pointers are valid until the next change. */
	[[nodiscard]] std::optional<LatchInfo> inquire(LatchId id) const;
	/** All latches' IDs, ascending, from one on; at most so many. */
	[[nodiscard]] std::vector<LatchId> list(LatchId from, size_t most) const;

	/** ALERT(): the next one of an owner; nothing if it has heard all. */
	std::optional<LatchAlert> take_alert(LatchOwner owner);
	/** An owner that has alerts waiting, 0 if none has; a different one each time as long as there are some. */
	LatchOwner next_alerted();

	[[nodiscard]] size_t size() const;

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace btns
