/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file address.h
 * IP addresses and inclusive ranges of them, as numbers that can be compared.
 */
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "btns/core.h"

namespace btns
{

/** An address as a number, IPv4 in the low 32 bits. */
__extension__ using AddressValue = unsigned __int128;

/** An address of one family. IPv4 and IPv6 never overlap, IPv4-mapped IPv6 addresses included. */
struct Address
{
	/** 4 or 6 */
	unsigned family = 0;
	AddressValue value = 0;

	auto operator<=>(const Address &) const = default;
};

/** An inclusive range of addresses of one family, first <= last. */
struct Range
{
	/** 4 or 6 */
	unsigned family = 0;
	AddressValue first = 0;
	AddressValue last = 0;

	auto operator<=>(const Range &) const = default;

	[[nodiscard]] bool overlaps(const Range &other) const
	{
		return family == other.family && first <= other.last && other.first <= last;
	}
	[[nodiscard]] bool contains(const Range &other) const
	{
		return family == other.family && first <= other.first && other.last <= last;
	}
	/** Is it exactly one address prefix? */
	[[nodiscard]] bool is_prefix() const;
	/** Are these all addresses of the family? */
	[[nodiscard]] bool is_everything() const;
};

/** From the ABI's types; nothing if the family is neither 4 nor 6, or a range ends before it begins. */
std::optional<Address> to_address(const btns_addr_t &addr);
std::optional<Range> to_range(const btns_range_t &range);
/** The address part of a traffic selector. */
std::optional<Range> to_range(const btns_ts_t &ts);
/** One address as a range. */
Range host_range(const Address &address);

btns_addr_t to_abi(const Address &address);
btns_range_t to_abi(const Range &range);
/** All protocols and ports. */
btns_ts_t to_selector(const Range &range);

/** The prefix of a length in bits that covers an address. */
Range prefix_of(const Address &address, unsigned length);

/** Read "10.0.0.0/8", "2001:db8::1" or "192.0.2.1-192.0.2.9"; host bits of a prefix are ignored. */
std::optional<Range> parse_range(std::string_view text);
/** Write "10.0.0.0/8", "2001:db8::1" or "192.0.2.1-192.0.2.9". */
std::string to_text(const Range &range);

/** Read a range and what may follow in brackets; see btns_ts_parse(). */
std::optional<btns_ts_t> parse_selector(std::string_view text);
/** Write it as parse_selector() reads it, with the protocol as a number. */
std::string to_text(const btns_ts_t &selector);

} // namespace btns
