/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file interval_index.h
 * A changing collection of ranges that overlap at will, each with an owner: who holds what.
 */
#pragma once

#include "interval_tree.h"

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
		return range.family == 4 ? ipv4_.insert({Short(range.first), Short(range.last), owner})
								 : ipv6_.insert({Wide(range.first), Wide(range.last), owner});
	}

	/** Logarithmic. FALSE if it is not there. */
	bool remove(const Range &range, const Owner &owner)
	{
		return range.family == 4 ? ipv4_.remove({Short(range.first), Short(range.last), owner})
								 : ipv6_.remove({Wide(range.first), Wide(range.last), owner});
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
			ipv4_.for_each_overlap(Short(range.first), Short(range.last), show);
		}
		else
		{
			ipv6_.for_each_overlap(Wide(range.first), Wide(range.last), show);
		}
	}

	[[nodiscard]] size_t size() const { return ipv4_.size() + ipv6_.size(); }

private:
	/** An IPv4 address. */
	struct Short
	{
		Short() = default;
		explicit Short(AddressValue value) : bits(static_cast<uint32_t>(value)) {}
		[[nodiscard]] AddressValue value() const { return bits; }
		auto operator<=>(const Short &) const = default;

		uint32_t bits = 0;
	};

	/** An IPv6 address in two halves, which need no alignment to 16 octets. */
	struct Wide
	{
		Wide() = default;
		explicit Wide(AddressValue value) : high(static_cast<uint64_t>(value >> 64)), low(static_cast<uint64_t>(value))
		{}
		[[nodiscard]] AddressValue value() const { return AddressValue{high} << 64 | low; }
		auto operator<=>(const Wide &) const = default;

		uint64_t high = 0;
		uint64_t low = 0;
	};

	IntervalTree<Short, Owner> ipv4_;
	IntervalTree<Wide, Owner> ipv6_;
};

} // namespace btns
