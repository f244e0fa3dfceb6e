/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * What an application sends, and texts that are sent to it. A request is read as a plain reading of client/wire.h does;
 * a text is printable UTF-8 of a bounded length, and made so once is left alone; and the library reads whatever the
 * server writes, with the same octets in it.
 */
#include <algorithm>
#include <string_view>

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
	if (message.size() < 8 || message.size() > 64 || message[0] != 1 || message[2] != 0 || message[3] != 0)
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

void check_request(Bytes message)
{
	const auto request = btns::parse_app_request(message);
	require(request.has_value() == is_request(message), "a request is one by a plain reading");
	require(!request ||
				(request->type == message[1] && request->id >> 24 == message[4] && (request->id & 0xff) == message[7]),
			"type and id are those of the header");
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

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input(data, size);
	switch (input.below(3))
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
	default:
		check_answer(input);
		break;
	}
	return 0;
}
