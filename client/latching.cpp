/* SPDX-License-Identifier: MIT */
#include "latching.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

namespace btns::client
{

namespace
{

using std::chrono::milliseconds;
using wire::Tag;

/** How often the daemon is asked whether the SAs are there: first, and at most. */
constexpr milliseconds first_pause(2);
constexpr milliseconds last_pause(50);
/** How long a connection that is there waits for its latch, whatever the timeout. */
constexpr milliseconds established_patience(1000);

/** Sets errno to what it was. */
class KeptErrno
{
public:
	KeptErrno() = default;
	~KeptErrno() { errno = kept_; }
	KeptErrno(const KeptErrno &) = delete;
	KeptErrno &operator=(const KeptErrno &) = delete;
	KeptErrno(KeptErrno &&) = delete;
	KeptErrno &operator=(KeptErrno &&) = delete;

private:
	int kept_ = errno;
};

/** Attributes of a request. */
class Attributes
{
public:
	void add(Tag tag, uint64_t value, unsigned size)
	{
		header(tag, size);
		number(value, size);
	}
	void add(Tag tag, std::span<const uint8_t> octets)
	{
		header(tag, octets.size());
		octets_.insert(octets_.end(), octets.begin(), octets.end());
	}
	void add_destination(const sockaddr *address, socklen_t length);
	[[nodiscard]] std::span<const uint8_t> get() const { return octets_; }

private:
	void header(Tag tag, size_t size)
	{
		number(static_cast<uint64_t>(tag), 2);
		number(size, 2);
	}
	void number(uint64_t value, unsigned size)
	{
		for (unsigned left = size; left > 0; left--)
		{
			octets_.push_back(static_cast<uint8_t>(value >> 8 * (left - 1)));
		}
	}

	std::vector<uint8_t> octets_;
};

void Attributes::add_destination(const sockaddr *address, socklen_t length)
{
	std::span<const uint8_t> octets;
	in_port_t port = 0;
	sockaddr_in in{};
	sockaddr_in6 in6{};
	if (length >= sizeof(in) && address->sa_family == AF_INET)
	{
		std::memcpy(&in, address, sizeof(in));
		octets = {reinterpret_cast<const uint8_t *>(&in.sin_addr), sizeof(in.sin_addr)};
		port = in.sin_port;
	}
	else if (length >= offsetof(sockaddr_in6, sin6_scope_id) && address->sa_family == AF_INET6)
	{
		// the kernel does without the scope
		std::memcpy(&in6, address, std::min<size_t>(length, sizeof(in6)));
		octets = in6.sin6_addr.s6_addr;
		octets = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) ? octets.subspan(12) : octets;
		port = in6.sin6_port;
	}
	else
	{
		throw Error{BTNS_EINVAL};
	}
	header(Tag::destination, 2 + octets.size());
	number(ntohs(port), 2);
	octets_.insert(octets_.end(), octets.begin(), octets.end());
}

Attributes wants(const btns_latch_options_t &options)
{
	Attributes out;
	out.add(Tag::want_flags, (options.confidentiality != 0 ? 1U : 0U) | (options.narrow != 0 ? 2U : 0U), 1);
	out.add(Tag::want_auth, options.auth, 1);
	out.add(Tag::want_disposition, options.disposition, 1);
	out.add(Tag::want_mode, options.mode, 1);
	if (options.has_peer_key != 0)
	{
		out.add(Tag::want_peer_key, options.peer_key);
	}
	out.add(Tag::want_timeout, options.timeout, 4);
	return out;
}

bool is_connected(int fd)
{
	sockaddr_storage peer{};
	socklen_t length = sizeof(peer);
	return getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &length) == 0;
}

/** SAs for a connection alone can be asked for only once it has a port: have the kernel choose one, if it has none. */
void choose_port(int fd, const sockaddr *address)
{
	sockaddr_storage own{};
	socklen_t length = sizeof(own);
	if (getsockname(fd, reinterpret_cast<sockaddr *>(&own), &length) != 0)
	{
		throw Error{BTNS_ESOCKET};
	}
	// both families have it there
	in_port_t port = 0;
	std::memcpy(&port, reinterpret_cast<const uint8_t *>(&own) + offsetof(sockaddr_in, sin_port), sizeof(port));
	if (port != 0)
	{
		return;
	}
	own = {};
	own.ss_family = address->sa_family;
	length = own.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
	if (bind(fd, reinterpret_cast<const sockaddr *>(&own), length) != 0)
	{
		throw Error{BTNS_ESOCKET};
	}
}

/** A latch that is released again unless it is kept. */
class Attempt
{
public:
	Attempt(Connection &connection, int fd, std::span<const uint8_t> wants, const btns_latch_options_t &options,
			const Calls &calls)
		: connection_(connection), fd_(fd), until_(Clock::now() + milliseconds(options.timeout)), calls_(calls)
	{
		latched_.facts = connection_.latch(fd, wants, latched_.number);
	}
	~Attempt()
	{
		if (!keep_)
		{
			undo();
		}
	}
	Attempt(const Attempt &) = delete;
	Attempt &operator=(const Attempt &) = delete;
	Attempt(Attempt &&) = delete;
	Attempt &operator=(Attempt &&) = delete;

	void on_failure(OnFailure what) { on_failure_ = what; }

	/** Until there are SAs, and connect() may be called. */
	void wait_ready()
	{
		wait([this] { return latched_.facts.ready || is(BTNS_LATCH_ESTABLISHED); }, until_);
	}
	/** Until the connection, which is there, is latched. */
	void wait_established()
	{
		wait([this] { return is(BTNS_LATCH_ESTABLISHED); }, std::max(until_, Clock::now() + established_patience));
	}
	void connect(const sockaddr *address, socklen_t length);
	void require(bool holds)
	{
		if (!holds)
		{
			throw Error{BTNS_ESOCKET};
		}
	}
	[[nodiscard]] bool is(btns_latch_state_t state) const { return latched_.facts.info.state == state; }
	Latched take()
	{
		keep_ = true;
		return std::move(latched_);
	}

private:
	template <typename Done>
	void wait(Done done, Clock::time_point until);
	void check() const;
	void ask();
	void undo() noexcept;

	Connection &connection_;
	int fd_;
	Clock::time_point until_;
	const Calls calls_;
	Latched latched_;
	OnFailure on_failure_ = OnFailure::clear;
	bool connected_ = false;
	bool keep_ = false;
};

/** Throws unless the latch may still come to be established. */
void Attempt::check() const
{
	const btns_latch_info_t &info = latched_.facts.info;
	if (info.state == BTNS_LATCH_LARVAL || info.state == BTNS_LATCH_ESTABLISHED)
	{
		return;
	}
	if (info.state == BTNS_LATCH_LISTENER)
	{
		throw Error{BTNS_ESOCKET};
	}
	throw Error{info.reason == BTNS_LATCH_REASON_NOT_ESTABLISHED ? BTNS_ETIMEOUT : BTNS_ECONFLICT};
}

/** How it is now. Throws what became of it if the daemon has closed it meanwhile. */
void Attempt::ask()
{
	try
	{
		latched_.facts = connection_.latch_connected(latched_.number, fd_);
	}
	catch (const Error &error)
	{
		if (error.code != BTNS_EUNAVAILABLE ||
			connection_.why_closed(latched_.number) != BTNS_LATCH_REASON_NOT_ESTABLISHED)
		{
			throw;
		}
		// before its time it is because there will be none
		throw Error{Clock::now() < until_ ? BTNS_EUNPROTECTED : BTNS_ETIMEOUT};
	}
}

template <typename Done>
void Attempt::wait(Done done, Clock::time_point until)
{
	milliseconds pause = first_pause;
	while (true)
	{
		check();
		if (done())
		{
			return;
		}
		const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
		if (left.count() <= 0)
		{
			throw Error{BTNS_ETIMEOUT};
		}
		calls_.pause(static_cast<int>(std::min(pause, left).count()));
		pause = std::min(2 * pause, last_pause);
		ask();
	}
}

void Attempt::connect(const sockaddr *address, socklen_t length)
{
	if (calls_.connect(fd_, address, length) != 0)
	{
		const int error = errno;
		if (error != EINPROGRESS && error != EINTR)
		{
			throw ConnectError{error};
		}
		latched_.in_progress = error;
	}
	connected_ = true;
	ask();
	if (latched_.in_progress != 0)
	{
		check();
	}
	else
	{
		wait_established();
	}
}

void Attempt::undo() noexcept
{
	if (connected_)
	{
		// before it is let go
		sockaddr nowhere{};
		nowhere.sa_family = AF_UNSPEC;
		(void)calls_.connect(fd_, &nowhere, sizeof(nowhere));
	}
	try
	{
		connection_.latch_release(latched_.number, on_failure_ == OnFailure::clear ? fd_ : -1);
	}
	catch (const std::exception &)
	{}
	catch (const Error &)
	{
		// the daemon is gone: the kernel's policy stays until the socket is closed
	}
	connection_.hear_no_more(latched_.number);
}

} // namespace

btns_latch_options_t checked_options(const btns_latch_options_t *options)
{
	btns_latch_options_t out = BTNS_LATCH_OPTIONS_INIT;
	if (options == nullptr)
	{
		return out;
	}
	if (options->size < sizeof(out))
	{
		throw Error{BTNS_EINVAL};
	}
	// what only the caller knows must not be asked for: it would not be done
	const auto *more = reinterpret_cast<const uint8_t *>(options) + sizeof(out);
	if (std::any_of(more, more + (options->size - sizeof(out)), [](uint8_t octet) { return octet != 0; }))
	{
		throw Error{BTNS_ENOTSUP};
	}
	std::memcpy(&out, options, sizeof(out));
	// as the number that a C program may have stored, which need not be one of the enumerators
	const auto is_one_of = [](const auto &field, int last)
	{
		int value = 0;
		static_assert(sizeof(field) == sizeof(value));
		std::memcpy(&value, &field, sizeof(value));
		return value >= 0 && value <= last;
	};
	if (!is_one_of(out.confidentiality, 1) || !is_one_of(out.narrow, 1) || !is_one_of(out.has_peer_key, 1) ||
		!is_one_of(out.auth, BTNS_LATCH_AUTHENTICATED) || !is_one_of(out.disposition, BTNS_LATCH_WAIT) ||
		!is_one_of(out.mode, BTNS_MODE_BEET) || out.timeout > wire::timeout_max)
	{
		throw Error{BTNS_EINVAL};
	}
	return out;
}

Latched latch_connect(Connection &connection, int fd, const sockaddr *address, socklen_t length,
					  const btns_latch_options_t &options, const Calls &calls)
{
	const KeptErrno kept;
	Attributes attributes = wants(options);
	attributes.add_destination(address, length);
	if (is_connected(fd))
	{
		throw Error{BTNS_ESOCKET};
	}
	if (options.narrow != 0)
	{
		choose_port(fd, address);
	}
	Attempt attempt(connection, fd, attributes.get(), options, calls);
	attempt.wait_ready();
	attempt.connect(address, length);
	return attempt.take();
}

Latched latch_listen(Connection &connection, int fd, const btns_latch_options_t &options)
{
	const KeptErrno kept;
	if (is_connected(fd))
	{
		throw Error{BTNS_ESOCKET};
	}
	Attempt attempt(connection, fd, wants(options).get(), options, {});
	attempt.require(attempt.is(BTNS_LATCH_LISTENER));
	return attempt.take();
}

Latched latch_accepted(Connection &connection, int fd, const btns_latch_options_t &options, OnFailure on_failure,
					   const Calls &calls)
{
	const KeptErrno kept;
	if (!is_connected(fd))
	{
		throw Error{BTNS_ESOCKET};
	}
	Attempt attempt(connection, fd, wants(options).get(), options, calls);
	attempt.on_failure(on_failure);
	attempt.wait_established();
	return attempt.take();
}

} // namespace btns::client
