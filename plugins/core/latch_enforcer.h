/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_enforcer.h
 * Stops the packets of connections whose latches break.
 *
 * The kernel does nothing to a socket while it works on it for the application, and an application can make that last
 * for as long as it likes: it sends octets from memory that a file system of its own has to read first. So whatever is
 * done to sockets is done in threads of which each serves one owner of latches, and nobody waits for longer than there
 * is patience for: an owner that makes itself wait harms its own connections only.
 */
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "latch_socket.h"

namespace btns
{

/** What has to be done before an SA is installed. Thread-safe. */
class LatchPending
{
public:
	/** A thing that may be under way. Begins and ends without an allocation. */
	class Item
	{
	public:
		Item() : node_(1, this) {}
		~Item() = default;
		Item(const Item &) = delete;
		Item &operator=(const Item &) = delete;
		Item(Item &&) = delete;
		Item &operator=(Item &&) = delete;

	private:
		friend class LatchPending;
		/** empty while it is among those that are under way */
		std::list<Item *> node_;
		/** it has taken too long */
		bool given_up_ = false;
	};

	/** The following with `mutex` locked. */
	/** @param item	may be under way; then it ends once */
	void begin(Item &item) noexcept;
	void end(Item &item) noexcept;
	[[nodiscard]] bool is_idle() const noexcept { return under_way_.empty(); }
	/** Wait until all is done. FALSE if that takes longer: those that are left are not waited for again until they have
	 * ended. */
	bool wait(std::unique_lock<std::mutex> &lock, std::chrono::milliseconds patience);

	std::mutex mutex;
	/** somebody has ended, or there is more to do */
	std::condition_variable changed;

private:
	std::list<Item *> under_way_;
};

/** Threads that have ended, or will some day. Not thread-safe. */
class LatchThreads
{
public:
	/** Leaves behind those that have not ended. */
	~LatchThreads();
	LatchThreads() = default;
	LatchThreads(const LatchThreads &) = delete;
	LatchThreads &operator=(const LatchThreads &) = delete;
	LatchThreads(LatchThreads &&) = delete;
	LatchThreads &operator=(LatchThreads &&) = delete;

	/** A thread that sets *ended as the last thing that it does. */
	struct Thread
	{
		std::thread thread;
		std::shared_ptr<const std::atomic<bool>> ended;
	};
	/** @param node	one thread; empty afterwards */
	void add(std::list<Thread> &node) noexcept { threads_.splice(threads_.end(), node); }
	/** Join those that have ended. TRUE if that were all. */
	bool reap() noexcept;

private:
	std::list<Thread> threads_;
};

/** Resets connections of one owner, one after the other, in a thread that is there while there are some. */
class ResetLane
{
public:
	struct Target
	{
		Flow flow;
		uint64_t cookie = 0;
		uint32_t interface = 0;
		/** all that fit, if an end is open */
		bool all = false;
	};
	using Node = std::list<Target>;

	explicit ResetLane(std::shared_ptr<LatchPending> pending);
	~ResetLane();
	ResetLane(const ResetLane &) = delete;
	ResetLane &operator=(const ResetLane &) = delete;
	ResetLane(ResetLane &&) = delete;
	ResetLane &operator=(ResetLane &&) = delete;

	/** Soon. @param node	one target; empty afterwards */
	void reset(Node &node) noexcept;
	/** If there was no thread to be had, do it here and now, if there is a socket to be had. */
	void help() noexcept;
	/** Nothing more is to be reset. The thread, if there is one, ends when all is done. FALSE if help() is needed. */
	bool hand_over(LatchThreads &threads) noexcept;

private:
	struct State;
	static void run(State &state) noexcept;
	static void reset_all(State &state, SocketDiag &diag) noexcept;

	std::shared_ptr<State> state_;
	std::list<LatchThreads::Thread> thread_;
};

/**
 * A copy of an application's socket, and a thread that sets its policy and that closes it: it shares the descriptors of
 * the thread that makes this.
 */
class KeptSocket
{
public:
	/** Throws std::system_error, std::bad_alloc. */
	KeptSocket(int socket, std::shared_ptr<LatchPending> pending);
	/** hand_over() was called. */
	~KeptSocket();
	KeptSocket(const KeptSocket &) = delete;
	KeptSocket &operator=(const KeptSocket &) = delete;
	KeptSocket(KeptSocket &&) = delete;
	KeptSocket &operator=(KeptSocket &&) = delete;

	/** Put this policy into force soon, if none comes after it. One that the kernel refuses becomes one that blocks. */
	void set(const SocketPolicy &policy) noexcept;
	/** Close it soon. */
	void hand_over(LatchThreads &threads) noexcept;

private:
	struct State;
	static void run(State &state) noexcept;

	std::shared_ptr<State> state_;
	std::list<LatchThreads::Thread> thread_;
};

} // namespace btns
