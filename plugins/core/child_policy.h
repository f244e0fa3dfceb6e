/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file child_policy.h
 * What the selectors of a stranger's CHILD_SA have to look like, whoever it is.
 */
#pragma once

#include <span>
#include <vector>

#include "address.h"

namespace btns
{

/** Can a kernel policy with a value and a mask say it? It would round up what it cannot. */
bool is_exact_port_range(uint16_t from, uint16_t to);

/**
 * Check the selectors of both sides: there are some and not too many, each is one address prefix and a port range that
 * no kernel rounds up.
 */
btns_reason_t check_selectors(std::span<const btns_ts_t> local, std::span<const btns_ts_t> remote);

/** The address parts, sorted, each once; selectors without a valid one are left out. */
std::vector<Range> address_ranges(std::span<const btns_ts_t> selectors);

/** Is the range just one of these addresses? */
bool is_own_host(const Range &range, std::span<const btns_addr_t> hosts);

} // namespace btns
