/* SPDX-License-Identifier: MIT */
#include "connection.h"

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
	: events_(checked(epoll_create1(EPOLL_CLOEXEC))), queued_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
	  socket_(checked(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)))
{
	const sockaddr_un address = to_address(path != nullptr ? path : BTNS_DEFAULT_SOCKET);
	const auto until = Clock::now() + patience;
	while (connect(socket_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
	{
		// EAGAIN: too many are about to connect, and there is nothing that could be polled
		if ((errno != EAGAIN && errno != EINTR) || Clock::now() >= until)
		{
			throw Error{connect_error(errno)};
		}
		poll(nullptr, 0, connect_pause);
	}
	add_to_epoll(events_.get(), queued_.get());
	add_to_epoll(events_.get(), socket_.get());
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
Answer Connection::ask(wire::Type type, uint32_t id, int fd)
{
	if (!socket_)
	{
		throw Error{BTNS_EDAEMON};
	}
	const auto until = Clock::now() + patience;
	send(type, id, fd, until);
	Answer answer = receive(type, id, until);
	if (answer.type == wire::Type::error)
	{
		throw Error{answer.error};
	}
	return answer;
}

void Connection::send(wire::Type type, uint32_t id, int fd, Clock::time_point until)
{
	std::array<uint8_t, wire::header_len> octets{wire::version,
												 static_cast<uint8_t>(type),
												 0,
												 0,
												 static_cast<uint8_t>(id >> 24),
												 static_cast<uint8_t>(id >> 16),
												 static_cast<uint8_t>(id >> 8),
												 static_cast<uint8_t>(id)};
	iovec data{octets.data(), octets.size()};
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
	const wire::Type expected = type == wire::Type::unwatch ? wire::Type::done : wire::Type::channel;
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

/** Queue an event, instead of an earlier one that says the same of this watch. */
void Connection::keep(const Answer &event)
{
	const std::lock_guard lock(queue_mutex_);
	if (!watches_.contains(event.id))
	{
		return;
	}
	std::erase_if(queue_, [&](const Event &old) { return old.watch == event.id && old.type == event.event; });
	queue_.push_back({event.id, event.event});
	eventfd_write(queued_.get(), 1);
}

void Connection::fail(btns_error_t why)
{
	// out of the epoll with it, too
	socket_.reset();
	{
		const std::lock_guard lock(queue_mutex_);
		queue_.push_back({0, BTNS_EVENT_CLOSED});
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

/** One that no watch has. */
uint32_t Connection::new_number()
{
	const std::lock_guard lock(queue_mutex_);
	do
	{
		last_++;
	} while (last_ == 0 || watches_.contains(last_));
	return last_;
}

void Connection::forget(uint32_t watch)
{
	const std::lock_guard lock(queue_mutex_);
	watches_.erase(watch);
	std::erase_if(queue_, [&](const Event &event) { return event.watch == watch; });
	if (queue_.empty())
	{
		eventfd_t count = 0;
		eventfd_read(queued_.get(), &count);
	}
}

} // namespace btns::client
