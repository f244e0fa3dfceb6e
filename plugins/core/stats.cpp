/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "stats.h"

namespace btns
{

using Lock = std::lock_guard<std::mutex>;

void Stats::accept()
{
	const Lock lock(mutex_);
	totals_.accepted++;
}

void Stats::evict()
{
	const Lock lock(mutex_);
	totals_.evicted++;
}

bool Stats::refuse(btns_reason_t reason, unsigned rate, int64_t now)
{
	const auto given = static_cast<size_t>(reason);
	const size_t index = given < BTNS_REASON_COUNT ? given : size_t{BTNS_REASON_INTERNAL};
	const Lock lock(mutex_);
	totals_.refused++;
	totals_.refused_by_reason.at(index)++;
	Window &window = windows_.at(index);
	if (window.second != now)
	{
		window = {now, 0};
	}
	if (window.lines >= rate)
	{
		return false;
	}
	window.lines++;
	return true;
}

Stats::Totals Stats::totals() const
{
	const Lock lock(mutex_);
	return totals_;
}

} // namespace btns
