/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file linter.h
 * What is wrong with a configuration for strangers, in sentences an administrator can act on.
 */
#pragma once

#include <span>

#include "pad_entry.h"
#include "range_set.h"

namespace btns
{

struct Finding
{
	btns_severity_t severity;
	std::string text;

	bool operator==(const Finding &) const = default;
};

/**
 * Look at all entries.
 *
 * @param reserved		all that no stranger may get
 * @return				findings per entry, in the order of entries
 */
std::vector<std::vector<Finding>> lint(std::span<const PadEntry> entries, const RangeSet &reserved);

/** Is none of them an error? */
bool is_usable(std::span<const Finding> findings);

} // namespace btns
