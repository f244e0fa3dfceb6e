/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_watch.h
 * What an application that watches a connection has been told, and what it would have to be told now.
 */
#pragma once

#include <optional>

#include "channel.h"

namespace btns
{

/** An answer as far as two of them can be compared. */
struct WatchState
{
	bool is_protected = false;
	/** digests over who the peer is, and over all that an application can see; zero unless protected */
	Fingerprint peer{};
	Fingerprint all{};
};

/** Throws std::bad_alloc, or std::runtime_error if OpenSSL has no SHA-256. */
WatchState watch_state(const Flow &flow, const ChannelAnswer &answer);

/** The event for a change, none if there was none. */
std::optional<btns_event_type_t> watch_event(const WatchState &before, const WatchState &now);

} // namespace btns
