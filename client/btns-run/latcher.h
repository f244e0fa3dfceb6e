/* SPDX-License-Identifier: MIT */
/**
 * @file latcher.h
 * What the library in the program does for each socket.
 */
#ifndef BTNS_RUN_LATCHER_H_
#define BTNS_RUN_LATCHER_H_

#include <sys/types.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "latching.h"
#include "options.h"

namespace btnsrun
{

/** The C library's functions that have others in front of them. */
struct Libc
{
	int (*connect)(int, const sockaddr *, socklen_t);
	int (*listen)(int, int);
	int (*accept4)(int, sockaddr *, socklen_t *, int);
	int (*close)(int);
};

/**
 * Thread-safe, and safe in a process that was forked: there it has a connection to the daemon of its own, and leaves
 * the one of its parent open, whose latches last as long as that.
 *
 * Signals wait, and threads are not cancelled, while the daemon is asked; not while something else is waited for.
 */
class Latcher
{
public:
	Latcher(Options options, const Libc &libc);
	Latcher(const Latcher &) = delete;
	Latcher &operator=(const Latcher &) = delete;
	Latcher(Latcher &&) = delete;
	Latcher &operator=(Latcher &&) = delete;

	/** As the functions of that name. */
	int connect(int fd, const sockaddr *address, socklen_t length);
	int listen(int fd, int backlog);
	int accept(int fd, sockaddr *address, socklen_t *length, int flags);
	/** Must data not be sent along with the first packet of a connection to there? It would not wait for the latch.
	 * NULL if it is not known where to. */
	bool refuses_early_data(int fd, const sockaddr *address, socklen_t length);

	/** A descriptor that the program must not close, -1 for none. */
	[[nodiscard]] int own_descriptor() const { return own_; }

	/** Around fork(), in the parent and in the child. */
	void before_fork();
	void after_fork();

private:
	using Daemon = std::shared_ptr<btns::client::Connection>;

	/** What is to be done with a socket. */
	enum class What
	{
		/** nothing */
		leave,
		/** nothing can be done, though it should */
		not_possible,
		latch,
	};

	[[nodiscard]] What what_is(int fd) const;
	[[nodiscard]] bool is_excepted(const End &end, int protocol) const;
	[[nodiscard]] What what_to_accept(int fd) const;
	int connect_latched(int fd, const sockaddr *address, socklen_t length, const End &peer);
	bool latch_listener(int fd, bool is_listening);
	bool latch_accepted(int fd);
	void release_old(int fd, int protocol);
	void release(int fd);

	void ask(const std::function<void(btns::client::Connection &)> &body);
	Daemon daemon();
	[[nodiscard]] bool is_mine(const btns::client::Connection &connection) const;
	void forget(const Daemon &failed);

	/** @return		may it go on nevertheless? */
	bool say(const std::string &what, int error);
	void write_line(const std::string &line) const;

	const Options options_;
	const std::vector<Exception> exceptions_;
	const Libc libc_;
	std::mutex mutex_;
	// for mutex_
	Daemon daemon_;
	pid_t pid_ = 0;
	/** of daemon_'s socket */
	dev_t device_ = 0;
	ino_t inode_ = 0;
	/** of who forks */
	sigset_t signals_{};
	/** SO_COOKIE of listeners that are latched */
	std::set<uint64_t> listeners_;
	/** lines that were written in this second */
	int64_t second_ = 0;
	unsigned in_second_ = 0;
	/** daemon_'s descriptor */
	std::atomic<int> own_ = -1;
	/** something was latched, so there may be something to release */
	std::atomic<bool> has_latched_ = false;
	/** standard error, as it was at the start: a program may close it and have something else with that number */
	dev_t error_device_ = 0;
	ino_t error_inode_ = 0;
};

/** Is this thread in the library? Then what it calls is not the program's business. */
bool is_inside();

} // namespace btnsrun

#endif /* BTNS_RUN_LATCHER_H_ */
