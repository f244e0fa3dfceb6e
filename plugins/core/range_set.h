/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file range_set.h
 * A fixed set of addresses: sorted, disjoint ranges.
 */
#pragma once

#include <vector>

#include "address.h"

namespace btns
{

/** Immutable once built. */
class RangeSet
{
public:
	RangeSet() = default;
	/** From ranges in any order, which may overlap. */
	explicit RangeSet(std::vector<Range> ranges);

	/** Does any address of the range belong to the set? Logarithmic. */
	[[nodiscard]] bool overlaps(const Range &range) const;
	/** Number of disjoint ranges. */
	[[nodiscard]] size_t size() const { return ranges_.size(); }
	/** Sorted, disjoint, not adjacent. */
	[[nodiscard]] const std::vector<Range> &ranges() const { return ranges_; }

private:
	std::vector<Range> ranges_;
};

} // namespace btns
