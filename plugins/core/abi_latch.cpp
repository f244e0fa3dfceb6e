/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_latch.cpp
 * The functions of core.h that are about connection latching.
 */
#include <algorithm>
#include <string_view>
#include <system_error>

#include "abi.h"
#include "latches.h"

using btns::guard;
using btns::guard_reason;
using btns::Latches;

namespace
{

/** Latches that are looked at in one go. */
constexpr size_t some = 64;

void copy_line(std::string_view line, char *out)
{
	const std::string_view cut = line.substr(0, BTNS_LINE_LEN - 1);
	*std::ranges::copy(cut, out).out = '\0';
}

/** NULL if there are none. */
std::shared_ptr<Latches> latches_of(btns_core_t *core)
{
	return core != nullptr ? core->core.latches() : nullptr;
}

/** Call use(Latches &) if there are latches. */
template <typename Use>
btns_status_t with_latches(const char *function, btns_core_t *core, Use &&use)
{
	return guard(function,
				 [&]
				 {
					 if (const auto latches = latches_of(core))
					 {
						 use(*latches);
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_flow_t to_abi(const btns::Flow &flow)
{
	const auto address = [](const btns::Address &from)
	{ return from.family != 0 ? btns::to_abi(from) : btns_addr_t{}; };
	return {flow.protocol, address(flow.local), address(flow.remote), flow.local_port, flow.remote_port};
}

btns_latches_status_t to_abi(const btns::LatchStatus &status)
{
	return {status.id,
			status.owner,
			status.listener,
			to_abi(status.tuple),
			btns::to_text(status.state),
			btns::to_code(status.reason),
			btns::to_text(status.reason)};
}

void show(const btns::LatchView &view, btns_latches_cb_t cb, void *user)
{
	btns_latches_info_t info{};
	btns_channel_info_t channel{};
	info.status = to_abi(view.info);
	info.confidentiality = view.info.request.confidentiality;
	info.authenticated = view.info.request.auth == btns::LatchAuth::authenticated;
	info.narrow = view.info.request.narrow;
	info.wait = view.info.request.disposition == btns::LatchDisposition::wait;
	info.reqid = view.info.reqid;
	if (view.channel)
	{
		channel = btns::to_info(*view.channel);
		info.channel = &channel;
	}
	cb(user, &info);
}

} // namespace

extern "C" {

btns_status_t btns_latches_start(btns_core_t *core, const btns_latches_options_t *options, char *error)
{
	if (core == nullptr || options == nullptr || error == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	copy_line("out of memory", error);
	return guard(
		__func__,
		[&]
		{
			btns::LatchLimits limits;
			limits.database.latches = options->latches != 0 ? options->latches : limits.database.latches;
			limits.database.per_owner = options->per_client != 0 ? options->per_client : limits.database.per_owner;
			try
			{
				core->core.set_latches(std::make_shared<Latches>(core->core.table, options->acquire, limits,
																 core->core.latch_changes, options->policy_breaks));
			}
			catch (const std::system_error &failure)
			{
				copy_line(failure.what(), error);
				return BTNS_STATUS_REFUSED;
			}
			*error = '\0';
			return BTNS_STATUS_OK;
		});
}

void btns_latches_stop(btns_core_t *core)
{
	with_latches("", core,
				 [&](Latches &latches)
				 {
					 latches.stop();
					 core->core.set_latches(nullptr);
				 });
}

btns_status_t btns_child_narrow(btns_core_t *core, uint32_t sa, const btns_child_t *child, bool *local, bool *remote)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || child == nullptr || local == nullptr || remote == nullptr ||
						 !btns::is_valid(*child))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto latches = child->btns ? core->core.latches() : nullptr;
					 const auto left_out = latches ? latches->narrow(sa, *child) : std::nullopt;
					 if (!left_out)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 std::ranges::copy(left_out->local, local);
					 std::ranges::copy(left_out->remote, remote);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_latches_before_install(btns_core_t *core, uint32_t sa, const btns_child_t *child,
										  const btns_latches_sa_t *kernel, btns_reason_t *reason)
{
	btns_reason_t ignored = BTNS_REASON_NONE;
	btns_reason_t &why = reason != nullptr ? *reason : ignored;
	why = BTNS_REASON_INTERNAL;
	const btns_status_t status =
		guard_reason(__func__, &why,
					 [&]
					 {
						 if (core == nullptr || child == nullptr || kernel == nullptr || !btns::is_valid(*child))
						 {
							 return BTNS_STATUS_INVALID;
						 }
						 const auto latches = core->core.latches();
						 why = latches ? latches->before_install(sa, *child, *kernel) : BTNS_REASON_NONE;
						 return btns::status_of(why);
					 });
	if (status != BTNS_STATUS_OK && status != BTNS_STATUS_REFUSED && (child == nullptr || !child->btns))
	{
		// it will be there, and nobody knows
		with_latches("", core, [](Latches &latches) { latches.fail(); });
	}
	return status;
}

void btns_latches_gone(btns_core_t *core, uint32_t child)
{
	with_latches(__func__, core, [&](Latches &latches) { latches.gone(child); });
}

void btns_latches_moved(btns_core_t *core, uint32_t child, const btns_addr_t *local, const btns_addr_t *remote)
{
	with_latches(__func__, core,
				 [&](Latches &latches)
				 {
					 const auto from = local != nullptr ? btns::to_address(*local) : std::nullopt;
					 const auto to = remote != nullptr ? btns::to_address(*remote) : std::nullopt;
					 latches.moved(child, from.value_or(btns::Address{}), to.value_or(btns::Address{}));
				 });
}

void btns_latches_peer_dead(btns_core_t *core, uint32_t sa)
{
	with_latches(__func__, core, [&](Latches &latches) { latches.peer_dead(sa); });
}

bool btns_latches_has_reqid(btns_core_t *core, uint32_t reqid)
{
	bool has = true;
	const btns_status_t status = guard(__func__,
									   [&]
									   {
										   const auto latches = latches_of(core);
										   has = latches && latches->has_reqid(reqid);
										   return BTNS_STATUS_OK;
									   });
	return status != BTNS_STATUS_OK || has;
}

bool btns_latches_wait(btns_core_t *core, btns_latches_acquire_t *out)
{
	*out = {};
	bool found = false;
	with_latches(__func__, core,
				 [&](Latches &latches)
				 {
					 if (const auto next = latches.wait_acquire())
					 {
						 *out = {next->latch, to_abi(next->flow), next->narrow};
						 found = true;
					 }
				 });
	return found;
}

void btns_latches_refuse(btns_core_t *core, uint64_t latch)
{
	with_latches(__func__, core, [&](Latches &latches) { latches.refuse(latch); });
}

btns_status_t btns_latches_each(btns_core_t *core, btns_latches_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto latches = core->core.latches();
					 if (!latches)
					 {
						 return BTNS_STATUS_OK;
					 }
					 const btns::LatchId last = latches->last();
					 for (btns::LatchId from = 1; from <= last;)
					 {
						 const auto views = latches->list(from, some);
						 for (const btns::LatchView &view : views)
						 {
							 show(view, cb, user);
						 }
						 if (views.size() < some)
						 {
							 break;
						 }
						 from = views.back().info.id + 1;
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_latches_watch(btns_core_t *core)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.latch_changes->watch();
					 return BTNS_STATUS_OK;
				 });
}

bool btns_latches_next_change(btns_core_t *core, btns_latches_change_t *out)
{
	*out = {};
	bool found = false;
	guard(__func__,
		  [&]
		  {
			  // whoever waits must not find the core gone
			  const auto changes = core->core.latch_changes;
			  if (const auto next = changes->wait())
			  {
				  *out = {to_abi(*next), next->lost};
				  found = true;
			  }
			  return BTNS_STATUS_OK;
		  });
	return found;
}

void btns_latches_unwatch(btns_core_t *core)
{
	core->core.latch_changes->stop();
}

btns_status_t btns_latches_close(btns_core_t *core, uint64_t latch)
{
	return guard(__func__,
				 [&]
				 {
					 const auto latches = latches_of(core);
					 return latches && latches->close(latch) ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED;
				 });
}

} // extern "C"
