/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file settings.h
 * The tunables in force.
 */
#pragma once

#include <optional>

#include "btns/core.h"
#include "key_meter.h"
#include "range_set.h"

namespace btns
{

/** A copy of btns_null_options_t. */
struct NullSettings
{
	unsigned max_peers = 0;
	unsigned max_peers_per_source = 0;
};

/** A copy of btns_options_t. */
struct Settings
{
	btns_key_policy_t keys{};
	unsigned max_peers = 0;
	unsigned max_peers_per_source = 0;
	unsigned max_children = 0;
	unsigned max_half_open = 0;
	unsigned max_half_open_per_source = 0;
	KeyRates key_rates{};
	unsigned child_rate = 0;
	unsigned idle_timeout = 0;
	unsigned childless_timeout = 0;
	unsigned ikesa_limit = 0;
	unsigned log_rate = 0;
	bool keep_certificates = false;
	RangeSet reserve;
	/** nothing unless there is NULL authentication: the btns-null plugin */
	std::optional<NullSettings> null;
};

} // namespace btns
