/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * What a daemon sends to the library: what is accepted has texts that end, values that have names, an error that is
 * one, and nothing of a channel unless it is protected; a latch is held to somebody.
 */
#include "answer.h"

#include <cstring>

#include "fuzz.h"

namespace
{

using btns::fuzz::require;

template <size_t Size>
void check_text(const char (&text)[Size]) // NOLINT(*-avoid-c-arrays)
{
	require(std::memchr(text, 0, Size) != nullptr, "a text ends within its array");
}

void check_address(const sockaddr_storage &address)
{
	require(address.ss_family == AF_UNSPEC || address.ss_family == AF_INET || address.ss_family == AF_INET6,
			"an address has a family");
}

void check(const btns::client::Facts &facts)
{
	const btns_info_t &info = facts.info;
	require(info.size == sizeof(info), "the size is that of this version");
	require(info.protection <= BTNS_AMBIGUOUS && info.mode <= BTNS_MODE_BEET &&
				info.local_method <= BTNS_METHOD_MULTIPLE && info.peer_method <= BTNS_METHOD_MULTIPLE,
			"values have names");
	check_text(info.encryption_algorithm);
	check_text(info.integrity_algorithm);
	check_text(info.asserted_id);
	check_text(info.authorized_id);
	check_address(info.inner_local);
	check_address(info.inner_peer);
	check_address(info.outer_local);
	check_address(info.outer_peer);
	require(info.established >= 0, "no time before 1970");
	require(std::strlen(facts.reason.c_str()) == facts.reason.size(), "a sentence has no NUL");
	require(info.protection == BTNS_PROTECTED ||
				(info.confidentiality == 0 && info.integrity == 0 && !facts.endpoints.value && !facts.unique.value &&
				 facts.peer_key.empty()),
			"what is not protected has no bindings");
}

void check(const btns::client::LatchFacts &latch)
{
	const btns_latch_info_t &info = latch.info;
	require(info.size == sizeof(info), "the size is that of this version");
	require(info.state >= BTNS_LATCH_LISTENER && info.state <= BTNS_LATCH_CLOSED &&
				info.reason <= BTNS_LATCH_REASON_SHUTDOWN && info.wants_auth <= BTNS_LATCH_AUTHENTICATED &&
				info.disposition <= BTNS_LATCH_WAIT && info.wants_mode <= BTNS_MODE_BEET,
			"values of a latch have names");
	check_address(info.local);
	check_address(info.peer);
	require(info.state != BTNS_LATCH_ESTABLISHED || latch.channel, "who is latched is known");
	if (latch.channel)
	{
		require(latch.channel->info.protection == BTNS_PROTECTED, "a latch's channel is protected");
		check(*latch.channel);
	}
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const auto answer = btns::client::read_answer(btns::fuzz::Bytes(data, size));
	if (!answer)
	{
		return 0;
	}
	require(answer->error > BTNS_OK && answer->error <= BTNS_EKERNEL, "an error is one");
	require(answer->event >= BTNS_EVENT_RENEWED && answer->event <= BTNS_EVENT_LATCH_BORN, "an event is one");
	require(answer->type != btns::wire::Type::event || answer->event != BTNS_EVENT_CLOSED,
			"only the library says that");
	require(answer->reason <= BTNS_LATCH_REASON_SHUTDOWN, "a reason is one");
	require((answer->type == btns::wire::Type::latched) == answer->latch.has_value(), "only a latch has a latch");
	require((answer->type == btns::wire::Type::channel) == answer->facts.has_value(), "only a channel has facts");
	if (answer->facts)
	{
		check(*answer->facts);
	}
	if (answer->latch)
	{
		check(*answer->latch);
	}
	return 0;
}
