/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "reqids.h"

#include <algorithm>

namespace btns
{

bool Reqids::is_free_for(uint32_t reqid, const Holder &holder, bool own_trap) const
{
	const auto [first, last] = holders_.equal_range(reqid);
	return std::all_of(first, last,
					   [&](const auto &entry)
					   { return entry.second.kind == BTNS_HOLDER_TRAP ? own_trap : entry.second == holder; });
}

bool Reqids::may_share(uint32_t reqid, const Holder &holder, bool own_trap) const
{
	return (!lost_track_ || holder.kind != BTNS_HOLDER_STRANGER) && is_free_for(reqid, holder, own_trap);
}

bool Reqids::take(uint32_t reqid, const Holder &holder)
{
	if (holder.kind == BTNS_HOLDER_STRANGER && !is_free_for(reqid, holder, true))
	{
		return false;
	}
	holders_.emplace(reqid, holder);
	return true;
}

void Reqids::release(uint32_t reqid, const Holder &holder)
{
	const auto [first, last] = holders_.equal_range(reqid);
	if (first != last)
	{
		const auto place = std::find_if(first, last, [&](const auto &entry) { return entry.second == holder; });
		holders_.erase(place == last ? first : place);
	}
}

} // namespace btns
