/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_shared.h
 * What the threads of the application socket have in common.
 */
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app_counters.h"
#include "app_flow.h"
#include "channel.h"
#include "descriptor.h"
#include "latch_service.h"

namespace btns
{

/** Bounds of the application socket. Times in milliseconds. */
struct AppLimits
{
	unsigned clients = 512;
	unsigned clients_per_user = 128;
	unsigned watches = 8192;
	unsigned watches_per_user = 2048;
	unsigned watches_per_client = 1024;
	unsigned latches = 16384;
	unsigned latches_per_user = 12288;
	unsigned latches_per_client = 4096;
	/** per second, and as many at once; those beyond wait */
	unsigned requests_per_client = 5000;
	unsigned requests_per_user = 10000;
	unsigned connections = 2000;
	/** after which who does not read is dropped */
	int64_t unread = 10000;
	/** between two looks whether something changed for those who watch */
	int64_t look_interval = 200;
	/** watches that are looked at before clients are served again, and the pause after that */
	unsigned looks = 64;
	int64_t look_pause = 5;
	/** between two looks whether there are alerts, while there are latches; and alerts that are told before clients are
	 * served again */
	int64_t alert_interval = 20;
	unsigned alerts = 256;
	/** how long accepting rests when there are no descriptors */
	int64_t no_descriptors_pause = 1000;
	/** how often somebody sees whether the thread that serves is stuck, and how often it has to be */
	int64_t check_interval = 250;
	unsigned checks = 8;
	/** threads that are stuck before nobody is served */
	unsigned stuck = 4;
	/** log lines per second */
	unsigned lines = 5;
};

/** What is to be logged: written by threads that must not, read by one that may. Thread-safe. */
class AppLines
{
public:
	explicit AppLines(unsigned per_second) : per_second_(per_second) {}

	/** Lines beyond the rate are only counted, and so are those that nobody has read. */
	void add(std::initializer_list<std::string_view> parts) noexcept;
	/** The next line, as soon as there is one; nothing after end(), when all are read. */
	std::optional<std::string> wait();
	void end();

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	std::deque<std::string> lines_;
	unsigned per_second_;
	/** seconds of a monotonic clock */
	int64_t second_ = 0;
	unsigned in_second_ = 0;
	uint64_t left_out_ = 0;
	bool ended_ = false;
};

/** Users who wait because a thread is stuck with something of theirs. Thread-safe. */
class AppBarred
{
public:
	/** FALSE if memory ran out */
	bool add(uid_t user) noexcept;
	void remove(uid_t user);
	[[nodiscard]] bool has(uid_t user) const;

private:
	mutable std::mutex mutex_;
	std::multiset<uid_t> users_;
};

/** The ChannelSource, as long as there is one. A thread that was stuck may come back later than that. Thread-safe. */
class AppSource
{
public:
	explicit AppSource(const ChannelSource &source) : source_(&source) {}

	/** Nothing once it is gone. Throws what the source throws. */
	std::optional<ChannelAnswer> find(const Flow &flow);
	std::optional<uint64_t> generation();
	void remove();

private:
	std::mutex mutex_;
	const ChannelSource *source_;
};

/**
 * The LatchService, as long as there is one. A call into it may never return, so nobody waits for those that are under
 * way: it lives until the last one has come back. Thread-safe.
 */
class AppLatches
{
public:
	[[nodiscard]] std::shared_ptr<LatchService> get() const
	{
		const std::lock_guard lock(mutex_);
		return service_;
	}
	void set(std::shared_ptr<LatchService> service)
	{
		{
			const std::lock_guard lock(mutex_);
			service_.swap(service);
		}
		// if it ends, then not under the lock
	}

private:
	mutable std::mutex mutex_;
	std::shared_ptr<LatchService> service_;
};

/** A client, for whoever has to do with it after its thread is stuck. */
struct AppClientName
{
	uid_t user = 0;
	LatchOwner owner = 0;
};

/** Outlives every thread that has it. */
struct AppShared
{
	AppShared(const ChannelSource &channels, std::shared_ptr<AppCounters> counted, const AppLimits &bounds)
		: limits(bounds), source(channels), lines(bounds.lines), counters(std::move(counted))
	{}

	const AppLimits limits;
	AppSource source;
	AppLatches latches;
	AppLines lines;
	AppBarred barred;
	const std::shared_ptr<AppCounters> counters;
	/** listens; of the server */
	int listener = -1;
	NetworkNamespace own;
	/** for whoever waits for a thread to come or to end */
	std::mutex mutex;
	std::condition_variable changed;
	/** clients that have gone with a stuck thread, whose latches nobody has closed yet; for mutex */
	std::vector<AppClientName> orphans;
	/** never the same */
	std::atomic<LatchOwner> next_owner = 1;
};

/** Milliseconds of a monotonic clock. */
int64_t app_now();

} // namespace btns
