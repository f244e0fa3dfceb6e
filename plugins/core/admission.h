/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file admission.h
 * Caps: how many there are of something, in total and from one source.
 */
#pragma once

#include <map>
#include <optional>

#include "address.h"

namespace btns
{

/** What counts as one source: an IPv4 address, an IPv6 /64. */
inline Address source_of(const Address &address)
{
	return {address.family, prefix_of(address, address.family == 4 ? 32 : 64).first};
}

struct Caps
{
	unsigned max;
	unsigned max_per_source;
	/** why not, if there are that many */
	btns_reason_t too_many;
	btns_reason_t too_many_of_source;
};

/** Counts places that are taken. */
class Admission
{
public:
	/** NONE, or the cap that is reached. */
	[[nodiscard]] btns_reason_t check(const Address &address, const Caps &caps) const
	{
		if (total_ >= caps.max)
		{
			return caps.too_many;
		}
		const auto found = by_source_.find(source_of(address));
		const unsigned there = found == by_source_.end() ? 0 : found->second;
		return there >= caps.max_per_source ? caps.too_many_of_source : BTNS_REASON_NONE;
	}

	/** A place for a peer from this address. */
	void take(const Address &address)
	{
		by_source_[source_of(address)]++;
		total_++;
	}

	/** Give back what take() took for the same address. */
	void give_back(const Address &address)
	{
		const auto found = by_source_.find(source_of(address));
		if (found != by_source_.end())
		{
			total_--;
			if (--found->second == 0)
			{
				by_source_.erase(found);
			}
		}
	}

	[[nodiscard]] size_t total() const { return total_; }

private:
	size_t total_ = 0;
	std::map<Address, unsigned> by_source_;
};

} // namespace btns
