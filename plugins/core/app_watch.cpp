/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_watch.h"

#include <string_view>

#include "app_wire.h"

namespace btns
{

namespace
{

void append(AppMessage &out, Bytes octets)
{
	out.push_back(static_cast<uint8_t>(octets.size() >> 8));
	out.push_back(static_cast<uint8_t>(octets.size()));
	out.insert(out.end(), octets.begin(), octets.end());
}

void append(AppMessage &out, std::string_view text)
{
	append(out, Bytes(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
}

/** Key, identities and method: somebody for whom one of these is another is somebody else. */
AppMessage peer_of(const Channel &channel)
{
	AppMessage out{static_cast<uint8_t>(channel.peer_method)};
	append(out, std::string_view(channel.asserted_id));
	append(out, std::string_view(channel.authorized_id));
	append(out, channel.peer_fingerprint ? Bytes(*channel.peer_fingerprint) : Bytes());
	append(out, Bytes(channel.peer_key));
	return out;
}

} // namespace

WatchState watch_state(const Flow &flow, const ChannelAnswer &answer)
{
	WatchState state;
	state.is_protected = answer.protection == BTNS_PROTECTED && answer.channel;
	if (state.is_protected)
	{
		state.peer = fingerprint(peer_of(*answer.channel));
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
