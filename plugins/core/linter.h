/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file linter.h
 * What is wrong with a configuration for strangers, in sentences an administrator can act on.
 */
#pragma once

#include <map>
#include <span>

#include "entry_list.h"
#include "range_set.h"

namespace btns
{

struct Finding
{
	btns_severity_t severity;
	std::string text;

	bool operator==(const Finding &) const = default;
};

/** By the index of the entry; only of those that have any. */
using Findings = std::map<size_t, std::vector<Finding>>;

/** Entries that one finding is repeated for at most, and findings that are looked into at most. */
constexpr size_t others_max = 16;

/**
 * Look at all entries. The time is about proportional to their number.
 *
 * @param reserved		all that no stranger may get
 * @param nulls			there is NULL authentication
 */
Findings lint(const EntryList &entries, const RangeSet &reserved, bool nulls = false);

/** Is none of them an error? */
bool is_usable(std::span<const Finding> findings);

} // namespace btns
