/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_sas.h"

#include <algorithm>

namespace btns
{

namespace
{

/** A selector that takes whatever the other end of the flow is known to be. */
btns_ts_t open_end(const btns_ts_t &ts, const Flow &flow)
{
	btns_ts_t open = ts;
	if (flow.local_port == 0)
	{
		open.from_port = 0;
		open.to_port = UINT16_MAX;
	}
	return open;
}

} // namespace

LatchSa LatchSas::Entry::facts() const
{
	LatchSa sa;
	sa.child = child;
	sa.reqid = demand.reqid;
	sa.local = local;
	sa.remote = remote;
	sa.congruence = congruence ? &*congruence : nullptr;
	sa.peer_key = peer_key ? &*peer_key : nullptr;
	return sa;
}

bool LatchSas::Entry::covers(const Flow &flow) const
{
	const auto takes = [&](const btns_ts_t &here, const btns_ts_t &there)
	{
		btns_ts_t ours = open_end(here, flow);
		Flow whole = flow;
		if (flow.local.family == 0)
		{
			const auto range = to_range(ours);
			whole.local = range ? Address{range->family, range->first} : Address{};
		}
		return fit_policy(ours, there, whole, PolicyKind::protect, 0).has_value();
	};
	return std::ranges::any_of(
		local, [&](const btns_ts_t &here)
		{ return std::ranges::any_of(remote, [&](const btns_ts_t &there) { return takes(here, there); }); });
}

LatchSas::Indexed::Indexed(LatchSas &sas, Entry from) : entry(std::move(from)), sas_(sas)
{
	try
	{
		for (const btns_ts_t &ts : entry.remote)
		{
			if (const auto range = to_range(ts))
			{
				sas_.index_.insert(policy_range(*range), &entry);
			}
		}
		sas_.reqids_[entry.demand.reqid]++;
	}
	catch (...)
	{
		remove_ranges();
		throw;
	}
}

LatchSas::Indexed::~Indexed()
{
	remove_ranges();
	const auto found = sas_.reqids_.find(entry.demand.reqid);
	if (--found->second == 0)
	{
		sas_.reqids_.erase(found);
	}
}

void LatchSas::Indexed::remove_ranges()
{
	for (const btns_ts_t &ts : entry.remote)
	{
		// what was not inserted, or twice, is not found
		if (const auto range = to_range(ts))
		{
			sas_.index_.remove(policy_range(*range), &entry);
		}
	}
}

LatchSas::Entry &LatchSas::put(Entry entry)
{
	const uint32_t child = entry.child;
	auto made = std::make_unique<Indexed>(*this, std::move(entry));
	auto &place = entries_[child];
	place = std::move(made);
	return place->entry;
}

LatchSas::Entry *LatchSas::find(uint32_t child)
{
	const auto found = entries_.find(child);
	return found == entries_.end() ? nullptr : &found->second->entry;
}

} // namespace btns
