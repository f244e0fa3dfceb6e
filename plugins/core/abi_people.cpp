/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_people.cpp
 * The functions of core.h that tell people what is there and what happened.
 */
#include <string>

#include "abi.h"
#include "latches.h"
#include "reason.h"

using btns::guard;
using btns::guard_reason;

extern "C" {

btns_status_t btns_peers_each(btns_core_t *core, btns_peer_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 for (const btns_peer_info_t &peer : core->core.table.peers())
					 {
						 cb(user, &peer);
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_stats_each(btns_core_t *core, btns_stat_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto totals = core->core.stats.totals();
					 const auto counts = core->core.table.counts();
					 cb(user, "accepted", totals.accepted);
					 cb(user, "refused", totals.refused);
					 for (size_t i = BTNS_REASON_NONE + 1; i < BTNS_REASON_COUNT; i++)
					 {
						 const std::string name =
							 std::string("refused-") + btns::reason_text(static_cast<btns_reason_t>(i)).code;
						 cb(user, name.c_str(), totals.refused_by_reason.at(i));
					 }
					 cb(user, "evicted", totals.evicted);
					 cb(user, "peers", counts.peers);
					 cb(user, "null-peers", counts.null_peers);
					 cb(user, "children", counts.children);
					 cb(user, "half-open", counts.half_open);
					 const auto metered = core->core.key_meter.totals();
					 cb(user, "key-time", metered.spent / 1000);
					 cb(user, "key-sources", metered.sources);
					 cb(user, "records", counts.records);
					 cb(user, "reserved-ranges",
						core->core.pad()->reserved().size() + core->core.settings()->reserve.size() +
							counts.reserved_ranges);
					 const auto latches = core->core.latches();
					 const auto latched = latches ? latches->counts() : btns::Latches::Counts{};
					 cb(user, "latches", latched.latches);
					 cb(user, "latched-sas", latched.sas);
					 const btns::AppCounters &applications = *core->core.app_counters;
					 cb(user, "app-clients", applications.clients);
					 cb(user, "app-watches", applications.watches);
					 cb(user, "app-requests", applications.requests);
					 cb(user, "app-refused", applications.refused);
					 return BTNS_STATUS_OK;
				 });
}

bool btns_refused(btns_core_t *core, btns_reason_t reason, int64_t now)
{
	bool due = true;
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  due = core->core.stats.refuse(reason, core->core.settings()->log_rate, now);
			  }
			  return BTNS_STATUS_OK;
		  });
	return due;
}

void btns_sa_refuse(btns_core_t *core, uint32_t sa, btns_reason_t reason)
{
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  core->core.table.refuse(sa, reason);
			  }
			  return BTNS_STATUS_OK;
		  });
}

btns_reason_t btns_sa_take_refusal(btns_core_t *core, uint32_t sa, bool flagged)
{
	btns_reason_t reason = BTNS_REASON_NONE;
	guard_reason(__func__, &reason,
				 [&]
				 {
					 if (core != nullptr)
					 {
						 reason = core->core.table.take_refusal(sa, flagged);
					 }
					 return BTNS_STATUS_OK;
				 });
	return reason;
}

btns_status_t btns_sa_info(btns_core_t *core, uint32_t sa, btns_peer_info_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 return core->core.table.info(sa, *out) ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED;
				 });
}

} // extern "C"
