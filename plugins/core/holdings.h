/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file holdings.h
 * Which IKE_SA holds which addresses: selectors of CHILD_SAs, virtual IPs.
 */
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "btns.h"
#include "child_policy.h"
#include "interval_index.h"
#include "key_info.h"
#include "name_pool.h"
#include "packed_selectors.h"
#include "policy.h"

namespace btns
{

class Holding;

/** Who holds what: one index for strangers, one for authenticated peers. */
struct HoldingIndex
{
	IntervalIndex<const Holding *> strangers;
	IntervalIndex<const Holding *> authenticated;
	/** the policies of ranges that are no prefixes: they take more */
	IntervalIndex<const Holding *> rounded;
};

/** What is known of a CHILD_SA beside its selectors. */
struct ChildFacts
{
	/** charon's unique ID */
	uint32_t child = 0;
	/** of its policies, as configured; 0 if charon computes it */
	uint32_t priority = 0;
	/** strongSwan's names, with sizes */
	Name name;
	Name encryption_algorithm;
	Name integrity_algorithm;
	/** when it was put here */
	uint64_t order = 0;
	/** btns_mode_t */
	uint8_t mode = BTNS_MODE_NONE;
	bool confidentiality = false;
	bool integrity = false;
	/** its policies take packets with a mark or of an interface only */
	bool conditional = false;
	/** it is in the kernel */
	bool installed = false;
	/** it came up, which charon tells a moment later; else it is being installed */
	bool up = false;
};

/** Addresses in the index for as long as this object lives. Small: there is at least one for each CHILD_SA. */
class Holding
{
public:
	/** Who holds it. */
	struct Owner
	{
		/** charon's unique ID of the IKE_SA */
		uint32_t sa;
		/** of a stranger; NULL for an authenticated peer */
		std::shared_ptr<const KeyInfo> key;
	};

	/** @param facts	NULL if it is no CHILD_SA's */
	Holding(HoldingIndex &index, Owner owner, std::span<const btns_ts_t> remote, std::span<const btns_ts_t> local,
			std::unique_ptr<ChildFacts> facts)
		: index_(index), key_(std::move(owner.key)), selectors_(remote, local), facts_(std::move(facts)), sa_(owner.sa)
	{
		try
		{
			each_place([this](auto &index, const Range &range) { index.insert(range, this); });
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

	[[nodiscard]] uint32_t sa() const { return sa_; }
	/** Is it a stranger's, and this key not its own? */
	[[nodiscard]] bool is_another(const Fingerprint &key) const { return key_ && key_->fingerprint() != key; }
	/** Is it a NULL peer's? */
	[[nodiscard]] bool is_null() const { return key_ && key_->is_null(); }
	[[nodiscard]] const PackedSelectors &selectors() const { return selectors_; }
	/** Of the remote selectors; sorted, each once. */
	[[nodiscard]] std::vector<Range> ranges() const { return address_ranges(selectors_.remote()); }
	/** NULL if it is no CHILD_SA's. */
	[[nodiscard]] const ChildFacts *facts() const { return facts_.get(); }
	[[nodiscard]] ChildFacts *facts() { return facts_.get(); }
	/** The IKE_SA was rekeyed. */
	void move_to(uint32_t sa) { sa_ = sa; }

private:
	IntervalIndex<const Holding *> &own_index() { return key_ ? index_.strangers : index_.authenticated; }

	void release()
	{
		// what was not inserted, or twice, is not found
		each_place([this](auto &index, const Range &range) { index.remove(range, this); });
	}

	/** Call visitor(index, range) for each place that this is to be found in. */
	template <typename Visitor>
	void each_place(Visitor &&visitor)
	{
		selectors_.for_each_remote(
			[&](const btns_ts_t &ts)
			{
				if (const auto range = to_range(ts))
				{
					visitor(own_index(), *range);
					if (!range->is_prefix())
					{
						visitor(index_.rounded, policy_range(*range));
					}
				}
			});
	}

	HoldingIndex &index_;
	std::shared_ptr<const KeyInfo> key_;
	PackedSelectors selectors_;
	std::unique_ptr<ChildFacts> facts_;
	uint32_t sa_;
};

} // namespace btns
