/* SPDX-License-Identifier: MIT */
/**
 * @file answer.h
 * What the daemon says, read. It is not trusted more than needed: nothing is read past the end, and what makes no sense
 * is no answer.
 */
#ifndef BTNS_ANSWER_H_
#define BTNS_ANSWER_H_

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "btns.h"
#include "wire.h"

namespace btns::client
{

/** Octets of a SHA-256 digest. */
using Digest = std::array<uint8_t, 32>;

/** A binding, or the sentence why there is none. */
struct Binding
{
	std::optional<Digest> value;
	std::string reason;
};

/** What was found for one socket. */
struct Facts
{
	/** `size` is that of this version */
	btns_info_t info = BTNS_INFO_INIT;
	/** empty if it is protected */
	std::string reason;
	std::vector<uint8_t> peer_key;
	std::vector<uint8_t> peer_certificate;
	std::vector<uint8_t> trust_anchor;
	Binding endpoints;
	Binding unique;
};

/** What was said of a latch. */
struct LatchFacts
{
	/** `size` is that of this version */
	btns_latch_info_t info = BTNS_LATCH_INFO_INIT;
	/** 0 if it was not said */
	uint32_t number = 0;
	/** connect() may be called */
	bool ready = false;
	/** if it was established */
	std::optional<Facts> channel;
};

/** A message of the daemon. */
struct Answer
{
	wire::Type type = wire::Type::error;
	uint32_t id = 0;
	/** in error; never BTNS_OK */
	btns_error_t error = BTNS_EDAEMON;
	/** in event */
	btns_event_type_t event = BTNS_EVENT_CLOSED;
	/** in events of latches */
	btns_latch_reason_t reason = BTNS_LATCH_REASON_NONE;
	uint32_t born = 0;
	/** in channel */
	std::optional<Facts> facts;
	/** in latched */
	std::optional<LatchFacts> latch;
};

/** Read a message; nothing if it makes no sense. Attributes with other tags than those of wire.h are skipped. */
std::optional<Answer> read_answer(std::span<const uint8_t> message);

} // namespace btns::client

#endif /* BTNS_ANSWER_H_ */
