/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file pad_entry.h
 * One PAD entry (RFC 5386 2) as configured, and the flag that its groups make of it.
 */
#pragma once

#include <string>
#include <vector>

#include "address.h"
#include "key.h"

namespace btns
{

/** What the reserved groups of an entry say. */
struct Flag
{
	btns_flag_t kind = BTNS_FLAG_NONE;
	/** the pinned key, for BTNS_FLAG_KEY */
	Fingerprint key{};

	bool operator==(const Flag &) const = default;
};

/** A copy of a btns_entry_t. */
struct PadEntry
{
	struct Round
	{
		btns_class_t auth;
		bool any_id;
		bool cacerts;
		bool certs;
		std::vector<std::string> groups;
	};

	std::string name;
	Flag flag;
	unsigned ike_version;
	std::vector<Round> rounds;
	std::vector<std::string> pools;
	bool mobike;
	bool any_remote;
	std::vector<Range> local_ts;
	std::vector<Range> remote_ts;
	std::vector<Range> addrs;
	/** our own first round, and how many there are */
	btns_class_t local_auth = BTNS_CLASS_ANY;
	bool local_null = false;
	size_t local_rounds = 0;

	[[nodiscard]] bool is_flagged() const { return flag.kind != BTNS_FLAG_NONE; }
	/** What no stranger may get because of this entry: nothing if it is flagged itself. */
	[[nodiscard]] std::vector<Range> reserves() const;
};

/** Is it "btns", or does it begin with "btns:", in any case? */
bool is_reserved_group(std::string_view group);

/** The flag that the groups of all rounds make together. */
Flag read_flag(const btns_entry_t &entry);

/** Copy an entry. Nothing if it is invalid: a pointer that is missing, a range that ends before it begins. */
std::optional<PadEntry> copy_entry(const btns_entry_t &entry);

} // namespace btns
