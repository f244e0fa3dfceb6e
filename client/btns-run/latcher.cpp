/* SPDX-License-Identifier: MIT */
#include "latcher.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <utility>

namespace btnsrun
{

namespace
{

using btns::client::Calls;
using btns::client::Clock;
using btns::client::ConnectError;
using btns::client::Connection;
using btns::client::Error;
using btns::client::Latched;
using btns::client::LatchFacts;
using btns::client::OnFailure;

/** Descriptors of the library have numbers that programs do not get to, nor select(). */
constexpr rlim_t numbers = 1024;
constexpr rlim_t numbers_at_the_end = 24;
/** Lines per second; those beyond are left out. */
constexpr unsigned lines_max = 20;
/** Listeners that are remembered. */
constexpr size_t listeners_max = 4096;

/** The C library's connect(), for a function without a context. */
int (*libc_connect)(int, const sockaddr *, socklen_t) = nullptr;

/** As long as it lives this thread gets no signals and is not cancelled: a handler may use sockets, too. */
class Quiet
{
public:
	Quiet()
	{
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &signals_);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_);
		before_ = std::exchange(now, this);
	}
	~Quiet()
	{
		now = before_;
		pthread_setcancelstate(cancel_, nullptr);
		pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
	}
	Quiet(const Quiet &) = delete;
	Quiet &operator=(const Quiet &) = delete;
	Quiet(Quiet &&) = delete;
	Quiet &operator=(Quiet &&) = delete;

	static thread_local Quiet *now;

private:
	friend class Loud;

	sigset_t signals_{};
	int cancel_ = PTHREAD_CANCEL_ENABLE;
	Quiet *before_ = nullptr;
};

thread_local Quiet *Quiet::now = nullptr;

/** And as long as this one lives, meanwhile, it does. */
class Loud
{
public:
	Loud()
	{
		pthread_setcancelstate(quiet_->cancel_, nullptr);
		pthread_sigmask(SIG_SETMASK, &quiet_->signals_, nullptr);
	}
	~Loud()
	{
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, nullptr);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
		Quiet::now = quiet_;
	}
	Loud(const Loud &) = delete;
	Loud &operator=(const Loud &) = delete;
	Loud(Loud &&) = delete;
	Loud &operator=(Loud &&) = delete;

private:
	Quiet *const quiet_ = std::exchange(Quiet::now, nullptr);
};

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

Calls loud_calls()
{
	Calls calls;
	calls.connect = [](int fd, const sockaddr *address, socklen_t length)
	{
		const Loud loud;
		return libc_connect(fd, address, length);
	};
	calls.pause = [](int milliseconds)
	{
		const Loud loud;
		poll(nullptr, 0, milliseconds);
	};
	return calls;
}

int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

std::optional<End> end_of(int fd, int (*ask)(int, sockaddr *, socklen_t *))
{
	sockaddr_storage storage{};
	socklen_t length = sizeof(storage);
	auto *address = reinterpret_cast<sockaddr *>(&storage);
	return ask(fd, address, &length) == 0 ? to_end(address, length) : std::nullopt;
}

/** Was connect() called on a TCP socket, and has not failed? */
bool is_under_way(int fd)
{
	tcp_info info{};
	socklen_t length = sizeof(info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state != TCP_CLOSE;
}

/** What listen() does if bind() was not called: then the port is known before. */
void bind_anywhere(int fd)
{
	sockaddr_storage anywhere{};
	anywhere.ss_family = static_cast<sa_family_t>(option(fd, SOL_SOCKET, SO_DOMAIN));
	(void)bind(fd, reinterpret_cast<const sockaddr *>(&anywhere),
			   anywhere.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
}

/** What connect() says if there is no latch. */
int to_errno(int error)
{
	switch (error)
	{
	case BTNS_ETIMEOUT:
		return ETIMEDOUT;
	case BTNS_EUNPROTECTED:
	case BTNS_EUNAVAILABLE:
	case BTNS_ECONFLICT:
	case BTNS_EREFUSED:
	case BTNS_EEXIST:
	case BTNS_EKERNEL:
		return ECONNREFUSED;
	case BTNS_ENOMEM:
		return ENOMEM;
	default:
		return EPERM;
	}
}

/** Run something that may throw; BTNS_OK if it does not. ConnectError goes on, and so does a thread's cancellation. */
template <typename Body>
int error_of(Body &&body)
{
	try
	{
		body();
		return BTNS_OK;
	}
	catch (const Error &error)
	{
		return error.code;
	}
	catch (const std::exception &)
	{
		return BTNS_ENOMEM;
	}
}

} // namespace

bool is_inside()
{
	return Quiet::now != nullptr;
}

Latcher::Latcher(Options options, const Libc &libc)
	: options_(std::move(options)), exceptions_(parse_exceptions(options_.except).value_or(std::vector<Exception>{})),
	  libc_(libc)
{
	libc_connect = libc.connect;
	struct stat info
	{};
	if (fstat(STDERR_FILENO, &info) == 0)
	{
		error_device_ = info.st_dev;
		error_inode_ = info.st_ino;
	}
}

Latcher::What Latcher::what_is(int fd) const
{
	if (is_inside())
	{
		return What::leave;
	}
	const KeptErrno kept;
	const int domain = option(fd, SOL_SOCKET, SO_DOMAIN);
	if (domain != AF_INET && domain != AF_INET6)
	{
		return What::leave;
	}
	switch (option(fd, SOL_SOCKET, SO_PROTOCOL))
	{
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return option(fd, SOL_SOCKET, SO_TYPE) == SOCK_RAW ? What::leave : What::latch;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return What::leave;
	default:
		return option(fd, SOL_SOCKET, SO_TYPE) == SOCK_RAW ? What::leave : What::not_possible;
	}
}

bool Latcher::is_excepted(const End &end, int protocol) const
{
	return (!options_.loopback && end.is_loopback()) ||
		   std::ranges::any_of(exceptions_,
							   [&](const Exception &exception) { return exception.covers(end, protocol); });
}

int Latcher::connect(int fd, const sockaddr *address, socklen_t length)
{
	const What what = what_is(fd);
	if (what == What::leave)
	{
		return libc_.connect(fd, address, length);
	}
	const int protocol = option(fd, SOL_SOCKET, SO_PROTOCOL);
	const auto peer = to_end(address, length);
	// what is under way was latched when it began, and what is wrong is said by the kernel
	const bool dissolves = address != nullptr && length >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC;
	if ((!peer && !dissolves) || (!dissolves && protocol == IPPROTO_TCP && is_under_way(fd)))
	{
		return libc_.connect(fd, address, length);
	}
	release_old(fd, protocol);
	if (!peer || is_excepted(*peer, protocol) || (!options_.loopback && peer->is_any()))
	{
		return libc_.connect(fd, address, length);
	}
	if (what == What::not_possible)
	{
		if (say("connection to " + to_text(*peer), BTNS_ESOCKET))
		{
			return libc_.connect(fd, address, length);
		}
		errno = EPERM;
		return -1;
	}
	return connect_latched(fd, address, length, *peer);
}

int Latcher::connect_latched(int fd, const sockaddr *address, socklen_t length, const End &peer)
{
	const int before = errno;
	int in_progress = 0;
	int failed = 0;
	const int error = error_of(
		[&]
		{
			try
			{
				ask(
					[&](Connection &daemon)
					{
						const Latched latched =
							latch_connect(daemon, fd, address, length, options_.latch, loud_calls());
						daemon.hear_no_more(latched.number);
						in_progress = latched.in_progress;
					});
			}
			catch (const ConnectError &no)
			{
				failed = no.error;
			}
		});
	if (error == BTNS_OK)
	{
		has_latched_ = true;
		const int says = failed != 0 ? failed : in_progress;
		errno = says != 0 ? says : before;
		return says != 0 ? -1 : 0;
	}
	if (say("connection to " + to_text(peer), error))
	{
		return libc_.connect(fd, address, length);
	}
	errno = to_errno(error);
	return -1;
}

/** A socket that is connected once more has the latch of the other connection no more. */
void Latcher::release_old(int fd, int protocol)
{
	const KeptErrno kept;
	if (!has_latched_)
	{
		return;
	}
	const auto local = end_of(fd, getsockname);
	const bool is_connected = end_of(fd, getpeername).has_value();
	// TCP that failed has its port still
	if (!is_connected && (protocol != IPPROTO_TCP || !local || local->port == 0))
	{
		return;
	}
	release(fd);
	if (is_connected && protocol == IPPROTO_UDP)
	{
		sockaddr nowhere{};
		nowhere.sa_family = AF_UNSPEC;
		(void)libc_.connect(fd, &nowhere, sizeof(nowhere));
	}
}

void Latcher::release(int fd)
{
	(void)error_of(
		[&]
		{
			ask(
				[fd](Connection &daemon)
				{
					const LatchFacts found = daemon.latch_find(fd);
					daemon.hear_no_more(found.number);
					daemon.latch_release(found.number, fd);
				});
		});
}

int Latcher::listen(int fd, int backlog)
{
	const bool is_listening = option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
	What what = what_is(fd);
	if (what != What::leave && option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM)
	{
		const KeptErrno kept;
		if (const auto local = end_of(fd, getsockname); local && local->port == 0)
		{
			bind_anywhere(fd);
		}
		what = what_to_accept(fd);
	}
	// connections would not come about that may go on
	if (what == What::leave || options_.report)
	{
		return libc_.listen(fd, backlog);
	}
	if (what == What::not_possible || !latch_listener(fd, is_listening))
	{
		errno = EPERM;
		return -1;
	}
	const int result = libc_.listen(fd, backlog);
	if (result != 0 && !is_listening)
	{
		const KeptErrno kept;
		{
			const Quiet quiet;
			const std::lock_guard lock(mutex_);
			listeners_.erase(cookie_of(fd));
		}
		release(fd);
	}
	return result;
}

/** What is to be done with what comes from a listener. */
Latcher::What Latcher::what_to_accept(int fd) const
{
	const What what = what_is(fd);
	if (what == What::leave)
	{
		return what;
	}
	const KeptErrno kept;
	const int protocol = option(fd, SOL_SOCKET, SO_PROTOCOL);
	const auto local = end_of(fd, getsockname);
	return protocol == IPPROTO_UDP || (local && is_excepted(*local, protocol)) ? What::leave : what;
}

/** Unless that was done already. FALSE if it is not possible. */
bool Latcher::latch_listener(int fd, bool is_listening)
{
	const KeptErrno kept;
	const uint64_t cookie = cookie_of(fd);
	{
		const Quiet quiet;
		const std::lock_guard lock(mutex_);
		if (listeners_.contains(cookie))
		{
			return true;
		}
	}
	const int error = error_of(
		[&]
		{
			ask(
				[&](Connection &daemon)
				{
					const Latched latched = btns::client::latch_listen(daemon, fd, options_.latch);
					daemon.hear_no_more(latched.number);
				});
		});
	// who has made it listen has latched it
	if (error != BTNS_OK && !(is_listening && error == BTNS_EEXIST))
	{
		const auto local = end_of(fd, getsockname);
		say("listening on " + (local ? to_text(*local) : "a socket"), error);
		return false;
	}
	has_latched_ = true;
	return error_of(
			   [&]
			   {
				   const Quiet quiet;
				   const std::lock_guard lock(mutex_);
				   listeners_.insert(cookie);
				   if (listeners_.size() > listeners_max)
				   {
					   // the oldest: if it is still there it is asked about once more
					   listeners_.erase(listeners_.begin());
				   }
			   }) == BTNS_OK;
}

int Latcher::accept(int fd, sockaddr *address, socklen_t *length, int flags)
{
	const What what = what_to_accept(fd);
	if (what == What::leave)
	{
		return libc_.accept4(fd, address, length, flags);
	}
	if (!options_.report && (what == What::not_possible || !latch_listener(fd, true)))
	{
		errno = EPERM;
		return -1;
	}
	const socklen_t room = length != nullptr ? *length : 0;
	while (true)
	{
		if (length != nullptr)
		{
			*length = room;
		}
		const int made = libc_.accept4(fd, address, length, flags);
		if (made < 0 || latch_accepted(made))
		{
			return made;
		}
		const linger reset{1, 0};
		setsockopt(made, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		libc_.close(made);
	}
}

/** FALSE if the connection has to go. */
bool Latcher::latch_accepted(int fd)
{
	const KeptErrno kept;
	const auto peer = end_of(fd, getpeername);
	if (!peer)
	{
		// it has gone already
		return options_.report;
	}
	if (!options_.loopback && peer->is_loopback())
	{
		return true;
	}
	btns_latch_options_t wants = options_.latch;
	if (options_.report)
	{
		// a latch that waits in vain for SAs would end with its connection
		wants.timeout = 0;
	}
	const int error = error_of(
		[&]
		{
			ask(
				[&](Connection &daemon)
				{
					if (options_.report && daemon.find(fd).info.protection != BTNS_PROTECTED)
					{
						throw Error{BTNS_EUNPROTECTED};
					}
					const Latched latched = btns::client::latch_accepted(
						daemon, fd, wants, options_.report ? OnFailure::clear : OnFailure::keep, loud_calls());
					daemon.hear_no_more(latched.number);
				});
		});
	if (error == BTNS_OK)
	{
		has_latched_ = true;
		return true;
	}
	return say("connection from " + to_text(*peer), error);
}

bool Latcher::refuses_early_data(int fd, const sockaddr *address, socklen_t length)
{
	if (what_is(fd) == What::leave || option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP)
	{
		return false;
	}
	const auto peer = to_end(address, length);
	return (!peer || !is_excepted(*peer, IPPROTO_TCP)) && !say("data before the connection is there", BTNS_ENOTSUP);
}

void Latcher::before_fork()
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	// a handler that connects would wait for this thread
	pthread_sigmask(SIG_SETMASK, &all, &before);
	mutex_.lock();
	signals_ = before;
}

void Latcher::after_fork()
{
	const sigset_t before = signals_;
	mutex_.unlock();
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/** Ask the daemon something; once more if the connection to it was lost. */
void Latcher::ask(const std::function<void(Connection &)> &body)
{
	const Quiet quiet;
	Daemon connection = daemon();
	try
	{
		body(*connection);
		return;
	}
	catch (const Error &error)
	{
		if (error.code != BTNS_EDAEMON)
		{
			throw;
		}
	}
	forget(connection);
	connection = daemon();
	body(*connection);
}

/** The connection of this process. */
Latcher::Daemon Latcher::daemon()
{
	const std::lock_guard lock(mutex_);
	if (daemon_ && pid_ != getpid())
	{
		// the parent's: it stays open here, too, for what the parent has latched may be in use here when that has ended
		static_cast<void>(new Daemon(std::move(daemon_)));
		daemon_.reset();
	}
	if (daemon_ && !is_mine(*daemon_))
	{
		daemon_->abandon();
		daemon_.reset();
	}
	if (daemon_)
	{
		return daemon_;
	}
	own_ = -1;
	rlimit limit{};
	const bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0;
	const rlim_t end = known ? std::min(limit.rlim_cur, numbers) : numbers;
	const int from = end > 2 * numbers_at_the_end ? static_cast<int>(end - numbers_at_the_end) : 0;
	auto made = std::make_shared<Connection>(options_.socket.c_str(), from);
	struct stat info
	{};
	if (fstat(made->descriptor(), &info) != 0)
	{
		throw Error{BTNS_EDAEMON};
	}
	daemon_ = std::move(made);
	pid_ = getpid();
	device_ = info.st_dev;
	inode_ = info.st_ino;
	own_ = daemon_->descriptor();
	return daemon_;
}

/** A program may have closed all its descriptors, and opened others. */
bool Latcher::is_mine(const Connection &connection) const
{
	struct stat info
	{};
	return fstat(connection.descriptor(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

void Latcher::forget(const Daemon &failed)
{
	const std::lock_guard lock(mutex_);
	if (daemon_ == failed)
	{
		own_ = -1;
		daemon_.reset();
	}
}

bool Latcher::say(const std::string &what, int error)
{
	const KeptErrno kept;
	const Quiet quiet;
	const std::lock_guard lock(mutex_);
	const auto second = static_cast<int64_t>(time(nullptr));
	in_second_ = second == second_ ? in_second_ + 1 : 1;
	second_ = second;
	if (in_second_ <= lines_max)
	{
		write_line(std::string("btns-run: ") + program_invocation_short_name + "[" + std::to_string(getpid()) +
				   "]: " + what + (options_.report ? " has no latch: " : " refused: ") + btns_strerror(error) +
				   (in_second_ == lines_max ? "; more in this second are left out\n" : "\n"));
	}
	return options_.report;
}

void Latcher::write_line(const std::string &line) const
{
	if (!options_.log.empty())
	{
		const btns::client::Descriptor file(
			open(options_.log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
		(void)!write(file.get(), line.data(), line.size());
		return;
	}
	struct stat info
	{};
	if (fstat(STDERR_FILENO, &info) == 0 && info.st_dev == error_device_ && info.st_ino == error_inode_)
	{
		(void)!write(STDERR_FILENO, line.data(), line.size());
	}
}

} // namespace btnsrun
