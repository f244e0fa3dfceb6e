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
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
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
			::close(release());
		}
	}
	/** From now on it closes nothing. */
	int release() { return std::exchange(fd_, -1); }

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
	btns_event_type_t type = BTNS_EVENT_CLOSED;
	uint32_t watch = 0;
	uint32_t latch = 0;
	uint32_t born = 0;
	btns_latch_reason_t reason = BTNS_LATCH_REASON_NONE;

	bool operator==(const Event &) const = default;
};

/** Thread-safe. Functions throw Error or std::bad_alloc. */
class Connection
{
public:
	explicit Connection(const char *path);
	/** Without events: one descriptor only, whose number is at least that, unless there is none. */
	Connection(const char *path, int from);

	Facts find(int fd);
	/** Sets the number of the watch. */
	Facts watch(int fd, uint32_t &number);
	void unwatch(uint32_t number);

	/** Ask for a latch, and hear of it. Sets its number. @param wants	attributes */
	LatchFacts latch(int fd, std::span<const uint8_t> wants, uint32_t &number);
	LatchFacts latch_connected(uint32_t number, int fd);
	/** Why the daemon has closed a latch that is heard of and that it does not know any more; nothing if it does not
	 * say so in time. The event stays. */
	std::optional<btns_latch_reason_t> why_closed(uint32_t latch);
	/** With its number; it is heard of. */
	LatchFacts latch_find(int fd);
	LatchFacts latch_inquire(uint32_t number);
	/** @param fd	-1 for none */
	void latch_release(uint32_t number, int fd);
	/** Events of a latch are kept until who has made it, and all that have found it, hear of it no more. */
	void hear_no_more(uint32_t latch) noexcept;

	/** Has the daemon latches? Throws Error if not. */
	void check_latches();

	/** Hang up; from now on everything fails. */
	void close();
	/** Of the connection, -1 if there is none any more. */
	[[nodiscard]] int descriptor() const { return socket_.get(); }
	/** From now on everything fails, and the descriptor stays as it is, whoever has it. */
	void abandon() { socket_.release(); }

	/** Readable when there may be an event. */
	[[nodiscard]] int event_fd() const { return events_.get(); }
	/** Never waits, not even for somebody who waits for an answer. */
	std::optional<Event> next_event();

private:
	using Attributes = std::span<const uint8_t>;

	Answer ask(wire::Type type, uint32_t id, int fd, Attributes attributes = {});
	LatchFacts ask_latch(wire::Type type, uint32_t id, int fd, Attributes attributes = {});
	void require_latches();
	void hear(uint32_t latch);
	void send(wire::Type type, uint32_t id, int fd, Attributes attributes, Clock::time_point until);
	Answer receive(wire::Type type, uint32_t id, Clock::time_point until);
	/** Nothing if there is no message now. Ends the connection if there never will be. */
	std::optional<Answer> read();
	void keep(const Answer &event);
	/** From now on everything fails. */
	[[noreturn]] void fail(btns_error_t why = BTNS_EDAEMON);
	void connect(const char *path);
	void wait(short what, Clock::time_point until);
	uint32_t new_number();
	void forget(uint32_t watch);
	template <typename Which>
	void forget_events(Which which);

	/** an epoll for the two that follow */
	Descriptor events_;
	/** an eventfd: there is something in queue_ */
	Descriptor queued_;
	Descriptor socket_;

	/** who sends and receives; for socket_, last_, has_latches_ */
	std::mutex call_mutex_;
	uint32_t last_ = 0;
	/** the daemon knows requests about latches */
	bool has_latches_ = false;

	/** may be taken by who has call_mutex_, not the other way round; for the following */
	std::mutex queue_mutex_;
	std::deque<Event> queue_;
	std::set<uint32_t> watches_;
	/** how many hear of each */
	std::map<uint32_t, unsigned> latches_;
};

} // namespace btns::client

#endif /* BTNS_CONNECTION_H_ */
