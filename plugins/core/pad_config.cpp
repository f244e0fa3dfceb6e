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

RangeSet collect_reserved(const std::vector<PadEntry> &entries, const std::vector<Range> &own)
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

PadConfig::PadConfig() : PadConfig({}, {}, {}) {}

PadConfig::PadConfig(std::vector<PadEntry> entries, const std::vector<Range> &own, const RangeSet &reserve)
	: entries_(std::move(entries)), reserved_(collect_reserved(entries_, own)),
	  findings_(lint(entries_, join(reserved_, reserve)))
{}

bool PadConfig::is_usable(size_t i) const
{
	return i < findings_.size() && btns::is_usable(findings_[i]);
}

bool PadConfig::admits(std::string_view name, btns_flag_t kind,
					   std::span<const uint8_t, BTNS_FINGERPRINT_LEN> key) const
{
	for (size_t i = 0; i < entries_.size(); i++)
	{
		const Flag &flag = entries_[i].flag;
		if (entries_[i].name == name && flag.kind == kind && is_usable(i) &&
			(kind == BTNS_FLAG_ANY || (kind == BTNS_FLAG_KEY && std::ranges::equal(flag.key, key))))
		{
			return true;
		}
	}
	return false;
}

} // namespace btns
