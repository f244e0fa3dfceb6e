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

} // namespace

RangeSet::RangeSet(std::vector<Range> ranges)
{
	std::ranges::sort(ranges);
	for (const Range &range : ranges)
	{
		if (!ranges_.empty() && touches(ranges_.back(), range))
		{
			ranges_.back().last = std::max(ranges_.back().last, range.last);
		}
		else
		{
			ranges_.push_back(range);
		}
	}
}

bool RangeSet::overlaps(const Range &range) const
{
	// the last one that begins at or before the end of the range
	const auto after = std::ranges::upper_bound(ranges_, Address{range.family, range.last}, {},
												[](const Range &r) {
													return Address{r.family, r.first};
												});
	return after != ranges_.begin() && std::prev(after)->overlaps(range);
}

} // namespace btns
