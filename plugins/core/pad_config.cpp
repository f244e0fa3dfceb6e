/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "pad_config.h"

#include <algorithm>
#include <array>

namespace btns
{

namespace
{

void append(std::vector<Range> &to, const std::vector<Range> &ranges)
{
	to.insert(to.end(), ranges.begin(), ranges.end());
}

RangeSet collect_reserved(const EntryList &entries, const std::vector<Range> &own)
{
	std::vector<Range> ranges = special_ranges();
	append(ranges, own);
	for (const PadEntry &entry : entries)
	{
		append(ranges, entry.reserves());
	}
	return RangeSet(std::move(ranges));
}

RangeSet join(const RangeSet &a, const RangeSet &b)
{
	std::vector<Range> ranges = a.ranges();
	append(ranges, b.ranges());
	return RangeSet(std::move(ranges));
}

} // namespace

std::vector<Range> special_ranges()
{
	static constexpr std::array texts{
		"0.0.0.0/8",	  // this network (RFC 1122 3.2.1.3)
		"127.0.0.0/8",	  // loopback
		"169.254.0.0/16", // link-local (RFC 3927)
		"224.0.0.0/4",	  // multicast
		"240.0.0.0/4",	  // reserved, limited broadcast
		"::/128",		  // unspecified
		"::1/128",		  // loopback
		"::ffff:0:0/96",  // IPv4-mapped: never on the wire
		"fe80::/10",	  // link-local
		"ff00::/8",		  // multicast
	};
	std::vector<Range> ranges;
	ranges.reserve(std::size(texts));
	for (const char *text : texts)
	{
		ranges.push_back(parse_range(text).value());
	}
	return ranges;
}

PadConfig::PadConfig() : PadConfig(EntryList(), {}, {}) {}

PadConfig::PadConfig(EntryList entries, const std::vector<Range> &own, const RangeSet &reserve, bool nulls)
	: entries_(std::move(entries)), reserved_(collect_reserved(entries_, own)),
	  findings_(lint(entries_, reserve.size() > 0 ? join(reserved_, reserve) : reserved_, nulls))
{
	entries_.seal();
	for (const auto &[i, findings] : findings_)
	{
		if (!btns::is_usable(findings))
		{
			unusable_.push_back(i);
		}
	}
	for (size_t i = 0; i < entries_.size(); i++)
	{
		if (entries_.flag(i).kind != BTNS_FLAG_NONE)
		{
			flagged_.push_back(i);
			const btns_flag_t kind = entries_.flag(i).kind;
			admits_keys_ = admits_keys_ || ((kind == BTNS_FLAG_ANY || kind == BTNS_FLAG_KEY) && is_usable(i));
		}
	}
	std::ranges::sort(flagged_, {}, [this](size_t i) { return entries_.name(i); });
	unusable_.shrink_to_fit();
	flagged_.shrink_to_fit();
}

std::vector<Finding> PadConfig::findings(size_t i) const
{
	const auto found = findings_.find(i);
	return found != findings_.end() ? found->second : std::vector<Finding>();
}

bool PadConfig::is_usable(size_t i) const
{
	return i < entries_.size() && !std::ranges::binary_search(unusable_, i);
}

bool PadConfig::admits(std::string_view name, btns_flag_t kind,
					   std::span<const uint8_t, BTNS_FINGERPRINT_LEN> key) const
{
	auto it = std::ranges::lower_bound(flagged_, name, {}, [this](size_t i) { return entries_.name(i); });
	for (; it != flagged_.end() && entries_.name(*it) == name; ++it)
	{
		const Flag flag = entries_.flag(*it);
		if (flag.kind == kind && is_usable(*it) &&
			(kind == BTNS_FLAG_ANY || kind == BTNS_FLAG_NULL ||
			 (kind == BTNS_FLAG_KEY && std::ranges::equal(flag.key, key))))
		{
			return true;
		}
	}
	return false;
}

} // namespace btns
