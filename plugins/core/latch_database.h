/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_database.h
 * The latch database (LD) of RFC 5660 2.3: all latches, their states, and which of them an SA conflicts with.
 *
 * Pure: no I/O, no clock, no lock. What has to be done to sockets follows from what the functions return.
 */
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "latch.h"
#include "latch_changes.h"

namespace btns
{

/** An SA that is about to be installed, or is. */
struct LatchSa
{
	/** charon's unique ID of the CHILD_SA */
	uint32_t child = 0;
	uint32_t reqid = 0;
	std::span<const btns_ts_t> local;
	std::span<const btns_ts_t> remote;
	/** with its suite: whether that matters is up to a latch. NULL is congruent to none */
	const Congruence *congruence = nullptr;
	/** of the peer's key, for latches that are not established yet; NULL if it used none */
	const Fingerprint *peer_key = nullptr;
};

/** What is known of a latch (INQUIRE_LATCH). */
struct LatchInfo : LatchStatus
{
	LatchRequest request;
	/** nothing until it was established */
	std::optional<Congruence> congruence;
	uint32_t reqid = 0;
};

enum class LatchError : uint8_t
{
	none,
	/** another latch has this tuple */
	exists,
	/** there is no such latch, or it is not in a state for that */
	no_such,
	/** the database is full, or the owner has as many as it may, or more alerts than it ever should */
	full,
	/** the tuple is none, or not what the latch is for */
	invalid,
};

/**
 * A LARVAL or ESTABLISHED latch becomes BROKEN, and its owner is alerted, when an SA arrives that conflicts with it:
 * one whose policy in the kernel takes its flow (policy_selector()), or that has its reqid, and that is not congruent:
 * peer, local identity, mode or type of protection differ, or the suite if that is latched. Before a latch is
 * established, the peer's key is all that can conflict, if one is asked for. A BROKEN one conflicts as before, so that
 * who waits is not kept waiting by more; but nothing does any more once the peer is dead.
 *
 * A function that throws (std::bad_alloc) has changed nothing, of what it would have changed.
 */
class LatchDatabase
{
public:
	struct Limits
	{
		size_t latches = 16384;
		size_t per_owner = 4096;
		/** alerts that an owner has not taken; beyond that a new one takes the place of the latch's last one, and one
		 * birth stands for all of a listener. There are never more than per_owner * 2 beyond that: an owner that does
		 * not take them gets no more latches */
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
	/**
	 * CREATE_CONNECTION_LATCH: born in LARVAL. The flow is this latch's from now on, unless its local end is open.
	 *
	 * @param listener	that it is born of, whose owner is alerted; 0 for none
	 */
	Made create(const LatchTuple &tuple, LatchOwner owner, const LatchRequest &request, LatchId listener = 0);
	/** A LARVAL latch's connection has got its local end. What was known of the tuple has to be the same. */
	LatchError bound(LatchId id, const LatchTuple &tuple);
	/**
	 * LARVAL to ESTABLISHED: the parameters are latched, and never change again. Also from BROKEN, if it was born so,
	 * waits, and no SA is there that has broken it.
	 *
	 * @param reqid	of the SAs, 0 if that does not matter
	 * @param heard	the owner is told otherwise, and not alerted
	 */
	LatchError establish(LatchId id, const Congruence &congruence, uint32_t reqid, bool heard = false);
	/** LARVAL to BROKEN without an SA ever having been there: born BROKEN. Its owner is alerted. */
	LatchError born_broken(LatchId id, LatchReason reason);

	/** Which latches does an SA conflict with? Ascending. Time grows with the answer and with the number of the SA's
	 * policies, not with the database. */
	[[nodiscard]] std::vector<LatchId> conflicts(const LatchSa &sa) const;
	/** Is there one? Without an allocation. */
	[[nodiscard]] bool has_conflict(const LatchSa &sa) const;
	/** Break those: owners are alerted. Those are returned that were not BROKEN before, whose packets have to be
	 * stopped before the SA is installed. Latches that wait remember the SA until it has gone. */
	std::vector<LatchId> sa_coming(const LatchSa &sa);
	/** An SA has gone, or was not installed: latches that were ESTABLISHED once, that wait, and that none but this one
	 * has broken, are so again, and their owners are alerted. These are returned. */
	std::vector<LatchId> sa_gone(uint32_t child);
	/** DPD: all latches with this peer are BROKEN for good, and their owners are alerted. Those that were not BROKEN
	 * before are returned. @param peer	as in Congruence */
	std::vector<LatchId> peer_dead(const Fingerprint &peer);

	/** RELEASE_LATCH and administrative close: CLOSED, and forgotten. Its owner is alerted unless it did this itself,
	 * by a release. */
	LatchError close(LatchId id, LatchReason reason);
	/** All of an owner's are CLOSED, and its alerts dropped. Returns them as they were before. */
	std::vector<LatchInfo> owner_gone(LatchOwner owner);
	/** All of them, with alerts as for close(). Returns them as they were before. */
	std::vector<LatchInfo> close_all(LatchReason reason);

	/** FIND_LATCH: the one of a flow in LARVAL, ESTABLISHED or BROKEN; 0 if there is none. */
	[[nodiscard]] LatchId find(const LatchTuple &tuple) const;
	/** The listener that a flow would be born of: of its local address; of the family's unspecified one; of family 0.
	 * 0 if there is none. */
	[[nodiscard]] LatchId find_listener(const LatchTuple &tuple) const;
	/** INQUIRE_LATCH; nothing if there is none. */
	[[nodiscard]] std::optional<LatchInfo> inquire(LatchId id) const;
	/** All latches' IDs, ascending, from one on; at most so many. */
	[[nodiscard]] std::vector<LatchId> list(LatchId from, size_t most) const;

	/** ALERT(): the next one of an owner; nothing if it has heard all. */
	std::optional<LatchAlert> take_alert(LatchOwner owner);
	/** An owner that has alerts waiting, 0 if none has; a different one each time as long as there are some. */
	LatchOwner next_alerted();

	[[nodiscard]] size_t size() const;

	/** Call it for every state that a latch comes into; it must not throw, nor come back. */
	void observe(std::function<void(const LatchChange &)> observer);

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace btns
