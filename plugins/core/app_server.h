/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_server.h
 * The application socket's server: applications ask what protects their own connections. docs/application-socket.md.
 */
#pragma once

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app_front.h"
#include "app_shared.h"
#include "app_socket.h"

namespace btns
{

/**
 * Two threads. One serves clients. The other has made the socket, and sees whether the first is stuck: then it leaves
 * it behind with the user whom it served, and another one serves the rest. Both block all signals, and have a
 * descriptor table of their own: what is handed over takes no descriptors from the process, and a thread that is stuck
 * holds none of its sockets open when it ends. That is why they must not log: the log's files are not in their table.
 */
class AppServer
{
public:
	/**
	 * Listen. Throws std::runtime_error with a sentence if that is not possible, or std::bad_alloc.
	 *
	 * @param source	has to outlive the server
	 * @param counters	go on from where they are
	 */
	AppServer(const ChannelSource &source, const AppSocketFile &file, std::shared_ptr<AppCounters> counters,
			  const AppLimits &limits = {});
	/** Stops. */
	~AppServer();
	AppServer(const AppServer &) = delete;
	AppServer &operator=(const AppServer &) = delete;
	AppServer(AppServer &&) = delete;
	AppServer &operator=(AppServer &&) = delete;

	/**
	 * From now on clients are served latches by this, or none if it is NULL. It lives until every call has come back,
	 * which may be never: so does its code, which has to stay loaded.
	 */
	void set_latches(std::shared_ptr<LatchService> latches) { shared_->latches.set(std::move(latches)); }
	/** End all service; the source is not asked any more. Nobody waits for a line any more. */
	void stop();
	/** Change who may connect. FALSE if that is not possible; a line says why. */
	bool set_mode(mode_t mode);
	/** The next line for the log, nothing once the server has stopped. To be called by one thread that may log. */
	std::optional<std::string> wait_line() { return shared_->lines.wait(); }
	[[nodiscard]] const AppCounters &counters() const { return *shared_->counters; }

private:
	void supervise(const AppSocketFile &file, std::promise<void> ready);
	void serve_until_stopped(AppSocket &socket);
	void step(std::unique_lock<std::mutex> &lock, AppSocket &socket);
	void finish(std::unique_lock<std::mutex> &lock);
	void start_front();
	bool is_stuck();
	void leave_behind();
	void add_orphan(const AppClientName &client) noexcept;

	std::shared_ptr<AppShared> shared_;
	// for AppShared::mutex
	bool stop_ = false;
	/** wanted, and what became of it */
	std::optional<mode_t> mode_;
	bool mode_set_ = false;
	std::thread supervisor_;
	// the supervisor's
	std::shared_ptr<AppFrontControl> control_;
	std::thread front_;
	/** threads that were left behind and have not come back */
	std::vector<std::shared_ptr<AppFrontControl>> stuck_;
	uint64_t last_work_ = 0;
	unsigned same_work_ = 0;
};

} // namespace btns
