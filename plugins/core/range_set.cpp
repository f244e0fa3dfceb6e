/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "range_set.h"

#include <algorithm>

namespace btns
{

namespace
{

/** Can both be written as one range? */
bool touches(const Range &before, const Range &after)
{
	return before.family == after.family && (after.first <= before.last || after.first - 1 == before.last);
}

/** Sort, and join what overlaps or touches. */
void make_disjoint(std::vector<Range> &ranges)
{
	std::ranges::sort(ranges);
	size_t count = 0;
	for (const Range &range : ranges)
	{
		if (count > 0 && touches(ranges[count - 1], range))
		{
			ranges[count - 1].last = std::max(ranges[count - 1].last, range.last);
		}
		else
		{
			ranges[count++] = range;
		}
	}
	ranges.resize(count);
}

} // namespace

template <typename Value>
void RangeSet::Family<Value>::append(const Range &range)
{
	first.push_back(static_cast<Value>(range.first));
	last.push_back(static_cast<Value>(range.last));
}

template <typename Value>
bool RangeSet::Family<Value>::overlaps(Value from, Value to) const
{
	// the last one that begins at or before the end of the range
	const auto after = std::ranges::upper_bound(first, to);
	return after != first.begin() && last[static_cast<size_t>(after - first.begin()) - 1] >= from;
}

RangeSet::RangeSet(std::vector<Range> ranges)
{
	make_disjoint(ranges);
	const auto count4 = static_cast<size_t>(std::ranges::count(ranges, 4U, &Range::family));
	ipv4_.first.reserve(count4);
	ipv4_.last.reserve(count4);
	ipv6_.first.reserve(ranges.size() - count4);
	ipv6_.last.reserve(ranges.size() - count4);
	for (const Range &range : ranges)
	{
		range.family == 4 ? ipv4_.append(range) : ipv6_.append(range);
	}
}

bool RangeSet::overlaps(const Range &range) const
{
	return range.family == 4 ? ipv4_.overlaps(static_cast<uint32_t>(range.first), static_cast<uint32_t>(range.last))
							 : ipv6_.overlaps(range.first, range.last);
}

std::vector<Range> RangeSet::ranges() const
{
	std::vector<Range> all;
	all.reserve(size());
	for (size_t i = 0; i < ipv4_.first.size(); i++)
	{
		all.push_back({4, ipv4_.first[i], ipv4_.last[i]});
	}
	for (size_t i = 0; i < ipv6_.first.size(); i++)
	{
		all.push_back({6, ipv6_.first[i], ipv6_.last[i]});
	}
	return all;
}

} // namespace btns
