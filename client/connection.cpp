/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace btns::client
{

namespace
{

/** How often a daemon is asked again that does not take the connection now, milliseconds. */
constexpr int connect_pause = 10;
/** Events that wait for being taken; of births, of which there can be any number, the oldest go. */
constexpr size_t queue_max = 4096;
/** How long an event is waited for that has to come: daemons send it within 50 ms. */
constexpr std::chrono::milliseconds event_patience(1000);
/** Numbers that are tried for a latch: one may be that of a latch of which nobody knows any more. */
constexpr int number_tries = 4;

sockaddr_un to_address(std::string_view path)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.empty() || path.size() >= sizeof(address.sun_path))
	{
		throw Error{BTNS_EINVAL};
	}
	std::ranges::copy(path, address.sun_path);
	return address;
}

Descriptor checked(int fd)
{
	if (fd < 0)
	{
		throw Error{BTNS_ENOMEM};
	}
	return Descriptor(fd);
}

btns_error_t connect_error(int error)
{
	switch (error)
	{
	case EACCES:
	case EPERM:
		return BTNS_EACCES;
	case EAGAIN:
		return BTNS_EBUSY;
	case ENOMEM:
	case ENOBUFS:
		return BTNS_ENOMEM;
	default:
		return BTNS_ENODAEMON;
	}
}

void add_to_epoll(int epoll, int fd)
{
	epoll_event event{};
	event.events = EPOLLIN;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
	{
		throw Error{BTNS_ENOMEM};
	}
}

wire::Type answer_to(wire::Type request)
{
	switch (request)
	{
	case wire::Type::unwatch:
	case wire::Type::latch_release:
		return wire::Type::done;
	case wire::Type::latch:
	case wire::Type::latch_connected:
	case wire::Type::latch_find:
	case wire::Type::latch_inquire:
		return wire::Type::latched;
	default:
		return wire::Type::channel;
	}
}

bool is_of_latch(btns_event_type_t type)
{
	return type >= BTNS_EVENT_LATCH_BROKEN;
}

int milliseconds_until(Clock::time_point until)
{
	const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
	return static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60000));
}

/** Is it no use to send or receive again? */
bool is_over(int error)
{
	return error != EAGAIN && error != EWOULDBLOCK && error != EINTR && error != ENOBUFS;
}

} // namespace

Connection::Connection(const char *path)
	: events_(checked(epoll_create1(EPOLL_CLOEXEC))), queued_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)))
{
	connect(path);
	add_to_epoll(events_.get(), queued_.get());
	add_to_epoll(events_.get(), socket_.get());
}

Connection::Connection(const char *path, int from)
{
	connect(path);
	if (const int moved = fcntl(socket_.get(), F_DUPFD_CLOEXEC, from); moved >= 0)
	{
		socket_ = Descriptor(moved);
	}
}

void Connection::connect(const char *path)
{
	const sockaddr_un address = to_address(path != nullptr ? path : BTNS_DEFAULT_SOCKET);
	socket_ = checked(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	const auto until = Clock::now() + patience;
	while (::connect(socket_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
	{
		// EAGAIN: too many are about to connect, and there is nothing that could be polled
		if ((errno != EAGAIN && errno != EINTR) || Clock::now() >= until)
		{
			throw Error{connect_error(errno)};
		}
		poll(nullptr, 0, connect_pause);
	}
}

Facts Connection::find(int fd)
{
	const std::lock_guard lock(call_mutex_);
	return std::move(*ask(wire::Type::find, new_number(), fd).facts);
}

Facts Connection::watch(int fd, uint32_t &number)
{
	const std::lock_guard lock(call_mutex_);
	const uint32_t id = new_number();
	{
		const std::lock_guard queue_lock(queue_mutex_);
		watches_.insert(id);
	}
	try
	{
		Facts facts = std::move(*ask(wire::Type::watch, id, fd).facts);
		number = id;
		return facts;
	}
	catch (...)
	{
		forget(id);
		throw;
	}
}

void Connection::unwatch(uint32_t number)
{
	const std::lock_guard lock(call_mutex_);
	{
		const std::lock_guard queue_lock(queue_mutex_);
		if (!watches_.contains(number))
		{
			throw Error{BTNS_EINVAL};
		}
	}
	forget(number);
	ask(wire::Type::unwatch, number, -1);
}

LatchFacts Connection::latch(int fd, Attributes wants, uint32_t &number)
{
	const std::lock_guard lock(call_mutex_);
	require_latches();
	for (int left = number_tries;; left--)
	{
		const uint32_t id = new_number();
		hear(id);
		try
		{
			LatchFacts facts = ask_latch(wire::Type::latch, id, fd, wants);
			number = id;
			return facts;
		}
		catch (const Error &error)
		{
			hear_no_more(id);
			if (error.code != BTNS_EINVAL || left <= 1)
			{
				throw;
			}
		}
	}
}

LatchFacts Connection::latch_connected(uint32_t number, int fd)
{
	const std::lock_guard lock(call_mutex_);
	return ask_latch(wire::Type::latch_connected, number, fd);
}

LatchFacts Connection::latch_find(int fd)
{
	const std::lock_guard lock(call_mutex_);
	require_latches();
	LatchFacts facts = ask_latch(wire::Type::latch_find, new_number(), fd);
	if (facts.number == 0)
	{
		fail();
	}
	hear(facts.number);
	return facts;
}

LatchFacts Connection::latch_inquire(uint32_t number)
{
	const std::lock_guard lock(call_mutex_);
	return ask_latch(wire::Type::latch_inquire, number, -1);
}

void Connection::latch_release(uint32_t number, int fd)
{
	const std::lock_guard lock(call_mutex_);
	ask(wire::Type::latch_release, number, fd);
	forget_events([number](const Event &event) { return event.latch == number; });
}

std::optional<btns_latch_reason_t> Connection::why_closed(uint32_t latch)
{
	const std::lock_guard lock(call_mutex_);
	const auto until = Clock::now() + event_patience;
	while (true)
	{
		{
			const std::lock_guard queue_lock(queue_mutex_);
			const auto found =
				std::ranges::find_if(queue_, [latch](const Event &event)
									 { return event.latch == latch && event.type == BTNS_EVENT_LATCH_CLOSED; });
			if (found != queue_.end())
			{
				return found->reason;
			}
		}
		const std::optional<Answer> answer = socket_ ? read() : throw Error{BTNS_EDAEMON};
		if (answer && answer->type != wire::Type::event)
		{
			// nobody has asked
			fail();
		}
		if (answer)
		{
			keep(*answer);
			continue;
		}
		pollfd waiting{socket_.get(), POLLIN, 0};
		if (poll(&waiting, 1, milliseconds_until(until)) <= 0 && Clock::now() >= until)
		{
			return std::nullopt;
		}
	}
}

void Connection::hear(uint32_t latch)
{
	const std::lock_guard lock(queue_mutex_);
	latches_[latch]++;
}

void Connection::hear_no_more(uint32_t latch) noexcept
{
	{
		const std::lock_guard lock(queue_mutex_);
		const auto found = latches_.find(latch);
		if (found == latches_.end() || --found->second > 0)
		{
			return;
		}
		latches_.erase(found);
	}
	forget_events([latch](const Event &event) { return event.latch == latch; });
}

void Connection::check_latches()
{
	const std::lock_guard lock(call_mutex_);
	require_latches();
}

void Connection::close()
{
	const std::lock_guard lock(call_mutex_);
	socket_.reset();
}

std::optional<Event> Connection::next_event()
{
	const std::unique_lock call_lock(call_mutex_, std::try_to_lock);
	while (call_lock && socket_)
	{
		std::optional<Answer> answer;
		try
		{
			answer = read();
			if (answer && answer->type != wire::Type::event)
			{
				// nobody has asked
				fail();
			}
		}
		catch (const Error &)
		{
			// what is queued tells
			break;
		}
		if (!answer)
		{
			break;
		}
		keep(*answer);
	}
	const std::lock_guard lock(queue_mutex_);
	if (queue_.empty())
	{
		return std::nullopt;
	}
	const Event event = queue_.front();
	queue_.pop_front();
	if (queue_.empty())
	{
		eventfd_t count = 0;
		eventfd_read(queued_.get(), &count);
	}
	return event;
}

/** Send a request and wait for its answer. */
Answer Connection::ask(wire::Type type, uint32_t id, int fd, Attributes attributes)
{
	if (!socket_)
	{
		throw Error{BTNS_EDAEMON};
	}
	const auto until = Clock::now() + patience;
	send(type, id, fd, attributes, until);
	Answer answer = receive(type, id, until);
	if (answer.type == wire::Type::error)
	{
		throw Error{answer.error};
	}
	return answer;
}

LatchFacts Connection::ask_latch(wire::Type type, uint32_t id, int fd, Attributes attributes)
{
	return std::move(*ask(type, id, fd, attributes).latch);
}

/**
 * Daemons of before there were latches answer such requests with BTNS_EINVAL, but one that is longer than theirs ends
 * the connection. So ask for a latch that is not there first, once.
 */
void Connection::require_latches()
{
	if (has_latches_)
	{
		return;
	}
	try
	{
		ask(wire::Type::latch_inquire, new_number(), -1);
	}
	catch (const Error &error)
	{
		if (error.code != BTNS_EUNAVAILABLE)
		{
			throw Error{error.code == BTNS_EINVAL ? BTNS_ENOTSUP : error.code};
		}
		has_latches_ = true;
		return;
	}
	fail();
}

void Connection::send(wire::Type type, uint32_t id, int fd, Attributes attributes, Clock::time_point until)
{
	std::array<uint8_t, wire::header_len> header{wire::version,
												 static_cast<uint8_t>(type),
												 0,
												 0,
												 static_cast<uint8_t>(id >> 24),
												 static_cast<uint8_t>(id >> 16),
												 static_cast<uint8_t>(id >> 8),
												 static_cast<uint8_t>(id)};
	std::array<uint8_t, wire::request_max> octets; // NOLINT(*-member-init): as much of it as is sent
	if (attributes.size() > octets.size() - header.size())
	{
		throw Error{BTNS_EINVAL};
	}
	const auto end = std::ranges::copy(attributes, std::ranges::copy(header, octets.begin()).out).out;
	iovec data{octets.data(), static_cast<size_t>(end - octets.begin())};
	alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(int))> space{};
	msghdr message{};
	message.msg_iov = &data;
	message.msg_iovlen = 1;
	if (fd >= 0)
	{
		message.msg_control = space.data();
		message.msg_controllen = space.size();
		cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0)
	{
		switch (errno)
		{
		case EBADF:
			throw Error{BTNS_EINVAL};
		case ETOOMANYREFS:
			throw Error{BTNS_EBUSY};
		case EINVAL:
			// a descriptor that cannot be passed on
			throw Error{BTNS_ESOCKET};
		case EPIPE:
		case ECONNRESET:
			// the daemon may have said why
			return;
		default:
			if (is_over(errno))
			{
				fail();
			}
			wait(POLLOUT, until);
		}
	}
}

Answer Connection::receive(wire::Type type, uint32_t id, Clock::time_point until)
{
	const wire::Type expected = answer_to(type);
	while (true)
	{
		std::optional<Answer> answer = read();
		if (!answer)
		{
			wait(POLLIN, until);
		}
		else if (answer->type == wire::Type::event)
		{
			keep(*answer);
		}
		else if (answer->type == wire::Type::error && answer->id == 0)
		{
			fail(answer->error);
		}
		else if (answer->id != id || (answer->type != expected && answer->type != wire::Type::error))
		{
			fail();
		}
		else
		{
			return std::move(*answer);
		}
	}
}

std::optional<Answer> Connection::read()
{
	// one more, so that it shows when a message is too long
	std::array<uint8_t, wire::answer_max + 1> octets; // NOLINT(*-member-init): 8 KiB that recv() fills
	ssize_t length = -1;
	bool reset = false;
	do
	{
		length = recv(socket_.get(), octets.data(), octets.size(), MSG_DONTWAIT);
		// said once, before what the daemon has said last
	} while (length < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
	if (length < 0 && !is_over(errno))
	{
		return std::nullopt;
	}
	auto answer = length > 0 ? read_answer(std::span(octets).first(static_cast<size_t>(length))) : std::nullopt;
	if (!answer)
	{
		fail();
	}
	return answer;
}

/** Queue an event, instead of an earlier one that says the same. */
void Connection::keep(const Answer &answer)
{
	Event event;
	event.type = answer.event;
	event.reason = answer.reason;
	const std::lock_guard lock(queue_mutex_);
	if (is_of_latch(answer.event))
	{
		event.latch = answer.id;
		event.born = answer.event == BTNS_EVENT_LATCH_BORN ? answer.born : 0;
	}
	else
	{
		event.watch = answer.id;
	}
	if (event.latch != 0 ? !latches_.contains(event.latch) : !watches_.contains(event.watch))
	{
		return;
	}
	std::erase_if(queue_,
				  [&](const Event &old) {
					  return old.watch == event.watch && old.latch == event.latch && old.type == event.type &&
							 old.born == event.born;
				  });
	if (queue_.size() >= queue_max)
	{
		const auto birth = std::ranges::find(queue_, BTNS_EVENT_LATCH_BORN, &Event::type);
		if (birth != queue_.end())
		{
			queue_.erase(birth);
		}
	}
	queue_.push_back(event);
	eventfd_write(queued_.get(), 1);
}

void Connection::fail(btns_error_t why)
{
	// out of the epoll with it, too
	socket_.reset();
	{
		const std::lock_guard lock(queue_mutex_);
		queue_.emplace_back();
		watches_.clear();
		eventfd_write(queued_.get(), 1);
	}
	throw Error{why};
}

void Connection::wait(short what, Clock::time_point until)
{
	pollfd waiting{socket_.get(), what, 0};
	while (poll(&waiting, 1, milliseconds_until(until)) <= 0)
	{
		if (Clock::now() >= until)
		{
			fail();
		}
	}
}

/** One that no watch has, and no latch that is heard of. */
uint32_t Connection::new_number()
{
	const std::lock_guard lock(queue_mutex_);
	do
	{
		last_ = (last_ + 1) & ~wire::daemons_number;
	} while (last_ == 0 || watches_.contains(last_) || latches_.contains(last_));
	return last_;
}

void Connection::forget(uint32_t watch)
{
	{
		const std::lock_guard lock(queue_mutex_);
		watches_.erase(watch);
	}
	forget_events([watch](const Event &event) { return event.watch == watch; });
}

template <typename Which>
void Connection::forget_events(Which which)
{
	const std::lock_guard lock(queue_mutex_);
	std::erase_if(queue_, which);
	if (queue_.empty())
	{
		eventfd_t count = 0;
		eventfd_read(queued_.get(), &count);
	}
}

} // namespace btns::client
