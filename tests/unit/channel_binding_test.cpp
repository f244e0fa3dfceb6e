/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "channel_binding.h"

#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "vectors.h"

namespace
{

using btns::Authentication;
using btns::Binding;
using btns::BindingType;
using btns::endpoints_binding;
using btns::Fingerprint;
using btns::Transcript;
using btns::Unavailable;
using btns::test::load_vector;
using btns::test::Octets;

constexpr size_t message_1_octets = 64;
constexpr size_t message_2_octets = 72;
constexpr size_t signature_octets = 64;

Fingerprint print_of(const Octets &octets)
{
	Fingerprint print{};
	EXPECT_EQ(octets.size(), print.size());
	std::ranges::copy(octets, print.begin());
	return print;
}

Octets octets_of(const Binding &binding)
{
	return {binding.begin(), binding.end()};
}

Authentication two_keys()
{
	const auto vector = load_vector("channel-bindings.txt", "endpoints");
	return {1, print_of(vector.octets("local")), print_of(vector.octets("peer")), true};
}

std::string base64(const Octets &octets)
{
	std::string text(4 * octets.size() / 3 + 8, '\0');
	auto *const out = reinterpret_cast<unsigned char *>(text.data());
	text.resize(static_cast<size_t>(EVP_EncodeBlock(out, octets.data(), static_cast<int>(octets.size()))));
	return text;
}

/** prf+ of RFC 7296 2.13 with PRF_HMAC_SHA2_256, whose first block is all that is needed. */
Octets prf_plus(const Octets &key, Octets seed)
{
	seed.push_back(1);
	Octets out(EVP_MAX_MD_SIZE);
	unsigned length = 0;
	EXPECT_NE(
		HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), seed.data(), seed.size(), out.data(), &length),
		nullptr);
	out.resize(length);
	return out;
}

/** The parts of the vector, in order. */
std::vector<std::pair<Transcript::Part, Octets>> exchange()
{
	const auto vector = load_vector("channel-bindings.txt", "unique");
	const auto signed_by = [&](uint8_t octet)
	{
		Octets auth = vector.octets("auth");
		auth.insert(auth.end(), signature_octets, octet);
		return auth;
	};
	return {{Transcript::Part::real_message_1, Octets(message_1_octets, 0x11)},
			{Transcript::Part::real_message_2, Octets(message_2_octets, 0x22)},
			{Transcript::Part::id_initiator, vector.octets("id")},
			{Transcript::Part::id_responder, vector.octets("id")},
			{Transcript::Part::auth_initiator, signed_by(0xa1)},
			{Transcript::Part::auth_responder, signed_by(0xb2)}};
}

std::optional<Binding> digest(const std::vector<std::pair<Transcript::Part, Octets>> &parts)
{
	Transcript transcript;
	for (const auto &[part, octets] : parts)
	{
		transcript.add(part, octets);
	}
	return transcript.finish();
}

TEST(ChannelBinding, of_the_end_points_is_the_vectors)
{
	const auto vector = load_vector("channel-bindings.txt", "endpoints");
	const auto answer = endpoints_binding(two_keys());
	ASSERT_TRUE(answer.value);
	EXPECT_EQ(octets_of(*answer.value), vector.octets("value"));

	const std::string header = "p=ipsec-ikev2-endpoints-sha256,,";
	Octets scram(header.begin(), header.end());
	scram.insert(scram.end(), answer.value->begin(), answer.value->end());
	EXPECT_EQ(base64(scram), vector.text("scram"));
}

TEST(ChannelBinding, of_the_end_points_is_the_same_at_both_ends)
{
	Authentication here = two_keys();
	Authentication there = here;
	std::swap(there.local, there.peer);
	EXPECT_EQ(endpoints_binding(here).value, endpoints_binding(there).value);
	(*there.peer)[31] ^= 1;
	EXPECT_NE(endpoints_binding(here).value, endpoints_binding(there).value);
}

TEST(ChannelBinding, of_the_end_points_is_not_there_without_two_signatures_on_a_channel_with_integrity)
{
	const auto why = [](auto change)
	{
		Authentication authentication = two_keys();
		change(authentication);
		const auto answer = endpoints_binding(authentication);
		EXPECT_FALSE(answer.value);
		return answer.why;
	};
	EXPECT_EQ(why([](auto &sa) { sa.integrity = false; }), Unavailable::no_integrity);
	EXPECT_EQ(why([](auto &sa) { sa.local.reset(); }), Unavailable::no_signature);
	EXPECT_EQ(why([](auto &sa) { sa.peer.reset(); }), Unavailable::no_signature);
	EXPECT_EQ(why([](auto &sa) { sa.rounds = 0; }), Unavailable::rounds);
	EXPECT_EQ(why([](auto &sa) { sa.rounds = 2; }), Unavailable::rounds);
	EXPECT_EQ(why([](auto &sa) { sa.peer = sa.local; }), Unavailable::same_key);
}

TEST(ChannelBinding, that_is_unique_is_the_vectors)
{
	const auto vector = load_vector("channel-bindings.txt", "unique");
	const auto transcript = digest(exchange());
	ASSERT_TRUE(transcript);
	EXPECT_EQ(octets_of(*transcript), vector.octets("transcript"));
	EXPECT_EQ(prf_plus(vector.octets("sk-d"), btns::unique_seed(*transcript)), vector.octets("value"));
}

TEST(ChannelBinding, that_is_unique_differs_with_each_octet_of_each_part)
{
	const auto parts = exchange();
	const auto original = digest(parts);
	for (size_t i = 0; i < parts.size(); i++)
	{
		auto changed = parts;
		changed[i].second.back() ^= 1;
		EXPECT_NE(digest(changed), original) << i;
		// no octet may move from one part to the next
		changed = parts;
		const uint8_t last = changed[i].second.back();
		changed[i].second.pop_back();
		auto &next = changed[(i + 1) % changed.size()].second;
		next.insert(next.begin(), last);
		EXPECT_NE(digest(changed), original) << i;
	}
	auto with_int_auth = parts;
	with_int_auth.insert(with_int_auth.begin() + 2, {Transcript::Part::int_auth, Octets(32, 0x33)});
	const auto other = digest(with_int_auth);
	EXPECT_TRUE(other);
	EXPECT_NE(other, original);
}

TEST(ChannelBinding, that_is_unique_needs_every_part_once_and_in_order)
{
	const auto parts = exchange();
	for (size_t i = 0; i < parts.size(); i++)
	{
		auto changed = parts;
		changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
		EXPECT_FALSE(digest(changed)) << i << " is missing";
		changed = parts;
		changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), parts[i]);
		EXPECT_FALSE(digest(changed)) << i << " comes twice";
		changed = parts;
		std::swap(changed[i], changed[(i + 1) % changed.size()]);
		EXPECT_FALSE(digest(changed)) << i << " comes too late";
	}
	EXPECT_FALSE(digest({}));
}

TEST(ChannelBinding, that_is_unique_is_computed_once)
{
	Transcript transcript;
	for (const auto &[part, octets] : exchange())
	{
		transcript.add(part, octets);
	}
	EXPECT_TRUE(transcript.finish());
	EXPECT_FALSE(transcript.finish());
}

TEST(ChannelBinding, has_its_name_in_front_in_the_prefixed_form)
{
	const Binding value{1, 2, 3};
	for (const auto type : {BindingType::endpoints, BindingType::unique})
	{
		const auto form = btns::prefixed(type, value);
		const std::string name(btns::binding_name(type));
		EXPECT_EQ(std::string(form.begin(), form.end() - value.size()), name + ":");
		EXPECT_TRUE(std::ranges::equal(btns::Bytes(form).last(value.size()), value));
	}
}

} // namespace
