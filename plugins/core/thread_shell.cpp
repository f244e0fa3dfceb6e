/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "thread_shell.h"

#include <dirent.h>
#include <dlfcn.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace btns
{

namespace
{

/** Descriptors below are standard input, output and error. */
constexpr unsigned first_own = 3;

/** Close all descriptors but the standard ones, as /proc lists them. */
[[maybe_unused]] void close_all()
{
	const std::unique_ptr<DIR, int (*)(DIR *)> folder(opendir("/proc/thread-self/fd"), closedir);
	if (!folder)
	{
		throw std::runtime_error("cannot list descriptors");
	}
	std::vector<int> open;
	while (const dirent *entry = readdir(folder.get())) // NOLINT(concurrency-mt-unsafe): the folder is ours
	{
		const long fd = std::strtol(entry->d_name, nullptr, 10);
		if (fd >= first_own && fd != dirfd(folder.get()))
		{
			open.push_back(static_cast<int>(fd));
		}
	}
	for (const int fd : open)
	{
		close(fd);
	}
}

} // namespace

NoSignals::NoSignals()
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before_);
}

NoSignals::~NoSignals()
{
	pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

NoCancel::NoCancel()
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_);
}

NoCancel::~NoCancel()
{
	pthread_setcancelstate(before_, nullptr);
}

void own_descriptors()
{
#ifndef __SANITIZE_THREAD__
	if (close_range(first_own, ~0U, CLOSE_RANGE_UNSHARE) == 0)
	{
		return;
	}
	if (unshare(CLONE_FILES) != 0)
	{
		throw std::system_error(errno, std::generic_category(), "cannot have descriptors of its own");
	}
	close_all();
#endif
}

void stay_loaded()
{
	Dl_info info{};
	if (dladdr(reinterpret_cast<const void *>(&stay_loaded), &info) != 0 && info.dli_fname != nullptr)
	{
		// the handle is never closed
		(void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
	}
}

} // namespace btns
