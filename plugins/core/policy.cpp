/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "policy.h"

#include <algorithm>
#include <bit>

namespace btns
{

namespace
{

/* charon's numbers, in kernel_netlink_ipsec.c */
constexpr uint32_t protect_base = 400000;
constexpr uint32_t shunt_base = 200000;
constexpr uint32_t per_prefix_bit = 512;
constexpr uint32_t for_protocol = 256;
constexpr uint32_t per_port_bit = 4;
/** what is installed for a CHILD_SA goes before its trap */
constexpr uint32_t not_a_trap = 1;

bool is_icmp(uint8_t protocol)
{
	constexpr uint8_t icmp = 1;
	constexpr uint8_t icmpv6 = 58;
	return protocol == icmp || protocol == icmpv6;
}

/** The protocol of the policy for two selectors; of two that differ charon makes none. */
std::optional<uint8_t> common_protocol(const btns_ts_t &local, const btns_ts_t &remote)
{
	if (local.protocol != remote.protocol && local.protocol != 0 && remote.protocol != 0)
	{
		return std::nullopt;
	}
	return std::max(local.protocol, remote.protocol);
}

/** One side of a policy, and whether it takes that side of the flow. */
struct Side
{
	unsigned prefix = 0;
	unsigned port_bits = 0;
	bool takes = false;
	/** the selector covers it, too */
	bool exact = false;
};

/** How many bits two addresses of a family have in common from the left. */
unsigned common_bits(unsigned family, AddressValue a, AddressValue b)
{
	const unsigned width = family == 4 ? 32 : 128;
	const AddressValue differ = a ^ b;
	const auto high = static_cast<uint64_t>(differ >> 64);
	const auto low = static_cast<uint64_t>(differ);
	const auto zeros = static_cast<unsigned>(high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(low));
	return zeros - (128 - width);
}

/** The mask for a range of ports: the bits that both ends have in common from the left. */
uint16_t port_mask(uint16_t from, uint16_t to)
{
	const auto differ = static_cast<uint16_t>(from ^ to);
	const auto zeros = static_cast<unsigned>(std::countl_zero(differ));
	return zeros == 0 ? uint16_t{0} : static_cast<uint16_t>(0xffffU << (16 - zeros));
}

Side fit_side(const btns_ts_t &ts, const Address &address, uint16_t port)
{
	Side side;
	const auto range = to_range(ts);
	if (!range || range->family != address.family)
	{
		return side;
	}
	const uint16_t mask = port_mask(ts.from_port, ts.to_port);
	side.prefix = common_bits(range->family, range->first, range->last);
	side.port_bits = static_cast<unsigned>(std::popcount(mask));
	side.takes =
		common_bits(range->family, range->first, address.value) >= side.prefix && ((ts.from_port ^ port) & mask) == 0;
	side.exact =
		range->first <= address.value && address.value <= range->last && ts.from_port <= port && port <= ts.to_port;
	return side;
}

} // namespace

Range policy_range(const Range &range)
{
	return prefix_of({range.family, range.first}, common_bits(range.family, range.first, range.last));
}

std::optional<PolicySelector> policy_selector(const btns_ts_t &local, const btns_ts_t &remote)
{
	const auto protocol = common_protocol(local, remote);
	const auto here = to_range(local);
	const auto there = to_range(remote);
	if (!protocol || !here || !there || here->family != there->family)
	{
		return std::nullopt;
	}
	PolicySelector selector{*protocol, policy_range(*here), policy_range(*there), 0, 0xffff, 0, 0xffff};
	if (!is_icmp(*protocol))
	{
		const auto round = [](const btns_ts_t &ts, uint16_t &first, uint16_t &last)
		{
			const uint16_t mask = port_mask(ts.from_port, ts.to_port);
			first = ts.from_port & mask;
			last = static_cast<uint16_t>(first | ~mask);
		};
		round(local, selector.local_port_first, selector.local_port_last);
		round(remote, selector.remote_port_first, selector.remote_port_last);
	}
	return selector;
}

std::optional<PolicyFit> fit_policy(const btns_ts_t &local, const btns_ts_t &remote, const Flow &flow, PolicyKind kind,
									uint32_t manual)
{
	const auto common = common_protocol(local, remote);
	if (!common || (*common != 0 && *common != flow.protocol))
	{
		return std::nullopt;
	}
	const uint8_t protocol = *common;
	Side here = fit_side(local, flow.local, flow.local_port);
	Side there = fit_side(remote, flow.remote, flow.remote_port);
	const bool icmp_types = is_icmp(protocol) && here.port_bits + there.port_bits > 0;
	if (icmp_types)
	{
		// the ports are type and code, of which a flow has none: it may be taken or not
		here = fit_side(local, flow.local, local.from_port);
		there = fit_side(remote, flow.remote, remote.from_port);
	}
	if (!here.takes || !there.takes)
	{
		return std::nullopt;
	}
	PolicyFit fit{manual, here.exact && there.exact && !icmp_types};
	if (manual == 0)
	{
		fit.priority = kind == PolicyKind::protect ? protect_base : shunt_base;
		fit.priority -= (here.prefix + there.prefix) * per_prefix_bit;
		fit.priority -= protocol != 0 ? for_protocol : 0;
		fit.priority -= (here.port_bits + there.port_bits) * per_port_bit;
		fit.priority -= not_a_trap;
	}
	return fit;
}

PolicyFits fit_policies(std::span<const btns_ts_t> local, std::span<const btns_ts_t> remote, const Flow &flow,
						PolicyKind kind, uint32_t manual)
{
	PolicyFits best;
	for (const btns_ts_t &here : local)
	{
		for (const btns_ts_t &there : remote)
		{
			if (const auto fit = fit_policy(here, there, flow, kind, manual))
			{
				auto &known = fit->exact ? best.exact : best.inexact;
				known = std::min(known.value_or(fit->priority), fit->priority);
			}
		}
	}
	return best;
}

} // namespace btns
