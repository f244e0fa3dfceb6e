/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "child_policy.h"

#include <algorithm>

namespace btns
{

namespace
{

btns_reason_t check_side(std::span<const btns_ts_t> selectors)
{
	if (selectors.empty())
	{
		return BTNS_REASON_CHILD_NOT_PREFIX;
	}
	if (selectors.size() > BTNS_TS_MAX)
	{
		return BTNS_REASON_CHILD_TOO_MANY;
	}
	for (const btns_ts_t &ts : selectors)
	{
		const auto range = to_range(ts);
		if (!range || !range->is_prefix())
		{
			return BTNS_REASON_CHILD_NOT_PREFIX;
		}
		if (!is_exact_port_range(ts.from_port, ts.to_port))
		{
			return BTNS_REASON_CHILD_PORTS;
		}
	}
	return BTNS_REASON_NONE;
}

} // namespace

bool is_exact_port_range(uint16_t from, uint16_t to)
{
	const unsigned free_bits = from ^ to;
	// also refuses OPAQUE (RFC 7296 3.13.1), which runs from 65535 to 0
	return from <= to && (free_bits & (free_bits + 1)) == 0 && (from & free_bits) == 0;
}

btns_reason_t check_selectors(std::span<const btns_ts_t> local, std::span<const btns_ts_t> remote)
{
	const btns_reason_t reason = check_side(local);
	return reason != BTNS_REASON_NONE ? reason : check_side(remote);
}

std::vector<Range> address_ranges(std::span<const btns_ts_t> selectors)
{
	std::vector<Range> ranges;
	for (const btns_ts_t &ts : selectors)
	{
		if (const auto range = to_range(ts))
		{
			ranges.push_back(*range);
		}
	}
	std::ranges::sort(ranges);
	const auto duplicates = std::unique(ranges.begin(), ranges.end());
	ranges.erase(duplicates, ranges.end());
	return ranges;
}

bool is_own_host(const Range &range, std::span<const btns_addr_t> hosts)
{
	return range.first == range.last &&
		   std::ranges::any_of(hosts,
							   [&range](const btns_addr_t &host) {
								   return to_address(host) == Address{range.family, range.first};
							   });
}

} // namespace btns
