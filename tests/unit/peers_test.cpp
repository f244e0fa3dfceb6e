/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <algorithm>

#include "core_world.h"
#include "side_table.h"

namespace
{

using btns::test::addr;
using btns::test::Child;
using btns::test::Connection;
using btns::test::Evicted;
using btns::test::new_rsa;
using btns::test::new_spki;
using btns::test::ts;
using btns::test::World;
using Octets = std::vector<uint8_t>;

constexpr const char *here = "198.51.100.7";
constexpr const char *elsewhere = "203.0.113.66";

struct Payload
{
	unsigned encoding;
	Octets body;
};

/** What btns_sa_key() says about a message with these CERT payloads. */
btns_reason_t key_of(World &world, const std::vector<Payload> &payloads, btns_key_t *key = nullptr, size_t total = 0)
{
	std::vector<btns_cert_t> certs;
	for (const auto &payload : payloads)
	{
		certs.push_back({payload.encoding, {payload.body.data(), payload.body.size()}});
	}
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_SIGNATURE;
	message.source = addr(here);
	message.certs = certs.data();
	message.cert_count = certs.size();
	message.cert_total = std::max(total, certs.size());
	world.init(1, here);
	EXPECT_EQ(btns_sa_message(world, 1, &message), BTNS_STATUS_OK);
	btns_key_t ignored;
	btns_key_t &out = key != nullptr ? *key : ignored;
	btns_reason_t reason = BTNS_REASON_INTERNAL;
	const btns_status_t status = btns_sa_key(world, 1, world.now, &out, &reason);
	EXPECT_EQ(status, reason == BTNS_REASON_NONE ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED);
	if (status != BTNS_STATUS_OK)
	{
		EXPECT_EQ(out.type, BTNS_KEY_NONE);
		EXPECT_EQ(out.spki_len, 0U);
	}
	return reason;
}

class PresentedKey : public testing::Test
{
protected:
	World world;
	const Octets spki = new_spki();
	const std::pair<Octets, Octets> rsa = new_rsa();
};

TEST_F(PresentedKey, one_bare_key)
{
	btns_key_t key;
	EXPECT_EQ(key_of(world, {{15, spki}}, &key), BTNS_REASON_NONE);
	EXPECT_EQ(key.type, BTNS_KEY_ED25519);
	EXPECT_EQ(key.encoding, 15U);
	EXPECT_EQ(key_of(world, {{11, rsa.first}}, &key), BTNS_REASON_NONE);
	EXPECT_EQ(key.type, BTNS_KEY_RSA);
	EXPECT_EQ(key.encoding, 11U);
}

TEST_F(PresentedKey, the_same_key_in_two_encodings_is_one)
{
	btns_key_t key;
	EXPECT_EQ(key_of(world, {{11, rsa.first}, {15, rsa.second}}, &key), BTNS_REASON_NONE);
	EXPECT_EQ(key.encoding, 15U);
	EXPECT_EQ(key_of(world, {{11, rsa.first}, {15, spki}}), BTNS_REASON_TWO_KEYS);
	EXPECT_EQ(key_of(world, {{15, spki}, {15, spki}}), BTNS_REASON_TWO_KEYS);
	EXPECT_EQ(key_of(world, {{11, rsa.first}, {11, rsa.first}}), BTNS_REASON_TWO_KEYS);
}

TEST_F(PresentedKey, nothing_usable)
{
	EXPECT_EQ(key_of(world, {}), BTNS_REASON_NO_KEY);
	EXPECT_EQ(key_of(world, {{12, {1, 2, 3}}}), BTNS_REASON_ENCODING_UNKNOWN);
	EXPECT_TRUE(btns_sa_names_certificate(world, 1));
	EXPECT_EQ(key_of(world, {{15, {}}}), BTNS_REASON_KEY_EMPTY);
	EXPECT_EQ(key_of(world, {{15, {1, 2, 3}}}), BTNS_REASON_KEY_MALFORMED);
	EXPECT_EQ(key_of(world, {{4, {1, 2, 3}}}), BTNS_REASON_CERT_MALFORMED);
	EXPECT_EQ(key_of(world, {{15, spki}, {4, {1, 2, 3}}}), BTNS_REASON_CERT_MALFORMED);
	EXPECT_EQ(key_of(world, {{15, spki}, {12, {1}}}), BTNS_REASON_NONE);
	EXPECT_TRUE(btns_sa_names_certificate(world, 1));
}

TEST_F(PresentedKey, bounds)
{
	EXPECT_EQ(key_of(world, {{15, spki}}, nullptr, BTNS_CERTS_MAX), BTNS_REASON_NONE);
	EXPECT_EQ(key_of(world, {{15, spki}}, nullptr, BTNS_CERTS_MAX + 1), BTNS_REASON_TOO_MANY_CERTS);
	EXPECT_EQ(key_of(world, std::vector<Payload>(100, {15, spki})), BTNS_REASON_TOO_MANY_CERTS);
	EXPECT_EQ(key_of(world, {{15, Octets(BTNS_CERT_MAX + 1)}}), BTNS_REASON_CERTS_TOO_LARGE);
	EXPECT_EQ(key_of(world, {{15, spki}, {4, Octets(BTNS_CERT_MAX + 1)}}), BTNS_REASON_CERTS_TOO_LARGE);
	std::vector<Payload> chain(5, {4, Octets(BTNS_CERT_MAX)});
	EXPECT_EQ(key_of(world, chain), BTNS_REASON_CERTS_TOO_LARGE) << "together";
}

TEST_F(PresentedKey, encodings_that_are_off_are_ignored)
{
	btns_options_t options;
	btns_options_default(&options);
	options.keys.encodings = 1U << BTNS_ENCODING_SPKI;
	ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
	EXPECT_EQ(key_of(world, {{11, rsa.first}}), BTNS_REASON_ENCODING_DISABLED);
	EXPECT_EQ(key_of(world, {{11, rsa.first}, {15, spki}}), BTNS_REASON_NONE);
	EXPECT_EQ(key_of(world, {{4, {1}}, {12, {}}}), BTNS_REASON_ENCODING_DISABLED);
}

TEST_F(PresentedKey, certificates_are_enumerated_as_copied)
{
	key_of(world, {{4, {1, 2}}, {15, spki}, {4, {3}}});
	std::vector<Octets> certs;
	btns_sa_certs(
		world, 1,
		[](void *user, btns_bytes_t cert)
		{ static_cast<std::vector<Octets> *>(user)->emplace_back(cert.ptr, cert.ptr + cert.len); },
		&certs);
	EXPECT_EQ(certs, (std::vector<Octets>{{1, 2}, {3}}));
	EXPECT_FALSE(btns_sa_names_certificate(world, 1));
	EXPECT_FALSE(btns_sa_names_certificate(world, 2));
}

class Peers : public testing::Test
{
protected:
	void ready(uint32_t sa = 1, const char *source = here)
	{
		world.init(sa, source);
		world.message(sa, source, spki);
	}

	World world;
	const Octets spki = new_spki();
};

TEST_F(Peers, a_stranger_from_beginning_to_end)
{
	EXPECT_EQ(btns_sa_auth(world, 1), BTNS_AUTH_OTHER);
	ready();
	EXPECT_EQ(btns_sa_auth(world, 1), BTNS_AUTH_SIGNATURE);
	btns_key_t key;
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED);
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_OK);
	EXPECT_EQ(btns_sa_verified_key(world, 1, &key), BTNS_STATUS_REFUSED);
	EXPECT_FALSE(btns_sa_is_btns(world, 1));

	btns_authorize_t facts = world.facts(1, here);
	btns_grant_t grant = world.authorize(1, facts);
	EXPECT_TRUE(grant.allowed);
	EXPECT_TRUE(grant.btns);
	EXPECT_EQ(grant.reason, BTNS_REASON_NONE);
	EXPECT_EQ(grant.key.type, BTNS_KEY_ED25519);
	EXPECT_TRUE(btns_sa_is_btns(world, 1));
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED) << "disarmed";
	EXPECT_EQ(btns_sa_verified_key(world, 1, &key), BTNS_STATUS_OK);

	facts.final = true;
	facts.coerced = true;
	facts.rounds_done = 1;
	EXPECT_TRUE(world.authorize(1, facts).allowed);
	EXPECT_EQ(world.stat("accepted"), 1U);

	btns_peer_info_t info;
	ASSERT_EQ(btns_sa_info(world, 1, &info), BTNS_STATUS_OK);
	EXPECT_FALSE(info.established);
	EXPECT_EQ(info.since, 0);
	const btns_addr_t address = addr(here);
	EXPECT_EQ(btns_sa_up(world, 1, 0x11, 0x22, &address, &address, 1234), BTNS_STATUS_OK);
	ASSERT_EQ(btns_sa_info(world, 1, &info), BTNS_STATUS_OK);
	EXPECT_TRUE(info.established);
	EXPECT_EQ(info.since, 1234);
	EXPECT_EQ(info.spi_i, 0x11U);
	EXPECT_STREQ(info.connection, "strangers");
	EXPECT_STREQ(info.asserted_id, "anybody");
	EXPECT_EQ(info.key.type, BTNS_KEY_ED25519);
	EXPECT_EQ(world.stat("peers"), 1U);

	btns_sa_drop(world, 1);
	EXPECT_FALSE(btns_sa_is_btns(world, 1));
	EXPECT_EQ(btns_sa_info(world, 1, &info), BTNS_STATUS_REFUSED);
	EXPECT_EQ(world.stat("records"), 0U);
	btns_sa_drop(world, 1);
}

TEST_F(Peers, a_key_is_no_key_from_another_address)
{
	world.init(1, here);
	world.message(1, elsewhere, spki);
	EXPECT_EQ(world.arm(1), BTNS_REASON_ADDRESS_CHANGED);
	btns_reason_t reason = BTNS_REASON_NONE;
	EXPECT_EQ(btns_sa_arm(world, 1, BTNS_ROLE_RESPONDER, &reason), BTNS_STATUS_REFUSED);
	EXPECT_EQ(reason, BTNS_REASON_ADDRESS_CHANGED);
}

TEST_F(Peers, nothing_is_known_of_an_ike_sa_that_nobody_saw_begin)
{
	world.message(1, here, spki);
	EXPECT_EQ(world.last_status, BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_sa_auth(world, 1), BTNS_AUTH_OTHER);
	EXPECT_EQ(world.arm(1), BTNS_REASON_SA_UNKNOWN);
	EXPECT_EQ(btns_sa_admissible(world, 1, 1), BTNS_REASON_SA_UNKNOWN);
	world.init(1, here);
	EXPECT_EQ(world.arm(1), BTNS_REASON_NO_KEY) << "no message yet";
}

TEST_F(Peers, only_signatures_arm)
{
	for (const auto auth : {BTNS_AUTH_EAP, BTNS_AUTH_PSK, BTNS_AUTH_NULL, BTNS_AUTH_OTHER})
	{
		const btns_cert_t cert{15, {spki.data(), spki.size()}};
		btns_auth_message_t message{};
		message.auth = auth;
		message.source = addr(here);
		message.certs = &cert;
		message.cert_count = message.cert_total = 1;
		world.init(1, here);
		ASSERT_EQ(btns_sa_message(world, 1, &message), BTNS_STATUS_OK);
		EXPECT_EQ(world.arm(1), auth == BTNS_AUTH_NULL ? BTNS_REASON_NULL_OFF : BTNS_REASON_NOT_SIGNATURE);
	}
}

TEST_F(Peers, the_next_message_disarms)
{
	ready();
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	world.message(1, here, spki);
	btns_key_t key;
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED);
	const btns_authorize_t facts = world.facts(1, here);
	EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_FLAG_WITHOUT_PEER);
}

TEST_F(Peers, who_does_not_sign_is_told_so)
{
	world.init(1, here);
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_EAP;
	message.source = addr(here);
	message.asserted_id = "anybody";
	ASSERT_EQ(btns_sa_message(world, 1, &message), BTNS_STATUS_OK);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, true), BTNS_REASON_NOT_SIGNATURE);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NONE) << "somebody who mistyped a password";
	EXPECT_EQ(world.authorize(1, world.facts(1, here)).reason, BTNS_REASON_NOT_SIGNATURE);
}

/** The grant if one thing is not as it should be. */
template <typename Change>
btns_grant_t authorize_but(World &world, const Octets &spki, Change &&change)
{
	world.init(1, here);
	world.message(1, here, spki);
	EXPECT_EQ(world.arm(1), BTNS_REASON_NONE);
	btns_authorize_t facts = world.facts(1, here);
	change(facts);
	const btns_grant_t grant = world.authorize(1, facts);
	EXPECT_EQ(grant.allowed, grant.reason == BTNS_REASON_NONE);
	if (!grant.btns)
	{
		btns_key_t key;
		EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED) << "disarmed";
		EXPECT_FALSE(btns_sa_is_btns(world, 1));
		EXPECT_EQ(btns_sa_admissible(world, 1, 1), BTNS_REASON_NONE) << "gave its place back";
		EXPECT_EQ(grant.key.spki_len, 0U);
	}
	return grant;
}

TEST_F(Peers, everything_is_checked_in_the_first_call)
{
	World one({Connection{}}, 1);
	const auto reason_if = [&](auto &&change) { return authorize_but(one, spki, change).reason; };
	const Octets other_key(BTNS_FINGERPRINT_LEN, 7);
	EXPECT_EQ(reason_if([](auto &f) { f.pubkey = false; }), BTNS_REASON_NOT_VERIFIED);
	EXPECT_EQ(reason_if([](auto &f) { f.verified = nullptr; }), BTNS_REASON_NOT_VERIFIED);
	EXPECT_EQ(reason_if([&](auto &f) { f.verified = other_key.data(); }), BTNS_REASON_NOT_VERIFIED);
	EXPECT_EQ(reason_if([](auto &f) { f.rounds_done = 1; }), BTNS_REASON_MULTIPLE_ROUNDS);
	EXPECT_EQ(reason_if([](auto &f) { f.source = addr(elsewhere); }), BTNS_REASON_ADDRESS_CHANGED);
	EXPECT_EQ(reason_if([](auto &f) { f.source.family = 0; }), BTNS_REASON_ADDRESS_CHANGED);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_NONE; }), BTNS_REASON_PEER_WITHOUT_FLAG);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_NONE, f.verified = nullptr; }), BTNS_REASON_PEER_WITHOUT_FLAG);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_NULL; }), BTNS_REASON_NOT_NULL);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_BROKEN; }), BTNS_REASON_ENTRY_UNUSABLE);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_KEY; }), BTNS_REASON_ENTRY_UNUSABLE);
	EXPECT_EQ(reason_if([](auto &f) { f.connection = "other"; }), BTNS_REASON_ENTRY_UNUSABLE);
	EXPECT_EQ(reason_if([](auto &f) { f.reserved_name = true; }), BTNS_REASON_RESERVED_NAME);
	EXPECT_EQ(reason_if([](auto &) {}), BTNS_REASON_NONE);
}

TEST_F(Peers, another_round_is_refused)
{
	world.init(1, here);
	const btns_cert_t cert{15, {spki.data(), spki.size()}};
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_SIGNATURE;
	message.source = addr(here);
	message.certs = &cert;
	message.cert_count = message.cert_total = 1;
	message.another_follows = true;
	ASSERT_EQ(btns_sa_message(world, 1, &message), BTNS_STATUS_OK);
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	EXPECT_EQ(world.authorize(1, world.facts(1, here)).reason, BTNS_REASON_MULTIPLE_ROUNDS);

	ready();
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	ASSERT_TRUE(world.authorize(1, world.facts(1, here)).btns);
	world.message(1, here, spki);
	btns_authorize_t facts = world.facts(1, here);
	facts.rounds_done = 1;
	facts.flag = BTNS_FLAG_NONE;
	facts.verified = nullptr;
	EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_MULTIPLE_ROUNDS);
	btns_reason_t reason = BTNS_REASON_NONE;
	btns_sa_arm(world, 1, BTNS_ROLE_RESPONDER, &reason);
	EXPECT_EQ(reason, BTNS_REASON_MULTIPLE_ROUNDS);
}

TEST_F(Peers, a_pinned_key_is_checked_against_the_configuration)
{
	world.init(1, here);
	world.message(1, here, spki);
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	btns_authorize_t facts = world.facts(1, here);
	facts.flag = BTNS_FLAG_KEY;
	char id[BTNS_KEY_ID_LEN];
	btns_key_id(facts.verified, id);
	Connection pinned;
	pinned.groups = {id};
	world.configure({pinned});
	EXPECT_TRUE(world.authorize(1, facts).btns);
	EXPECT_TRUE(world.audit().empty());
	world.configure({Connection{}});
	EXPECT_EQ(world.audit(), (Evicted{{1, BTNS_REASON_UNCONFIGURED}})) << "the kind of flag changed";
}

TEST_F(Peers, authenticated_peers_pass)
{
	btns_authorize_t facts{};
	facts.connection = "office";
	facts.source = addr(elsewhere);
	facts.rounds_done = 1;
	for (const bool final : {false, true})
	{
		facts.final = final;
		EXPECT_TRUE(world.authorize(7, facts).allowed) << "no record";
		ready(1);
		const btns_grant_t grant = world.authorize(1, facts);
		EXPECT_TRUE(grant.allowed);
		EXPECT_FALSE(grant.btns);
	}
	EXPECT_EQ(world.stat("accepted"), 0U);
	facts.reserved_name = true;
	EXPECT_EQ(world.authorize(7, facts).reason, BTNS_REASON_RESERVED_NAME);
}

TEST_F(Peers, a_flag_without_a_btns_peer_is_refused)
{
	const Octets key(BTNS_FINGERPRINT_LEN, 7);
	btns_authorize_t facts{};
	facts.connection = "strangers";
	facts.flag = BTNS_FLAG_ANY;
	facts.pubkey = true;
	facts.verified = key.data();
	facts.source = addr(here);
	facts.coerced = true;
	for (const bool final : {false, true})
	{
		facts.final = final;
		EXPECT_EQ(world.authorize(7, facts).reason, BTNS_REASON_SA_UNKNOWN);
		ready(1);
		EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_FLAG_WITHOUT_PEER);
	}
	facts.flag = BTNS_FLAG_NONE;
	for (const bool final : {false, true})
	{
		facts.final = final;
		EXPECT_FALSE(world.authorize(7, facts).allowed) << "our key verified";
		EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_PEER_WITHOUT_FLAG);
	}
}

TEST_F(Peers, who_was_not_armed_is_no_btns_peer)
{
	ready();
	btns_key_t key;
	btns_reason_t reason = BTNS_REASON_NONE;
	ASSERT_EQ(btns_sa_key(world, 1, world.now, &key, &reason), BTNS_STATUS_OK) << "looked at, but not chosen";
	btns_authorize_t facts = world.facts(1, here);
	facts.verified = key.fingerprint;
	EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_FLAG_WITHOUT_PEER);
	EXPECT_FALSE(btns_sa_is_btns(world, 1));
}

TEST_F(Peers, the_final_call_asserts)
{
	world.stranger(1, here, spki);
	btns_authorize_t facts = world.facts(1, here);
	facts.final = true;
	facts.coerced = false;
	EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_IDENTITY_NOT_COERCED);
	facts.coerced = true;
	facts.flag = BTNS_FLAG_NONE;
	EXPECT_EQ(world.authorize(1, facts).reason, BTNS_REASON_PEER_WITHOUT_FLAG);
}

TEST_F(Peers, caps_in_total_and_by_source)
{
	World capped({Connection{}}, 3, 2);
	capped.stranger(1, here, new_spki());
	capped.stranger(2, here, new_spki());
	capped.init(3, here);
	EXPECT_EQ(btns_sa_admissible(capped, 3, 1), BTNS_REASON_MAX_PEERS_PER_SOURCE);
	capped.message(3, here, spki);
	EXPECT_EQ(capped.arm(3), BTNS_REASON_MAX_PEERS_PER_SOURCE);
	capped.stranger(4, elsewhere, new_spki());
	capped.init(5, "192.0.2.1");
	EXPECT_EQ(btns_sa_admissible(capped, 5, 1), BTNS_REASON_MAX_PEERS);
	btns_sa_drop(capped, 1);
	EXPECT_EQ(btns_sa_admissible(capped, 5, 1), BTNS_REASON_NONE);
	EXPECT_EQ(btns_sa_admissible(capped, 3, 1), BTNS_REASON_NONE);
	EXPECT_EQ(capped.stat("peers"), 2U);

	// armed ones count, too
	EXPECT_EQ(capped.arm(3), BTNS_REASON_NONE);
	EXPECT_EQ(capped.arm(3), BTNS_REASON_NONE) << "once";
	EXPECT_EQ(btns_sa_admissible(capped, 5, 1), BTNS_REASON_MAX_PEERS);
	EXPECT_EQ(btns_sa_admissible(capped, 3, 1), BTNS_REASON_NONE);
	btns_sa_drop(capped, 3);
	EXPECT_EQ(btns_sa_admissible(capped, 5, 1), BTNS_REASON_NONE);
}

TEST_F(Peers, one_source_is_a_64_of_ipv6)
{
	World capped({Connection{}}, 10, 1);
	capped.stranger(1, "2001:db8::1", new_spki());
	capped.init(2, "2001:db8::ffff:1");
	EXPECT_EQ(btns_sa_admissible(capped, 2, 1), BTNS_REASON_MAX_PEERS_PER_SOURCE);
	capped.init(3, "2001:db8:0:1::1");
	EXPECT_EQ(btns_sa_admissible(capped, 3, 1), BTNS_REASON_NONE);
	World none({Connection{}}, 0);
	none.init(1, here);
	EXPECT_EQ(btns_sa_admissible(none, 1, 1), BTNS_REASON_MAX_PEERS);
}

TEST_F(Peers, a_rekeyed_ike_sa_inherits)
{
	World capped({Connection{}}, 2, 2);
	capped.stranger(1, here, spki);
	Child wide;
	wide.id = 9;
	wide.remote = {ts("203.0.113.0/24")};
	ASSERT_EQ(capped.child_up(1, wide), BTNS_REASON_NONE);
	ASSERT_EQ(btns_sa_rekey(capped, 1, 2), BTNS_STATUS_OK);
	EXPECT_TRUE(btns_sa_is_btns(capped, 2));
	EXPECT_TRUE(btns_sa_is_btns(capped, 1)) << "until it is gone";
	EXPECT_EQ(capped.stat("peers"), 1U);
	EXPECT_EQ(capped.stat("children"), 1U);
	EXPECT_TRUE(capped.audit().empty());

	const btns_addr_t address = addr(here);
	EXPECT_EQ(btns_sa_up(capped, 2, 5, 6, &address, &address, 0), BTNS_STATUS_OK);
	btns_peer_info_t info;
	ASSERT_EQ(btns_sa_info(capped, 2, &info), BTNS_STATUS_OK);
	EXPECT_EQ(info.since, 1000) << "the time stays";
	EXPECT_EQ(info.spi_i, 5U);
	EXPECT_EQ(info.children, 1U);
	EXPECT_STREQ(info.connection, "strangers");
	EXPECT_STREQ(info.asserted_id, "anybody");

	btns_sa_drop(capped, 1);
	EXPECT_EQ(capped.stat("peers"), 1U);
	EXPECT_EQ(capped.stat("children"), 1U);
	capped.init(3, here);
	EXPECT_EQ(btns_sa_admissible(capped, 3, 1), BTNS_REASON_NONE) << "counted once";
	capped.stranger(3, here, new_spki());
	capped.init(4, here);
	EXPECT_EQ(btns_sa_admissible(capped, 4, 1), BTNS_REASON_MAX_PEERS) << "and not less";
	btns_sa_drop(capped, 4);

	Child authenticated;
	authenticated.btns = false;
	authenticated.remote = {ts("203.0.113.1")};
	capped.child_up(50, authenticated);
	EXPECT_EQ(capped.take_evicted(), (Evicted{{2, BTNS_REASON_EVICTED}})) << "the new one";
	btns_child_down(capped, 2, 9);
	EXPECT_EQ(capped.stat("children"), 0U);
	btns_sa_drop(capped, 2);
	btns_sa_drop(capped, 3);
	EXPECT_EQ(capped.stat("records"), 1U) << "the authenticated one";
	EXPECT_EQ(btns_sa_rekey(capped, 77, 78), BTNS_STATUS_OK) << "nothing is known of either";
	EXPECT_FALSE(btns_sa_is_btns(capped, 78));
	EXPECT_EQ(btns_sa_rekey(capped, 50, 50), BTNS_STATUS_OK);
}

TEST_F(Peers, what_an_authenticated_peer_holds_goes_with_its_rekeyed_ike_sa)
{
	const btns_addr_t address = addr(here);
	ASSERT_EQ(btns_sa_holds(world, 50, &address, 1, World::evict, &world), BTNS_STATUS_OK);
	ASSERT_EQ(btns_sa_rekey(world, 50, 51), BTNS_STATUS_OK);
	btns_sa_drop(world, 50);
	EXPECT_TRUE(btns_is_reserved(world, &address));
	btns_sa_drop(world, 51);
	EXPECT_FALSE(btns_is_reserved(world, &address));
}

TEST_F(Peers, starting_over_forgets_who_it_was)
{
	world.stranger(1, here, spki);
	world.init(1, elsewhere);
	EXPECT_FALSE(btns_sa_is_btns(world, 1));
	EXPECT_EQ(world.stat("peers"), 0U);
	btns_key_t key;
	EXPECT_EQ(btns_sa_verified_key(world, 1, &key), BTNS_STATUS_REFUSED);
	world.message(1, elsewhere, spki);
	EXPECT_EQ(world.arm(1), BTNS_REASON_NONE);
}

TEST_F(Peers, the_first_refusal_stays_until_taken)
{
	world.init(1, here);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NONE);
	btns_sa_refuse(world, 1, BTNS_REASON_NAMED);
	btns_sa_refuse(world, 1, BTNS_REASON_VOUCHED);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NAMED);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NONE);
	btns_sa_refuse(world, 99, BTNS_REASON_NAMED);
	EXPECT_EQ(btns_sa_take_refusal(world, 99, false), BTNS_REASON_NONE);
}

TEST_F(Peers, a_failure_without_a_refusal_is_explained)
{
	ready();
	btns_sa_refuse(world, 1, BTNS_REASON_NAMED);
	world.message(1, here, spki);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NOT_FLAGGED) << "a bare key, and nobody asked for it";
	EXPECT_EQ(btns_sa_take_refusal(world, 1, true), BTNS_REASON_NOT_VERIFIED) << "asked for, but another key was tried";
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, true), BTNS_REASON_NOT_VERIFIED);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NOT_FLAGGED) << "charon took none of the entries";
	world.stranger(2, here, spki);
	EXPECT_EQ(btns_sa_take_refusal(world, 2, false), BTNS_REASON_NONE);
}

TEST_F(Peers, evidence_outlives_the_ike_sa)
{
	EXPECT_EQ(btns_sa_evidence(world, 1), nullptr);
	ready();
	btns_evidence_t *evidence = btns_sa_evidence(world, 1);
	ASSERT_NE(evidence, nullptr);
	btns_sa_drop(world, 1);
	btns_key_t key;
	EXPECT_EQ(btns_evidence_key(world, evidence, world.now, &key), BTNS_STATUS_OK);
	EXPECT_EQ(key.type, BTNS_KEY_ED25519);
	btns_evidence_destroy(evidence);
	btns_evidence_destroy(nullptr);
	EXPECT_NE(btns_evidence_key(world, nullptr, world.now, &key), BTNS_STATUS_OK);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
}

TEST_F(Peers, a_refused_peer_can_still_be_shown)
{
	ready();
	ASSERT_EQ(world.arm(1), BTNS_REASON_NONE);
	btns_authorize_t facts = world.facts(1, here);
	facts.pubkey = false;
	world.authorize(1, facts);
	btns_peer_info_t info;
	ASSERT_EQ(btns_sa_info(world, 1, &info), BTNS_STATUS_OK);
	EXPECT_EQ(info.key.type, BTNS_KEY_ED25519);
	EXPECT_STREQ(info.asserted_id, "anybody");
	EXPECT_EQ(info.remote.family, 4);
}

TEST_F(Peers, are_enumerated_in_order)
{
	for (const uint32_t sa : {30U, 10U, 20U})
	{
		world.stranger(sa, here, new_spki());
	}
	world.init(15, here);
	std::vector<uint32_t> seen;
	EXPECT_EQ(btns_peers_each(
				  world,
				  [](void *user, const btns_peer_info_t *info)
				  { static_cast<std::vector<uint32_t> *>(user)->push_back(info->sa); },
				  &seen),
			  BTNS_STATUS_OK);
	EXPECT_EQ(seen, (std::vector<uint32_t>{10, 20, 30}));
}

TEST_F(Peers, callbacks_may_call_the_core)
{
	world.stranger(1, here, spki);
	EXPECT_EQ(btns_peers_each(
				  world,
				  [](void *user, const btns_peer_info_t *info)
				  { btns_sa_drop(static_cast<World &>(*static_cast<World *>(user)), info->sa); },
				  &world),
			  BTNS_STATUS_OK);
	EXPECT_EQ(world.stat("peers"), 0U);
}

TEST_F(Peers, the_table_is_bounded)
{
	const btns_addr_t source = addr(here);
	for (uint32_t sa = 1; sa <= btns::records_max; sa++)
	{
		ASSERT_EQ(world.begin(sa, source), BTNS_STATUS_OK);
	}
	EXPECT_EQ(world.begin(1000000, source), BTNS_STATUS_REFUSED);
	EXPECT_EQ(world.begin(5, source), BTNS_STATUS_OK) << "one that is there";

	btns_authorize_t facts{};
	facts.connection = "office";
	EXPECT_TRUE(world.authorize(1000000, facts).allowed) << "an authenticated peer does not need a record";
	EXPECT_EQ(btns_sa_holds(world, 1000000, &source, 1, World::evict, &world), BTNS_STATUS_OK);
	EXPECT_TRUE(btns_is_reserved(world, &source));
}

TEST(Stats, refusals_are_counted_and_logged_at_a_rate)
{
	World world;
	for (int i = 0; i < 5; i++)
	{
		EXPECT_TRUE(btns_refused(world, BTNS_REASON_NAMED, 100));
	}
	EXPECT_FALSE(btns_refused(world, BTNS_REASON_NAMED, 100));
	EXPECT_TRUE(btns_refused(world, BTNS_REASON_VOUCHED, 100)) << "each reason has its own";
	EXPECT_TRUE(btns_refused(world, BTNS_REASON_NAMED, 101));
	EXPECT_EQ(world.stat("refused"), 8U);
	EXPECT_EQ(world.stat("refused-claims-known-id"), 7U);
	EXPECT_EQ(world.stat("refused-credential-known"), 1U);
	EXPECT_EQ(world.stat("refused-rsa-roca"), 0U);
	EXPECT_TRUE(btns_refused(world, BTNS_REASON_COUNT, 100));
	EXPECT_EQ(world.stat("refused-internal-error"), 1U);
	EXPECT_GT(world.stat("reserved-ranges"), 5U);
	EXPECT_EQ(world.stat("no-such-counter"), UINT64_MAX);
}

} // namespace
