/* SPDX-License-Identifier: MIT */
/* The library that btns-run has programs load: the C library's functions that make connections, with latches. */
#include <dlfcn.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "latcher.h"
#include "options.h"

#define BTNS_RUN_WRAPS __attribute__((visibility("default")))

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

namespace
{

using btnsrun::is_inside;
using btnsrun::Latcher;
using btnsrun::Libc;

/** Exit status of btns-run if it cannot do what it should. */
constexpr int cannot = 125;

template <typename Function>
Function next(const char *name)
{
	return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

/** The C library's, looked up once each. */
struct Next
{
	Libc libc{next<int (*)(int, const sockaddr *, socklen_t)>("connect"), next<int (*)(int, int)>("listen"),
			  next<int (*)(int, sockaddr *, socklen_t *, int)>("accept4"), next<int (*)(int)>("close")};
	ssize_t (*sendto)(int, const void *, size_t, int, const sockaddr *, socklen_t) = next<decltype(sendto)>("sendto");
	ssize_t (*sendmsg)(int, const msghdr *, int) = next<decltype(sendmsg)>("sendmsg");
	int (*sendmmsg)(int, mmsghdr *, unsigned, int) = next<decltype(sendmmsg)>("sendmmsg");
	int (*setsockopt)(int, int, int, const void *, socklen_t) = next<decltype(setsockopt)>("setsockopt");
	int (*dup2)(int, int) = next<decltype(dup2)>("dup2");
	int (*dup3)(int, int, int) = next<decltype(dup3)>("dup3");
};

const Next &libc()
{
	static const Next found;
	return found;
}

[[noreturn]] void give_up(const char *what)
{
	constexpr char begin[] = "btns-run: "; // NOLINT(*-avoid-c-arrays)
	(void)!write(STDERR_FILENO, begin, sizeof(begin) - 1);
	(void)!write(STDERR_FILENO, what, std::char_traits<char>::length(what));
	(void)!write(STDERR_FILENO, "\n", 1);
	_exit(cannot);
}

Latcher *make_latcher()
{
	const char *const text = getenv(btnsrun::variable); // NOLINT(concurrency-mt-unsafe)
	auto options = btnsrun::decode(text != nullptr ? text : "");
	if (!options)
	{
		// nothing is latched by chance
		give_up("the variable BTNS_RUN is not there, or none of this version");
	}
	auto *const made = new (std::nothrow) Latcher(std::move(*options), libc().libc);
	if (made == nullptr)
	{
		give_up("no memory");
	}
	return made;
}

/** Never ends: programs connect in their last functions, too. */
Latcher &latcher()
{
	static Latcher *const made = make_latcher();
	return *made;
}

/** Before the program begins, so that what is wrong is said at once. */
__attribute__((constructor)) void begin()
{
	latcher();
	pthread_atfork([] { latcher().before_fork(); }, [] { latcher().after_fork(); }, [] { latcher().after_fork(); });
}

/** Is it the library's, and this is not the library? */
bool is_hidden(int fd)
{
	return fd >= 0 && !is_inside() && latcher().own_descriptor() == fd;
}

} // namespace

extern "C" {

BTNS_RUN_WRAPS int connect(int fd, const sockaddr *address, socklen_t length)
{
	return latcher().connect(fd, address, length);
}

BTNS_RUN_WRAPS int listen(int fd, int backlog) noexcept
{
	return latcher().listen(fd, backlog);
}

BTNS_RUN_WRAPS int accept(int fd, sockaddr *address, socklen_t *length)
{
	return latcher().accept(fd, address, length, 0);
}

BTNS_RUN_WRAPS int accept4(int fd, sockaddr *address, socklen_t *length, int flags)
{
	return latcher().accept(fd, address, length, flags);
}

BTNS_RUN_WRAPS ssize_t sendto(int fd, const void *data, size_t size, int flags, const sockaddr *address,
							  socklen_t length)
{
	if ((flags & MSG_FASTOPEN) != 0 && latcher().refuses_early_data(fd, address, length))
	{
		errno = EOPNOTSUPP;
		return -1;
	}
	return libc().sendto(fd, data, size, flags, address, length);
}

BTNS_RUN_WRAPS ssize_t sendmsg(int fd, const msghdr *message, int flags)
{
	if ((flags & MSG_FASTOPEN) != 0 && message != nullptr &&
		latcher().refuses_early_data(fd, static_cast<const sockaddr *>(message->msg_name), message->msg_namelen))
	{
		errno = EOPNOTSUPP;
		return -1;
	}
	return libc().sendmsg(fd, message, flags);
}

BTNS_RUN_WRAPS int sendmmsg(int fd, mmsghdr *messages, unsigned count, int flags)
{
	if ((flags & MSG_FASTOPEN) != 0 && latcher().refuses_early_data(fd, nullptr, 0))
	{
		errno = EOPNOTSUPP;
		return -1;
	}
	return libc().sendmmsg(fd, messages, count, flags);
}

BTNS_RUN_WRAPS int setsockopt(int fd, int level, int name, const void *value, socklen_t length) noexcept
{
	if (level == IPPROTO_TCP && name == TCP_FASTOPEN_CONNECT && latcher().refuses_early_data(fd, nullptr, 0))
	{
		errno = EOPNOTSUPP;
		return -1;
	}
	return libc().setsockopt(fd, level, name, value, length);
}

/* Who closes all descriptors closes none of the library's: with the connection to the daemon go the latches. */

BTNS_RUN_WRAPS int close(int fd)
{
	if (is_hidden(fd))
	{
		errno = EBADF;
		return -1;
	}
	return libc().libc.close(fd);
}

BTNS_RUN_WRAPS int close_range(unsigned first, unsigned last, int flags) noexcept
{
	const int own = is_inside() ? -1 : latcher().own_descriptor();
	const auto call = [flags](unsigned from, unsigned to)
	{ return static_cast<int>(syscall(SYS_close_range, from, to, flags)); };
	if (own < 0 || (flags & CLOSE_RANGE_CLOEXEC) != 0 || first > last || static_cast<unsigned>(own) < first ||
		static_cast<unsigned>(own) > last)
	{
		return call(first, last);
	}
	const auto middle = static_cast<unsigned>(own);
	const int below = middle > first ? call(first, middle - 1) : 0;
	const int above = middle < last ? call(middle + 1, last) : 0;
	return below != 0 ? below : above;
}

BTNS_RUN_WRAPS void closefrom(int first) noexcept
{
	(void)close_range(static_cast<unsigned>(std::max(first, 0)), ~0U, 0);
}

BTNS_RUN_WRAPS int dup2(int from, int to) noexcept
{
	if (is_hidden(from) || is_hidden(to))
	{
		errno = EBADF;
		return -1;
	}
	return libc().dup2(from, to);
}

BTNS_RUN_WRAPS int dup3(int from, int to, int flags) noexcept
{
	if (is_hidden(from) || is_hidden(to))
	{
		errno = EBADF;
		return -1;
	}
	return libc().dup3(from, to, flags);
}
}
