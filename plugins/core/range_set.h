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

/**
 * Immutable once built. 8 octets for an IPv4 range, 32 for an IPv6 one: first and last addresses lie in arrays of their
 * own, so that a search touches only the first ones.
 */
class RangeSet
{
public:
	RangeSet() = default;
	/** From ranges in any order, which may overlap. */
	explicit RangeSet(std::vector<Range> ranges);

	/** Does any address of the range belong to the set? Logarithmic. */
	[[nodiscard]] bool overlaps(const Range &range) const;
	/** Number of disjoint ranges. */
	[[nodiscard]] size_t size() const { return ipv4_.first.size() + ipv6_.first.size(); }
	/** Sorted, disjoint, not adjacent: a copy. */
	[[nodiscard]] std::vector<Range> ranges() const;

private:
	template <typename Value>
	struct Family
	{
		std::vector<Value> first;
		std::vector<Value> last;

		void append(const Range &range);
		[[nodiscard]] bool overlaps(Value from, Value to) const;
	};

	Family<uint32_t> ipv4_;
	Family<AddressValue> ipv6_;
};

} // namespace btns
