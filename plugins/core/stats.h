/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file stats.h
 * Counters of what happened, and how much of it is logged.
 */
#pragma once

#include <array>
#include <mutex>

#include "btns/core.h"

namespace btns
{

/** Thread-safe. */
class Stats
{
public:
	struct Totals
	{
		uint64_t accepted = 0;
		uint64_t evicted = 0;
		uint64_t refused = 0;
		std::array<uint64_t, BTNS_REASON_COUNT> refused_by_reason{};
	};

	void accept();
	void evict();
	/**
	 * Count a refusal.
	 *
	 * @param rate	log lines per reason and second
	 * @param now	seconds of a monotonic clock
	 * @return		TRUE if a log line is due
	 */
	bool refuse(btns_reason_t reason, unsigned rate, int64_t now);
	[[nodiscard]] Totals totals() const;

private:
	struct Window
	{
		int64_t second = 0;
		unsigned lines = 0;
	};

	mutable std::mutex mutex_;
	Totals totals_;
	std::array<Window, BTNS_REASON_COUNT> windows_{};
};

} // namespace btns
