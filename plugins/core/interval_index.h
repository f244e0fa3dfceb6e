/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file interval_index.h
 * A changing collection of ranges that overlap at will, each with an owner: who holds what.
 */
#pragma once

#include "interval_tree.h"
#include "packed_address.h"

namespace btns
{

/** One tree for each family. IPv4 addresses take a quarter of the room. */
template <typename Owner>
class IntervalIndex
{
public:
	/** Logarithmic. A range counts once per owner; FALSE if it is there already. Strong exception guarantee. */
	bool insert(const Range &range, const Owner &owner)
	{
		return range.family == 4 ? ipv4_.insert({ShortAddress(range.first), ShortAddress(range.last), owner})
								 : ipv6_.insert({WideAddress(range.first), WideAddress(range.last), owner});
	}

	/** Logarithmic. FALSE if it is not there. */
	bool remove(const Range &range, const Owner &owner)
	{
		return range.family == 4 ? ipv4_.remove({ShortAddress(range.first), ShortAddress(range.last), owner})
								 : ipv6_.remove({WideAddress(range.first), WideAddress(range.last), owner});
	}

	/** Does anybody hold an address of the range? Logarithmic. */
	[[nodiscard]] bool overlaps(const Range &range) const
	{
		bool found = false;
		for_each_overlap(range, [&found](const Range &, const Owner &) { return !(found = true); });
		return found;
	}

	/** Call visitor(range, owner) for each one that overlaps, until it returns FALSE. */
	template <typename Visitor>
	void for_each_overlap(const Range &range, Visitor &&visitor) const
	{
		const auto show = [&](const auto &entry) {
			return visitor(Range{range.family, entry.first.value(), entry.last.value()}, entry.owner);
		};
		if (range.family == 4)
		{
			ipv4_.for_each_overlap(ShortAddress(range.first), ShortAddress(range.last), show);
		}
		else
		{
			ipv6_.for_each_overlap(WideAddress(range.first), WideAddress(range.last), show);
		}
	}

	[[nodiscard]] size_t size() const { return ipv4_.size() + ipv6_.size(); }

private:
	IntervalTree<ShortAddress, Owner> ipv4_;
	IntervalTree<WideAddress, Owner> ipv6_;
};

} // namespace btns
