/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latches.h
 * Connection latching (RFC 5660): joins the latch database, the SAs and the sockets.
 *
 * The two things that must not happen at the same time are a latch that is created and an SA that is installed. A latch
 * is in the database and its socket lets nothing pass before the SAs are looked at; an SA is among the SAs before the
 * database is asked; and both looks are under one lock. So whichever comes second sees the other. Policies are put on
 * sockets without the lock, since an application can make that last; whoever does so looks again afterwards whether the
 * policy is still the right one, and who installs an SA waits for that.
 */
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "latch_database.h"
#include "latch_enforcer.h"
#include "latch_sas.h"
#include "latch_service.h"
#include "latch_socket.h"
#include "side_table.h"

namespace btns
{

struct LatchLimits
{
	LatchDatabase::Limits database{};
	/** copies of sockets, each with a thread, of latches that wait; in all, and of one owner */
	size_t kept = 128;
	size_t kept_per_owner = 32;
	/** flows that want SAs and that nobody has read */
	size_t acquires = 1024;
	/** SAs that have gone, which what has come over a connection may be from */
	size_t former = 1024;
	/** how long an SA's installation waits for packets to be stopped, milliseconds */
	std::chrono::milliseconds patience{2000};
};

/** A flow that wants SAs (RFC 5660 2.3: "the key manager MUST initiate child SAs"). */
struct LatchAcquire
{
	LatchId latch = 0;
	/** the local end may be open: port 0, and family 0 if there is no route */
	Flow flow;
	/** SAs for this flow alone */
	bool narrow = false;
};

/** Which selectors of a CHILD_SA are left out. */
struct LatchNarrowing
{
	std::vector<bool> local;
	std::vector<bool> remote;
};

/** What is known of a latch, for people. */
struct LatchView
{
	LatchInfo info;
	/** as when it was established; NULL before */
	std::shared_ptr<const Channel> channel;
};

/** Thread-safe. stop() was called before the side table goes. */
class Latches : public LatchService
{
public:
	/**
	 * Resets what another daemon has left: connections whose sockets have a latch's policy. What only listens is left
	 * alone: its policy, which demands that ESP protects what comes in, holds until the application closes it or asks
	 * for a latch again.
	 *
	 * @param can_acquire	somebody calls wait_acquire(); else what no SA protects is refused at once
	 * @param changes		is told of all states that latches come into, unless it is NULL
	 * @param policy_breaks	policies_changed() does something
	 * Throws std::system_error if this kernel cannot do what is needed, or the process may not.
	 */
	explicit Latches(const SideTable &table, bool can_acquire, const LatchLimits &limits = {},
					 std::shared_ptr<LatchChanges> changes = nullptr, bool policy_breaks = false);
	/** Stops. */
	~Latches() override;
	Latches(const Latches &) = delete;
	Latches &operator=(const Latches &) = delete;
	Latches(Latches &&) = delete;
	Latches &operator=(Latches &&) = delete;

	/** All latches are CLOSED, their connections reset; owners may still take their alerts. Returns when that is done,
	 * or after LatchLimits::patience. Not to be called by a thread of the application socket. */
	void stop();

	/* ---- SAs; nothing of this throws, and all of it fails closed ---- */

	/**
	 * A stranger's selectors are decided over: would they take packets of connections that are latched to others? What
	 * is not known yet (mode BTNS_MODE_NONE) makes no difference. TRUE on failure.
	 */
	[[nodiscard]] bool takes_latched(uint32_t sa, const btns_child_t &child) noexcept;
	/**
	 * If it would, which selectors to leave out so that it does not (RFC 5660 2.3): whole ones, since what is cut out
	 * of one is neither prefix nor mask. Nothing if it would not, nothing would be left, or there are many of them. May
	 * throw std::bad_alloc.
	 */
	[[nodiscard]] std::optional<LatchNarrowing> narrow(uint32_t sa, const btns_child_t &child);
	/**
	 * A CHILD_SA is about to be installed. A stranger's that conflicts with a latch is refused, with LATCHED; for an
	 * authenticated peer's the latches break, and when this returns no packet of their connections passes. On failure a
	 * stranger is refused, and for an authenticated peer all latches are CLOSED, and their connections reset.
	 */
	btns_reason_t before_install(uint32_t sa, const btns_child_t &child, const btns_latches_sa_t &kernel) noexcept;
	/** A CHILD_SA is in the kernel: the same if before_install() was not called for it. */
	btns_reason_t installed(uint32_t sa, const btns_child_t &child) noexcept;
	/** Nothing of a CHILD_SA is in the kernel any more, or it was not installed. Latches that it has broken and that
	 * wait are ESTABLISHED again. */
	void gone(uint32_t child) noexcept;
	/** The outer addresses of a CHILD_SA have changed in the kernel. */
	void moved(uint32_t child, const Address &local, const Address &remote) noexcept;
	/** DPD: the peer of an IKE_SA is dead, or has restarted. */
	void peer_dead(uint32_t sa) noexcept;
	/** It cannot be told any more which SAs there are: all latches are CLOSED, and their connections reset. */
	void fail() noexcept;
	/**
	 * The side table knows the host's shunts. ESTABLISHED latches whose packets one would have bypass IPsec, or
	 * discards, are BROKEN as long as it is there. On failure that comes the next time; until then they are protected.
	 */
	void policies_changed() noexcept;
	/** Has a latch this reqid? As long as one has, no other SAs should get it, and congruent ones should. */
	[[nodiscard]] bool has_reqid(uint32_t reqid) const noexcept;

	/* ---- flows that want SAs ---- */

	/** The next one, as soon as there is one; nothing once it has stopped. To be called by one thread. */
	std::optional<LatchAcquire> wait_acquire();
	/** There will be no SAs for it: nothing is configured, or the peer does not answer. A LARVAL latch is CLOSED. */
	void refuse(LatchId id);

	/* ---- for people ---- */

	/** Latches by ascending ID, from one on; at most so many. */
	[[nodiscard]] std::vector<LatchView> list(LatchId from, size_t most) const;
	/** The highest ID that there was. */
	[[nodiscard]] LatchId last() const;
	/** Administrative close: the connection is reset. FALSE if there is no such latch. */
	bool close(LatchId id);

	struct Counts
	{
		size_t latches;
		size_t sas;
		size_t kept;
	};
	[[nodiscard]] Counts counts() const;

	/* ---- LatchService ---- */

	LatchAnswer latch(LatchOwner owner, int socket, const std::optional<Endpoint> &destination,
					  const LatchRequest &request) override;
	LatchAnswer connected(LatchOwner owner, LatchId id, int socket) override;
	LatchAnswer find(LatchOwner owner, int socket) override;
	LatchAnswer inquire(LatchOwner owner, LatchId id) override;
	/** If there is no such latch, a socket that is not connected, and that no other latch has, is without a policy,
	 * too. */
	LatchAnswer release(LatchOwner owner, LatchId id, int socket) override;
	std::optional<LatchAlert> take_alert(LatchOwner owner) override;
	LatchOwner next_alerted() override;
	[[nodiscard]] uint64_t alerts() const override { return alerts_.load(std::memory_order_acquire); }
	void owner_gone(LatchOwner owner) override;

private:
	using Lock = std::unique_lock<std::mutex>;
	using Clock = std::chrono::steady_clock;

	/** What is known of an owner. */
	struct Owner
	{
		explicit Owner(std::shared_ptr<LatchPending> pending) : lane(std::move(pending)) {}

		ResetLane lane;
		size_t latches = 0;
		size_t kept = 0;
	};

	/** Threads that are about to put a policy on a socket. */
	struct Applying
	{
		unsigned count = 0;
		/** under way once that policy is not the right one any more */
		LatchPending::Item stale;
	};

	/** A latch, beside what the database knows. */
	struct Entry
	{
		LatchOwner owner = 0;
		std::shared_ptr<Owner> holder;
		uint64_t cookie = 0;
		uint32_t interface = 0;
		LatchRequest request;
		/** its local end may be open */
		LatchTuple tuple;
		bool listener = false;
		/** the socket has this flow; else it is not connected */
		bool connected = false;
		/** packets may pass, and then with this protection; else none */
		bool passes = false;
		LatchDemand demand;
		/** with whom it became ready, or was established */
		std::optional<Congruence> chosen;
		/** since it was established */
		std::shared_ptr<const Channel> channel;
		/** of a latch that waits */
		std::unique_ptr<KeptSocket> kept;
		std::shared_ptr<Applying> applying;
		/** for its reset, once */
		ResetLane::Node node;
		/** when it has to be established, until it is */
		std::optional<Clock::time_point> until;
		/** since when payload may have come over it that nobody has answered */
		std::optional<Clock::time_point> heard_since;
		/** SAs were asked for, for this flow */
		std::optional<Flow> wanted;
		/** what stands for the policy that has broken it, among the SAs that have; 0 for none */
		uint32_t broken_by = 0;
	};

	/** What the SAs are for a flow. */
	struct Choice
	{
		LatchOutcome outcome = LatchOutcome::unprotected;
		const char *text = "";
		LatchSas::Entry *sa = nullptr;
		std::optional<Channel> channel;
	};

	/** An SA that has gone. */
	struct Former
	{
		LatchSas::Entry sa;
		Clock::time_point gone;
	};

	/* sockets; with the lock, which is not held while one is asked or changed */
	LatchAnswer latch_listener(LatchOwner owner, int socket, const LatchableSocket &look, const LatchRequest &request);
	LatchAnswer latch_connection(LatchOwner owner, int socket, const LatchableSocket &look, const LatchTuple &tuple,
								 const LatchRequest &request);
	LatchAnswer advance(Lock &lock, LatchId id, int socket);
	LatchAnswer give_up(Lock &lock, LatchId id, int socket, LatchAnswer answer);
	bool apply(Lock &lock, LatchId id, int socket);
	static SocketPolicy policy_of(const Entry &entry);

	/* with the lock */
	Entry *entry_of(LatchId id);
	[[nodiscard]] const Entry *entry_of(LatchId id) const;
	[[nodiscard]] Entry *entry_of(LatchOwner owner, LatchId id);
	Entry &add(LatchOwner owner, LatchId id, const LatchableSocket &look, const LatchTuple &tuple,
			   const LatchRequest &request);
	void remove(LatchId id) noexcept;
	LatchAnswer take_local_end(LatchId id, Entry &entry, const LatchableSocket &look);
	Choice choose(const Entry &entry, const Flow &flow);
	[[nodiscard]] bool is_from_others(const Entry &entry, const Flow &flow, const LatchSas::Entry &sa) const;
	[[nodiscard]] bool are_one(const LatchSas::Entry &sa, const Flow &flow, const LatchRequest &request) const;
	void remember(const LatchSas::Entry &sa) noexcept;
	Choice judge(const LatchRequest &request, const Flow &flow, ChannelAnswer found);
	void establish(LatchId id, Entry &entry, Choice &choice, bool heard);
	void acquire(LatchId id, Entry &entry, const Flow &flow);
	void set_reqid(LatchId id, Entry &entry, const LatchDemand &demand);
	void stop_packets(Entry &entry) noexcept;
	void stop_packets(const std::vector<LatchId> &ids) noexcept;
	void reset(Entry &entry) noexcept;
	void end(LatchId id, LatchReason reason);
	void resume(LatchId id);
	void follow_reqid(const LatchSas::Entry &sa);
	void lose_all() noexcept;
	[[nodiscard]] LatchAnswer answer(LatchId id) const;
	void told() noexcept { alerts_.fetch_add(1, std::memory_order_acq_rel); }
	[[nodiscard]] LatchSas::Entry describe(uint32_t sa, const btns_child_t &child,
										   const btns_latches_sa_t &kernel) const;
	void look_at_policies(LatchId id, Entry &entry);
	/** @param known	it is known what kind of SA it is, too */
	[[nodiscard]] bool takes_latched(const LatchSas::Entry &sa, bool known) const;
	[[nodiscard]] bool demands_for_another(const LatchSas::Entry &sa) const;
	btns_reason_t install(uint32_t sa, const btns_child_t &child, const btns_latches_sa_t &kernel);

	void wait_stopped() noexcept;
	void help() noexcept;
	void reset_left();
	void watch() noexcept;
	void look_at_sockets();
	[[nodiscard]] int until_next() const;
	void expire();
	void tidy() noexcept;

	const LatchLimits limits_;
	const NetworkNamespace own_;
	const bool can_acquire_;
	const bool policy_breaks_;
	const std::shared_ptr<LatchPending> pending_ = std::make_shared<LatchPending>();

	mutable std::mutex mutex_;
	/** NULL once all has stopped, or failed */
	const SideTable *table_;
	bool stopping_ = false;
	LatchDatabase database_;
	LatchSas sas_;
	std::deque<Former> former_;
	/** when the last of those went that are not remembered */
	Clock::time_point forgotten_ = Clock::time_point::min();
	std::unordered_map<LatchId, Entry> entries_;
	std::unordered_map<uint64_t, LatchId> cookies_;
	std::set<std::pair<Clock::time_point, LatchId>> deadlines_;
	/** those that were established */
	std::set<std::pair<uint32_t, LatchId>> reqids_;
	LatchId last_ = 0;
	/** of the shunts that were looked at */
	uint64_t shunts_ = 0;
	/** the last Entry::broken_by: charon's numbers of CHILD_SAs come from the other end */
	uint32_t last_policy_ = 0;
	/** some of these reqids may be no SA's */
	bool orphans_ = false;
	/** those that have a copy of the socket */
	std::set<LatchId> kept_;
	std::map<LatchOwner, std::shared_ptr<Owner>> owners_;
	std::deque<LatchAcquire> acquires_;
	std::condition_variable acquired_;
	LatchThreads threads_;
	std::atomic<uint64_t> alerts_ = 1;

	/* of the watcher */
	Descriptor wake_;
	SocketDiag diag_;
	SocketWatch watch_;
	/** some of what watch_ has told was not heeded */
	bool missed_ = false;
	std::thread watcher_;
};

} // namespace btns
