/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file policy.h
 * Which packets the kernel's policy for a pair of traffic selectors takes, and which of two policies it prefers: as
 * charon computes both.
 */
#pragma once

#include <optional>
#include <span>

#include "btns/core.h"
#include "channel.h"

namespace btns
{

/** What kind of policy it is. */
enum class PolicyKind
{
	/** protect, by a CHILD_SA that is up */
	protect,
	/** bypass or discard, by a shunt */
	shunt,
};

/** The addresses that a policy for a range takes: the longest prefix that covers it. */
Range policy_range(const Range &range);

/** What the kernel's policy for a pair of traffic selectors takes: nothing but prefixes, and ports under a mask. */
struct PolicySelector
{
	/** 0 for any */
	uint8_t protocol = 0;
	Range local;
	Range remote;
	/** inclusive, host byte order */
	uint16_t local_port_first = 0;
	uint16_t local_port_last = 0;
	uint16_t remote_port_first = 0;
	uint16_t remote_port_last = 0;
};

/** Nothing if there is no such policy: of selectors whose families or protocols differ charon makes none. Of ICMP all
 * messages count, since it is not known which ones a flow has. */
std::optional<PolicySelector> policy_selector(const btns_ts_t &local, const btns_ts_t &remote);

/** How the kernel ranks a policy that takes a flow: it uses the one with the lowest priority. */
struct PolicyFit
{
	uint32_t priority;
	/**
	 * The selectors cover the flow. Else only the policy does, or may: the kernel knows prefixes and masks, so it takes
	 * more than is in a range, and of ICMP it is not known which messages a flow has.
	 */
	bool exact;
};

/**
 * Does the policy for a pair of selectors take a flow?
 *
 * @param manual	priority that was configured, 0 if charon computes it
 */
std::optional<PolicyFit> fit_policy(const btns_ts_t &local, const btns_ts_t &remote, const Flow &flow, PolicyKind kind,
									uint32_t manual);

/** The best priorities of all pairs of selectors. */
struct PolicyFits
{
	std::optional<uint32_t> exact;
	std::optional<uint32_t> inexact;
};

PolicyFits fit_policies(std::span<const btns_ts_t> local, std::span<const btns_ts_t> remote, const Flow &flow,
						PolicyKind kind, uint32_t manual);

} // namespace btns
