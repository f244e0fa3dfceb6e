/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * What an application sends, and texts that are sent to it. A request is read as a plain reading of client/wire.h does;
 * a text is printable UTF-8 of a bounded length, and made so once is left alone; and the library reads whatever the
 * server writes, with the same octets in it. What an application asks of a latch is understood, all of it, or refused.
 */
#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "answer.h"
#include "app_watch.h"
#include "app_wire.h"
#include "fuzz.h"

namespace
{

using btns::fuzz::Bytes;
using btns::fuzz::Input;
using btns::fuzz::require;

/** Where a request's attributes end, if they are whole. */
bool is_request(Bytes message)
{
	if (message.size() < 8 || message.size() > 128 || message[0] != 1 || message[2] != 0 || message[3] != 0)
	{
		return false;
	}
	size_t at = 8;
	while (at < message.size())
	{
		if (message.size() - at < 4)
		{
			return false;
		}
		at += size_t{4} + (static_cast<size_t>(message[at + 2]) << 8 | message[at + 3]);
	}
	return at == message.size();
}

/** The octets of an attribute of a well-formed message, and how often it is there. */
std::pair<Bytes, unsigned> attribute(Bytes message, unsigned tag)
{
	std::pair<Bytes, unsigned> found;
	for (size_t at = 8; at < message.size();)
	{
		const size_t length = static_cast<size_t>(message[at + 2]) << 8 | message[at + 3];
		if ((static_cast<unsigned>(message[at]) << 8 | message[at + 1]) == tag)
		{
			found = {message.subspan(at + 4, length), found.second + 1};
		}
		at += 4 + length;
	}
	return found;
}

/** What is accepted of a request for a latch is what it says, and nothing that is said is passed over. */
void check_wants(Bytes message, const btns::AppRequest &request)
{
	if (request.type != 4 || request.error != BTNS_OK)
	{
		require(request.type == 4 || request.error == BTNS_OK, "nothing else is wrong with what it wants");
		return;
	}
	size_t known = 8;
	for (unsigned tag = 48; tag <= 54; tag++)
	{
		const auto [value, count] = attribute(message, tag);
		require(count <= 1, "nothing is wanted twice");
		known += count * (4 + value.size());
	}
	require(known == message.size(), "all that is wanted is understood");
	const auto number = [&](unsigned tag, unsigned otherwise)
	{
		const auto [value, count] = attribute(message, tag);
		unsigned out = 0;
		for (const uint8_t octet : value)
		{
			out = out << 8 | octet;
		}
		return count > 0 ? out : otherwise;
	};
	const btns::LatchRequest &wants = request.latch;
	require(number(48, 1) == ((wants.confidentiality ? 1U : 0U) | (wants.narrow ? 2U : 0U)), "flags");
	require(number(49, 0) == static_cast<unsigned>(wants.auth), "authentication");
	require(number(50, 0) == static_cast<unsigned>(wants.disposition), "disposition");
	require(number(51, 0) == static_cast<unsigned>(wants.mode), "mode");
	require(number(53, 10000) == wants.timeout && wants.timeout <= btns::wire::timeout_max, "timeout");
	const auto [key, has_key] = attribute(message, 52);
	require((has_key != 0) == wants.peer_key.has_value() && (has_key == 0 || std::ranges::equal(key, *wants.peer_key)),
			"the key is the one that is wanted");
	const auto [destination, has_destination] = attribute(message, 54);
	require((has_destination != 0) == request.destination.has_value(), "there is a destination or none");
	require(has_destination == 0 || (request.destination->port == (destination[0] << 8 | destination[1]) &&
									 request.destination->port != 0 &&
									 destination.size() == (request.destination->address.family == 4 ? 6 : 18)),
			"the destination is the one that is wanted");
}

void check_request(Bytes message)
{
	const auto request = btns::parse_app_request(message);
	require(request.has_value() == is_request(message), "a request is one by a plain reading");
	require(!request ||
				(request->type == message[1] && request->id >> 24 == message[4] && (request->id & 0xff) == message[7]),
			"type and id are those of the header");
	if (request)
	{
		check_wants(message, *request);
	}
}

std::string text(Input &input)
{
	const Bytes taken = input.octets(input.octet() * 2);
	return {taken.begin(), taken.end()};
}

void check_text(const std::string &text, size_t max)
{
	const std::string clean = btns::app_text(text, max);
	require(clean.size() <= max, "a text is not longer than it may be");
	require(btns::app_text(clean, max) == clean, "a clean text stays as it is");
	require(std::ranges::none_of(clean, [](char octet) { return static_cast<uint8_t>(octet) < 0x20 || octet == 0x7f; }),
			"a text has no control characters");
}

btns::Address address(Input &input)
{
	btns::Address out{input.flag() ? 4U : 6U, 0};
	for (unsigned i = 0; i < (out.family == 4 ? 4U : 16U); i++)
	{
		out.value = out.value << 8 | input.octet();
	}
	return out;
}

btns::BindingAnswer binding(Input &input)
{
	btns::BindingAnswer out;
	if (input.flag())
	{
		out.value.emplace().fill(input.octet());
	}
	else
	{
		out.why = static_cast<btns::Unavailable>(1 + input.below(3));
	}
	return out;
}

btns::ChannelAnswer answer(Input &input)
{
	btns::ChannelAnswer out;
	out.protection = static_cast<btns_protection_t>(input.below(3));
	out.reason = "why";
	if (!input.flag())
	{
		return out;
	}
	btns::Channel &channel = out.channel.emplace();
	channel.confidentiality = input.flag();
	channel.integrity = input.flag();
	channel.mode = static_cast<btns_mode_t>(input.below(4));
	channel.local_method = static_cast<btns_method_t>(input.below(8));
	channel.peer_method = static_cast<btns_method_t>(input.below(8));
	channel.encryption_algorithm = text(input);
	channel.asserted_id = text(input);
	channel.authorized_id = text(input);
	if (input.flag())
	{
		channel.peer_fingerprint.emplace().fill(input.octet());
	}
	const Bytes key = input.octets(input.octet() * 5);
	channel.peer_key.assign(key.begin(), key.end());
	channel.local = {address(input), static_cast<uint16_t>(input.octet() << 8 | input.octet()), input.flag()};
	channel.peer = {address(input), static_cast<uint16_t>(input.octet() << 8 | input.octet()), input.flag()};
	channel.established = input.octet();
	channel.endpoints = binding(input);
	channel.unique = binding(input);
	return out;
}

void check_answer(Input &input)
{
	const btns::Flow flow{6, address(input), address(input), 1, 2};
	const btns::ChannelAnswer answer = ::answer(input);
	const auto message = btns::app_channel_message(5, flow, answer);
	require(message.size() <= btns::wire::answer_max, "an answer is not longer than it may be");
	const auto read = btns::client::read_answer(message);
	require(read && read->facts && read->id == 5, "the library reads what the server writes");
	const btns::client::Facts &facts = *read->facts;
	const bool is_protected = answer.protection == BTNS_PROTECTED && answer.channel;
	require((facts.info.protection == BTNS_PROTECTED) == is_protected, "protected is what a channel protects");
	require(is_protected == btns::watch_state(flow, answer).is_protected, "and who watches sees the same");
	if (is_protected)
	{
		require(facts.peer_key == answer.channel->peer_key, "the key is the peer's");
		require(facts.unique.value.has_value() == answer.channel->unique.value.has_value() &&
					facts.unique.reason.empty() == answer.channel->unique.value.has_value(),
				"there is a binding or a reason");
		require(facts.info.authorized_id == btns::app_text(answer.channel->authorized_id, BTNS_TEXT_MAX - 1),
				"the identity is the authorized one");
	}
}

void check_latch(Input &input)
{
	btns::LatchAnswer answer;
	answer.state = static_cast<btns::LatchState>(input.below(5));
	answer.reason = static_cast<btns::LatchReason>(input.below(9));
	answer.ready = input.flag();
	answer.indeterminate = input.flag();
	answer.tuple = {input.octet(), address(input), address(input), input.octet(), input.octet()};
	if (input.flag())
	{
		answer.tuple.remote = {};
	}
	answer.request.auth = static_cast<btns::LatchAuth>(input.below(2));
	answer.request.timeout = input.octet();
	if (input.flag())
	{
		answer.request.peer_key.emplace().fill(input.octet());
	}
	const uint32_t number = input.octet();
	if (const btns::ChannelAnswer has = ::answer(input); has.channel)
	{
		answer.channel = std::make_shared<const btns::Channel>(*has.channel);
	}
	const auto message = btns::app_latched_message(5, answer, number);
	require(message.size() <= btns::wire::answer_max, "an answer is not longer than it may be");
	const auto read = btns::client::read_answer(message);
	require(read && read->latch && read->id == 5, "the library reads what the server writes");
	const btns::client::LatchFacts &latch = *read->latch;
	const bool lost = answer.state == btns::LatchState::established && !answer.channel;
	require(lost ? latch.info.state == BTNS_LATCH_BROKEN
				 : latch.info.state == static_cast<int>(answer.state) + BTNS_LATCH_LISTENER,
			"the state is the latch's");
	require(static_cast<int>(latch.info.reason) == static_cast<int>(answer.reason), "the reason is the latch's");
	require(latch.number == number && latch.ready == answer.ready, "number and readiness are the latch's");
	require(latch.channel.has_value() == (answer.channel != nullptr), "there is a channel or none");
	require((latch.info.wants_peer_key != 0) == answer.request.peer_key.has_value() &&
				latch.info.timeout == answer.request.timeout,
			"what was asked for is told");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input(data, size);
	switch (input.below(4))
	{
	case 0:
		check_request(input.all());
		break;
	case 1:
	{
		const size_t max = input.octet();
		const Bytes rest = input.all();
		check_text({rest.begin(), rest.end()}, max);
		break;
	}
	case 2:
		check_answer(input);
		break;
	default:
		check_latch(input);
		break;
	}
	return 0;
}
