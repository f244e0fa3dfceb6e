/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file holdings.h
 * Which IKE_SA holds which addresses: selectors of CHILD_SAs, virtual IPs.
 */
#pragma once

#include <span>
#include <vector>

#include "interval_index.h"
#include "key.h"

namespace btns
{

class Holding;

/** Who holds what: one index for strangers, one for authenticated peers. */
struct HoldingIndex
{
	IntervalIndex<const Holding *> strangers;
	IntervalIndex<const Holding *> authenticated;
};

/** Ranges in the index for as long as this object lives. */
class Holding
{
public:
	struct Owner
	{
		/** charon's unique ID */
		uint32_t sa;
		/** the key of a stranger */
		Fingerprint key{};
		bool stranger = false;
	};

	/** @param ranges	sorted, each once */
	Holding(HoldingIndex &index, const Owner &owner, std::vector<Range> ranges)
		: index_(owner.stranger ? index.strangers : index.authenticated), owner_(owner), ranges_(std::move(ranges))
	{
		try
		{
			for (; inserted_ < ranges_.size(); inserted_++)
			{
				index_.insert(ranges_[inserted_], this);
			}
		}
		catch (...)
		{
			release();
			throw;
		}
	}
	~Holding() { release(); }
	Holding(const Holding &) = delete;
	Holding &operator=(const Holding &) = delete;
	Holding(Holding &&) = delete;
	Holding &operator=(Holding &&) = delete;

	[[nodiscard]] const Owner &owner() const { return owner_; }
	[[nodiscard]] const std::vector<Range> &ranges() const { return ranges_; }
	/** The IKE_SA was rekeyed. */
	void move_to(uint32_t sa) { owner_.sa = sa; }

private:
	void release()
	{
		while (inserted_ > 0)
		{
			index_.remove(ranges_[--inserted_], this);
		}
	}

	IntervalIndex<const Holding *> &index_;
	Owner owner_;
	std::vector<Range> ranges_;
	size_t inserted_ = 0;
};

} // namespace btns
