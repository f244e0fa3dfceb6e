/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file thread_shell.h
 * What threads need that work inside of a daemon, and may be left behind in it.
 */
#pragma once

#include <csignal>

namespace btns
{

/** All signals are blocked as long as it lives, and in threads that begin meanwhile. */
class NoSignals
{
public:
	NoSignals();
	~NoSignals();
	NoSignals(const NoSignals &) = delete;
	NoSignals &operator=(const NoSignals &) = delete;
	NoSignals(NoSignals &&) = delete;
	NoSignals &operator=(NoSignals &&) = delete;

private:
	sigset_t before_{};
};

/** The thread is not cancelled as long as it lives. */
class NoCancel
{
public:
	NoCancel();
	~NoCancel();
	NoCancel(const NoCancel &) = delete;
	NoCancel &operator=(const NoCancel &) = delete;
	NoCancel(NoCancel &&) = delete;
	NoCancel &operator=(NoCancel &&) = delete;

private:
	int before_ = 0;
};

/**
 * From here on this thread, and those that it starts, have descriptors of their own: those that it had are closed, but
 * for standard input, output and error. Throws std::system_error or std::runtime_error. Under ThreadSanitizer, which
 * takes a number for the same descriptor in all threads, nothing happens.
 */
void own_descriptors();

/** This code stays where it is until the process ends: a thread that was left behind comes back to it. */
void stay_loaded();

} // namespace btns
