/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_watch.h"

#include "app_wire.h"
#include "channel_identity.h"

namespace btns
{

WatchState watch_state(const Flow &flow, const ChannelAnswer &answer)
{
	WatchState state;
	state.is_protected = answer.protection == BTNS_PROTECTED && answer.channel;
	if (state.is_protected)
	{
		state.peer = peer_identity(*answer.channel);
		state.all = fingerprint(app_channel_message(0, flow, answer));
	}
	return state;
}

std::optional<btns_event_type_t> watch_event(const WatchState &before, const WatchState &now)
{
	if (!now.is_protected)
	{
		return before.is_protected ? std::optional(BTNS_EVENT_UNPROTECTED) : std::nullopt;
	}
	if (!before.is_protected)
	{
		return BTNS_EVENT_PROTECTED;
	}
	if (before.peer != now.peer)
	{
		return BTNS_EVENT_CHANGED;
	}
	return before.all != now.all ? std::optional(BTNS_EVENT_RENEWED) : std::nullopt;
}

} // namespace btns
