/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_changes.h
 * What happens to latches, for somebody who watches.
 */
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "latch.h"

namespace btns
{

/** A latch has come into a state; CLOSED is its last one. */
struct LatchChange : LatchStatus
{
	/** changes before this one that were dropped, because nobody took them */
	uint64_t lost = 0;
};

/**
 * The changes that nobody has taken yet, the latest ones if they are too many. Nothing is kept as long as nobody
 * watches. Thread-safe.
 */
class LatchChanges
{
public:
	explicit LatchChanges(size_t most = 1024) : most_(most) {}

	/** Keep changes from now on. Throws std::bad_alloc. */
	void watch();
	/** Keep none; wait() returns. */
	void stop() noexcept;
	void push(const LatchChange &change) noexcept;
	/** The next one, as soon as there is one; nothing once it was stopped. To be called by one thread. */
	std::optional<LatchChange> wait();

private:
	const size_t most_;
	std::mutex mutex_;
	std::condition_variable come_;
	/** empty while nobody watches */
	std::vector<LatchChange> ring_;
	size_t first_ = 0;
	size_t count_ = 0;
	uint64_t lost_ = 0;
};

} // namespace btns
