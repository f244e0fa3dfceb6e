/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * btns_key_parse() in all encodings. First octet: the encoding in bits 0 and 1, the smallest RSA modulus in bits 2 and
 * 3, switched off key types in the rest. A key that is accepted has one canonical form, which is accepted as the same
 * key.
 */
#include <algorithm>
#include <array>

#include "fuzz.h"

namespace
{

using btns::fuzz::Bytes;
using btns::fuzz::require;
using btns::fuzz::view;

constexpr std::array<unsigned, 4> encodings{BTNS_ENCODING_SPKI, BTNS_ENCODING_PKCS1, BTNS_ENCODING_X509,
											BTNS_ENCODING_OPENIKED_EC};

bool same(const btns_key_t &a, const btns_key_t &b)
{
	return a.type == b.type && a.bits == b.bits && std::ranges::equal(a.fingerprint, b.fingerprint) &&
		   std::ranges::equal(std::span(a.spki, a.spki_len), std::span(b.spki, b.spki_len));
}

void check_refused(const btns_key_t &key, btns_reason_t reason)
{
	const auto *octets = reinterpret_cast<const uint8_t *>(&key);
	require(std::all_of(octets, octets + sizeof(key), [](uint8_t octet) { return octet == 0; }),
			"nothing of a refused key is given out");
	require(reason != BTNS_REASON_NONE && reason < BTNS_REASON_COUNT, "a refusal has a reason");
}

void check_same_again(const btns_key_policy_t &policy, unsigned encoding, Bytes body, const btns_key_t &key)
{
	btns_key_t again;
	btns_reason_t reason = BTNS_REASON_NONE;
	require(btns_key_parse(&policy, encoding, view(body), &again, &reason) == BTNS_STATUS_OK,
			"the canonical form of an accepted key is accepted");
	require(same(key, again), "the canonical form is the same key");
}

void check_accepted(const btns_key_policy_t &policy, unsigned encoding, const btns_key_t &key, btns_reason_t reason)
{
	require(reason == BTNS_REASON_NONE, "an accepted key has no reason");
	require(key.encoding == encoding, "the encoding is told");
	require(key.spki_len > 0 && key.spki_len <= BTNS_SPKI_MAX, "there is an SPKI");
	require((policy.types & 1U << key.type) != 0, "the key's type is allowed");
	require(key.type != BTNS_KEY_RSA || key.bits >= std::max(policy.rsa_min, 2048U), "an RSA key is long enough");

	const Bytes spki(key.spki, key.spki_len);
	check_same_again(policy, BTNS_ENCODING_SPKI, spki, key);

	std::array<uint8_t, BTNS_SPKI_MAX> body{};
	size_t len = 0;
	require(btns_key_encode(BTNS_ENCODING_SPKI, view(spki), body.data(), &len) == BTNS_STATUS_OK &&
				std::ranges::equal(spki, std::span(body).first(len)),
			"encoding the canonical form changes nothing");
	const btns_status_t status = btns_key_encode(BTNS_ENCODING_PKCS1, view(spki), body.data(), &len);
	require((status == BTNS_STATUS_OK) == (key.type == BTNS_KEY_RSA), "RSA keys and no others have a PKCS#1 form");
	if (status == BTNS_STATUS_OK)
	{
		check_same_again(policy, BTNS_ENCODING_PKCS1, std::span(body).first(len), key);
	}
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	btns::fuzz::Input input(data, size);
	const unsigned choice = input.octet();
	btns_options_t options;
	btns_options_default(&options);
	btns_key_policy_t policy = options.keys;
	policy.rsa_min = 1024 * (choice >> 2 & 3);
	policy.encodings = ~0U;
	policy.types &= ~(choice >> 4 << BTNS_KEY_RSA);
	const unsigned encoding = encodings.at(choice & 3);
	const Bytes body = input.all();

	btns_key_t key;
	btns_reason_t reason = BTNS_REASON_NONE;
	const btns_status_t status = btns_key_parse(&policy, encoding, view(body), &key, &reason);
	require(status == BTNS_STATUS_OK || status == BTNS_STATUS_REFUSED, "a key is accepted or refused");
	if (status == BTNS_STATUS_OK)
	{
		check_accepted(policy, encoding, key, reason);
	}
	else
	{
		check_refused(key, reason);
	}

	// our own keys come from the administrator; the reader is the same
	std::array<uint8_t, BTNS_SPKI_MAX> out{};
	size_t len = 0;
	for (const unsigned own : encodings)
	{
		require(btns_key_encode(own, view(body), out.data(), &len) == BTNS_STATUS_OK || len == 0,
				"a key that cannot be encoded has no octets");
	}
	return 0;
}
