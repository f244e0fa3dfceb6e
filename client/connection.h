/* SPDX-License-Identifier: MIT */
/**
 * @file connection.h
 * A connection to the daemon.
 */
#ifndef BTNS_CONNECTION_H_
#define BTNS_CONNECTION_H_

#include <unistd.h>

#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "answer.h"

namespace btns::client
{

/** A descriptor that closes itself. */
class Descriptor
{
public:
	Descriptor() = default;
	explicit Descriptor(int fd) : fd_(fd) {}
	Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Descriptor &operator=(Descriptor &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	~Descriptor() { reset(); }

	explicit operator bool() const { return fd_ >= 0; }
	[[nodiscard]] int get() const { return fd_; }
	void reset()
	{
		if (fd_ >= 0)
		{
			::close(std::exchange(fd_, -1));
		}
	}

private:
	int fd_ = -1;
};

/** What is thrown inside of the library. */
struct Error
{
	btns_error_t code;
};

using Clock = std::chrono::steady_clock;

/** How long everything may take. */
constexpr std::chrono::seconds patience(5);

struct Event
{
	uint32_t watch;
	btns_event_type_t type;
};

/** Thread-safe. Functions throw Error or std::bad_alloc. */
class Connection
{
public:
	explicit Connection(const char *path);

	Facts find(int fd);
	/** Sets the number of the watch. */
	Facts watch(int fd, uint32_t &number);
	void unwatch(uint32_t number);
	/** Readable when there may be an event. */
	[[nodiscard]] int event_fd() const { return events_.get(); }
	/** Never waits, not even for somebody who waits for an answer. */
	std::optional<Event> next_event();

private:
	Answer ask(wire::Type type, uint32_t id, int fd);
	void send(wire::Type type, uint32_t id, int fd, Clock::time_point until);
	Answer receive(wire::Type type, uint32_t id, Clock::time_point until);
	/** Nothing if there is no message now. Ends the connection if there never will be. */
	std::optional<Answer> read();
	void keep(const Answer &event);
	/** From now on everything fails. */
	[[noreturn]] void fail(btns_error_t why = BTNS_EDAEMON);
	void wait(short what, Clock::time_point until);
	uint32_t new_number();
	void forget(uint32_t watch);

	/** an epoll for the two that follow */
	Descriptor events_;
	/** an eventfd: there is something in queue_ */
	Descriptor queued_;
	Descriptor socket_;

	/** who sends and receives; for socket_, last_ */
	std::mutex call_mutex_;
	uint32_t last_ = 0;

	/** may be taken by who has call_mutex_, not the other way round; for the following */
	std::mutex queue_mutex_;
	std::deque<Event> queue_;
	std::set<uint32_t> watches_;
};

} // namespace btns::client

#endif /* BTNS_CONNECTION_H_ */
