/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file packed_address.h
 * Addresses where there are many of them: no larger than they have to be, and ordered.
 */
#pragma once

#include <compare>

#include "address.h"

namespace btns
{

/** An IPv4 address. */
struct ShortAddress
{
	ShortAddress() = default;
	explicit ShortAddress(AddressValue value) : bits(static_cast<uint32_t>(value)) {}
	[[nodiscard]] AddressValue value() const { return bits; }
	auto operator<=>(const ShortAddress &) const = default;

	uint32_t bits = 0;
};

/** An IPv6 address, or one of either family, in two halves, which need no alignment to 16 octets. */
struct WideAddress
{
	WideAddress() = default;
	explicit WideAddress(AddressValue value)
		: high(static_cast<uint64_t>(value >> 64)), low(static_cast<uint64_t>(value))
	{}
	[[nodiscard]] AddressValue value() const { return AddressValue{high} << 64 | low; }
	auto operator<=>(const WideAddress &) const = default;

	uint64_t high = 0;
	uint64_t low = 0;
};

} // namespace btns
