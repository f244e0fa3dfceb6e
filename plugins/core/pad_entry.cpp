/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "pad_entry.h"

#include <algorithm>
#include <span>

#include "key_id.h"

namespace btns
{

namespace
{

char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equals_nocase(std::string_view a, std::string_view b)
{
	return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

bool begins_nocase(std::string_view text, std::string_view prefix)
{
	return equals_nocase(text.substr(0, prefix.size()), prefix);
}

std::optional<unsigned> hex_digit(char c)
{
	c = to_lower(c);
	if (c >= '0' && c <= '9')
	{
		return c - '0';
	}
	if (c >= 'a' && c <= 'f')
	{
		return c - 'a' + 10;
	}
	return std::nullopt;
}

std::optional<Fingerprint> read_fingerprint(std::string_view hex)
{
	Fingerprint out{};
	if (hex.size() != 2 * out.size())
	{
		return std::nullopt;
	}
	for (size_t i = 0; i < out.size(); i++)
	{
		const auto high = hex_digit(hex[2 * i]);
		const auto low = hex_digit(hex[2 * i + 1]);
		if (!high || !low)
		{
			return std::nullopt;
		}
		out[i] = static_cast<uint8_t>(*high << 4 | *low);
	}
	return out;
}

/** The flag that one group makes. */
Flag read_group(std::string_view group)
{
	if (!is_reserved_group(group))
	{
		return {};
	}
	if (equals_nocase(group, "btns"))
	{
		return {BTNS_FLAG_ANY, {}};
	}
	if (equals_nocase(group, "btns:null"))
	{
		return {BTNS_FLAG_NULL, {}};
	}
	if (equals_nocase(group, "btns:known"))
	{
		return {BTNS_FLAG_KNOWN, {}};
	}
	if (begins_nocase(group, key_id_prefix))
	{
		if (const auto key = read_fingerprint(group.substr(key_id_prefix.size())))
		{
			return {BTNS_FLAG_KEY, *key};
		}
	}
	return {BTNS_FLAG_BROKEN, {}};
}

bool copy_ranges(const btns_ts_t *ts, size_t count, std::vector<Range> &out)
{
	for (size_t i = 0; i < count; i++)
	{
		const auto range = to_range(ts[i]);
		if (!range)
		{
			return false;
		}
		out.push_back(*range);
	}
	return true;
}

bool has_pointers(const btns_entry_t &entry)
{
	return entry.name != nullptr && (entry.rounds != nullptr || entry.round_count == 0) &&
		   (entry.pools != nullptr || entry.pool_count == 0) &&
		   (entry.local_ts != nullptr || entry.local_ts_count == 0) &&
		   (entry.remote_ts != nullptr || entry.remote_ts_count == 0) &&
		   (entry.addrs != nullptr || entry.addr_count == 0) &&
		   std::ranges::all_of(std::span(entry.rounds, entry.round_count), [](const btns_round_t &round)
							   { return round.groups != nullptr || round.group_count == 0; });
}

} // namespace

std::vector<Range> PadEntry::reserves() const
{
	std::vector<Range> ranges;
	if (!is_flagged())
	{
		for (const auto *list : {&local_ts, &remote_ts, &addrs})
		{
			ranges.insert(ranges.end(), list->begin(), list->end());
		}
	}
	return ranges;
}

bool is_reserved_group(std::string_view group)
{
	return equals_nocase(group, "btns") || begins_nocase(group, reserved_prefix);
}

Flag read_flag(const btns_entry_t &entry)
{
	Flag flag;
	for (const btns_round_t &round : std::span(entry.rounds, entry.round_count))
	{
		for (const char *group : std::span(round.groups, round.group_count))
		{
			const Flag next = group != nullptr ? read_group(group) : Flag{BTNS_FLAG_BROKEN, {}};
			if (next.kind == BTNS_FLAG_NONE)
			{
				continue;
			}
			flag = flag.kind == BTNS_FLAG_NONE ? next : Flag{BTNS_FLAG_BROKEN, {}};
		}
	}
	return flag;
}

std::optional<PadEntry> copy_entry(const btns_entry_t &entry)
{
	if (!has_pointers(entry))
	{
		return std::nullopt;
	}
	PadEntry copy{
		entry.name,		  read_flag(entry), entry.ike_version, {}, {}, entry.mobike, entry.any_remote, {}, {}, {},
		entry.local_auth, entry.local_null, entry.local_rounds};
	for (const btns_round_t &round : std::span(entry.rounds, entry.round_count))
	{
		PadEntry::Round &to =
			copy.rounds.emplace_back(PadEntry::Round{round.auth, round.any_id, round.cacerts, round.certs, {}});
		for (const char *group : std::span(round.groups, round.group_count))
		{
			to.groups.emplace_back(group != nullptr ? group : "");
		}
	}
	for (const char *pool : std::span(entry.pools, entry.pool_count))
	{
		copy.pools.emplace_back(pool != nullptr ? pool : "");
	}
	if (!copy_ranges(entry.local_ts, entry.local_ts_count, copy.local_ts) ||
		!copy_ranges(entry.remote_ts, entry.remote_ts_count, copy.remote_ts))
	{
		return std::nullopt;
	}
	for (const btns_range_t &addr : std::span(entry.addrs, entry.addr_count))
	{
		const auto range = to_range(addr);
		if (!range)
		{
			return std::nullopt;
		}
		copy.addrs.push_back(*range);
	}
	return copy;
}

} // namespace btns
