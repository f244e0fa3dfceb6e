/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_wire.h
 * Messages of the application socket as the daemon reads and writes them; client/wire.h says what is in them.
 */
#pragma once

#include <optional>
#include <vector>

#include "channel.h"
#include "cursor.h"
#include "latch_service.h"
#include "wire.h"

namespace btns
{

struct AppRequest
{
	/** may be none of wire::Type */
	uint8_t type = 0;
	uint32_t id = 0;
	/** of type latch */
	LatchRequest latch;
	std::optional<Endpoint> destination;
	/** what is wrong with that: BTNS_EINVAL, or BTNS_ENOTSUP if it is nothing that this version knows */
	btns_error_t error = BTNS_OK;
};

/** Read a request; nothing if it is none of this version, or not well-formed. */
std::optional<AppRequest> parse_app_request(Bytes message);

using AppMessage = std::vector<uint8_t>;

/** The answer to find and watch, at most wire::answer_max octets. Texts are cut, and made UTF-8 without control
 * characters. */
AppMessage app_channel_message(uint32_t id, const Flow &flow, const ChannelAnswer &answer);
AppMessage app_error_message(uint32_t id, btns_error_t error);
AppMessage app_done_message(uint32_t id);
AppMessage app_event_message(uint32_t id, btns_event_type_t event);
/**
 * The answer about a latch that was made, at most wire::answer_max octets.
 *
 * @param number	the latch's, if the id is not that; else 0
 */
AppMessage app_latched_message(uint32_t id, const LatchAnswer &answer, uint32_t number);
/** @param born	the number of the latch that was born, 0 for none that this client has */
AppMessage app_alert_message(uint32_t id, btns_event_type_t event, LatchReason reason, uint32_t born);

btns_error_t to_error(LatchOutcome outcome);
/** The event for an alert, none if it is nothing that a client has to hear. */
std::optional<btns_event_type_t> alert_event(const LatchAlert &alert);

/** At most so many octets of a text, whole characters; what is no printable UTF-8 becomes '?'. */
std::string app_text(std::string_view text, size_t max);

} // namespace btns
