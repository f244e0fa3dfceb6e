/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file pad_config.h
 * The configuration in force: the PAD entries, what the linter found, and what they reserve.
 */
#pragma once

#include "entry_list.h"
#include "linter.h"
#include "range_set.h"

namespace btns
{

/** Loopback, link-local, multicast and other addresses that are never one remote host's own. */
std::vector<Range> special_ranges();

/** Immutable once built. */
class PadConfig
{
public:
	/** No entries: only special addresses are reserved. */
	PadConfig();
	/**
	 * @param own		addresses of this host
	 * @param reserve	charon.plugins.btns.reserve: the linter takes it into account, reserved() does not have it
	 * @param nulls		there is NULL authentication
	 */
	PadConfig(EntryList entries, const std::vector<Range> &own, const RangeSet &reserve, bool nulls = false);

	[[nodiscard]] const EntryList &entries() const { return entries_; }
	[[nodiscard]] std::vector<Finding> findings(size_t i) const;
	/** Of the entries that have any. */
	[[nodiscard]] const Findings &all_findings() const { return findings_; }
	/** FALSE if there is none with this index or the linter refuses it. */
	[[nodiscard]] bool is_usable(size_t i) const;
	/** Is there a usable entry of this name that admits the key by a flag of this kind? For one that is for NULL peers
	 * the key makes no difference. */
	[[nodiscard]] bool admits(std::string_view name, btns_flag_t kind,
							  std::span<const uint8_t, BTNS_FINGERPRINT_LEN> key) const;
	/** Is there a usable entry for peers with raw public keys that nobody vouches for? */
	[[nodiscard]] bool admits_keys() const { return admits_keys_; }
	/** What belongs to this host or to peers that authenticate. */
	[[nodiscard]] const RangeSet &reserved() const { return reserved_; }

private:
	EntryList entries_;
	RangeSet reserved_;
	Findings findings_;
	/** those that the linter refuses, ascending */
	std::vector<size_t> unusable_;
	/** those with a flag, by name */
	std::vector<size_t> flagged_;
	bool admits_keys_ = false;
};

} // namespace btns
