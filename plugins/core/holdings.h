/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file holdings.h
 * Which IKE_SA holds which addresses: selectors of CHILD_SAs, virtual IPs.
 */
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "btns.h"
#include "child_policy.h"
#include "interval_index.h"
#include "key_info.h"
#include "name_pool.h"
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
	/** when it was put here */
	uint64_t order = 0;
	Name name;
	/** strongSwan's names, with sizes */
	Name encryption_algorithm;
	Name integrity_algorithm;
	btns_mode_t mode = BTNS_MODE_NONE;
	bool confidentiality = false;
	bool integrity = false;
	/** its policies take packets with a mark or of an interface only */
	bool conditional = false;
	/** it is in the kernel */
	bool installed = false;
	/** it came up, which charon tells a moment later; else it is being installed */
	bool up = false;
};

/** Addresses in the index for as long as this object lives. */
class Holding
{
public:
	/** Who, and what. */
	struct Content
	{
		/** charon's unique ID of the IKE_SA */
		uint32_t sa;
		/** of a stranger; NULL for an authenticated peer */
		std::shared_ptr<const KeyInfo> key;
		/** traffic selectors, remote ones first */
		std::vector<btns_ts_t> selectors;
		size_t remote_count;
		/** NULL if it is no CHILD_SA's */
		std::unique_ptr<ChildFacts> facts;
	};

	Holding(HoldingIndex &index, Content content)
		: index_(index), content_(std::move(content))
	{
		try
		{
			for (const btns_ts_t &ts : remote())
			{
				if (const auto range = to_range(ts))
				{
					own_index().insert(*range, this);
					if (!range->is_prefix())
					{
						index_.rounded.insert(policy_range(*range), this);
					}
				}
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

	[[nodiscard]] uint32_t sa() const { return content_.sa; }
	/** Is it a stranger's, and this key not its own? */
	[[nodiscard]] bool is_another(const Fingerprint &key) const
	{
		return content_.key && content_.key->fingerprint() != key;
	}
	[[nodiscard]] std::span<const btns_ts_t> remote() const
	{
		return std::span(content_.selectors).first(content_.remote_count);
	}
	[[nodiscard]] std::span<const btns_ts_t> local() const
	{
		return std::span(content_.selectors).subspan(content_.remote_count);
	}
	/** Of the remote selectors; sorted, each once. */
	[[nodiscard]] std::vector<Range> ranges() const { return address_ranges(remote()); }
	/** NULL if it is no CHILD_SA's. */
	[[nodiscard]] const ChildFacts *facts() const { return content_.facts.get(); }
	[[nodiscard]] ChildFacts *facts() { return content_.facts.get(); }
	/** The IKE_SA was rekeyed. */
	void move_to(uint32_t sa) { content_.sa = sa; }

private:
	void release()
	{
		// what was not inserted, or twice, is not found
		for (const btns_ts_t &ts : remote())
		{
			if (const auto range = to_range(ts))
			{
				own_index().remove(*range, this);
				if (!range->is_prefix())
				{
					index_.rounded.remove(policy_range(*range), this);
				}
			}
		}
	}

	IntervalIndex<const Holding *> &own_index() { return content_.key ? index_.strangers : index_.authenticated; }

	HoldingIndex &index_;
	Content content_;
};

} // namespace btns
