/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "reqids.h"

#include <algorithm>
#include <ranges>

namespace btns
{

bool Reqids::may_share(uint32_t reqid, const Holder &holder, bool own_trap) const
{
	if (lost_track_ && holder.kind == BTNS_HOLDER_STRANGER)
	{
		return false;
	}
	const auto [first, last] = holders_.equal_range(reqid);
	return std::all_of(first, last,
					   [&](const auto &entry)
					   { return entry.second.kind == BTNS_HOLDER_TRAP ? own_trap : entry.second == holder; });
}

void Reqids::take(uint32_t reqid, const Holder &holder)
{
	holders_.emplace(reqid, holder);
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
