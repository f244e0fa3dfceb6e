/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core_world.h"
#include "key_id.h"
#include "key_info.h"

using namespace btns::test;

namespace
{

constexpr auto here = "192.0.2.1";
constexpr auto elsewhere = "192.0.2.9";

Connection for_nobody(const char *name = "nobody")
{
	Connection connection;
	connection.name = name;
	connection.groups = {"btns:null"};
	connection.auth = BTNS_CLASS_PSK;
	return connection;
}

std::string identity_of(btns_core_t *core, uint32_t sa)
{
	std::array<char, BTNS_KEY_ID_LEN> text{};
	text.fill('x');
	const btns_status_t status = btns_sa_identity(core, sa, text.data());
	EXPECT_EQ(status == BTNS_STATUS_OK, text[0] != '\0');
	return text.data();
}

/** A core with connections for keys and for nobody, and people who come. */
class Nobody : public testing::Test
{
protected:
	explicit Nobody(unsigned most = 10, unsigned per_source = 3) { start(most, per_source); }

	void start(unsigned most, unsigned per_source)
	{
		const btns_null_options_t options{most, per_source};
		ASSERT_EQ(btns_null_start(world, &options), BTNS_STATUS_OK);
		ASSERT_EQ(world.configure({Connection{}, for_nobody()}), BTNS_STATUS_OK);
	}

	void message(uint32_t sa, const std::string &source, btns_auth_t auth = BTNS_AUTH_NULL, bool another = false)
	{
		btns_auth_message_t message{};
		message.auth = auth;
		message.source = addr(source);
		message.asserted_id = "alice@example.org";
		message.another_follows = another;
		ASSERT_EQ(btns_sa_message(world, sa, &message), BTNS_STATUS_OK);
	}

	btns_reason_t arm(uint32_t sa)
	{
		btns_reason_t reason = BTNS_REASON_INTERNAL;
		const btns_status_t status = btns_sa_arm(world, sa, BTNS_ROLE_RESPONDER, &reason);
		EXPECT_EQ(status == BTNS_STATUS_OK, reason == BTNS_REASON_NONE);
		return reason;
	}

	static btns_authorize_t facts(uint32_t sa, const std::string &source)
	{
		btns_authorize_t facts{};
		facts.flag = BTNS_FLAG_NULL;
		facts.connection = "nobody";
		facts.psk = true;
		facts.source = addr(source);
		facts.spi_i = 0x1100 + sa;
		facts.spi_r = 0x2200 + sa;
		return facts;
	}

	/** IKE_AUTH has come, and charon may ask for the key. */
	void ready(uint32_t sa, const std::string &source)
	{
		world.init(sa, source);
		message(sa, source);
		ASSERT_EQ(arm(sa), BTNS_REASON_NONE);
		ASSERT_EQ(btns_sa_null_key(world, sa), BTNS_STATUS_OK);
	}

	void comes(uint32_t sa, const std::string &source)
	{
		ready(sa, source);
		btns_authorize_t all = facts(sa, source);
		ASSERT_TRUE(world.authorize(sa, all).btns);
		all.final = all.coerced = true;
		ASSERT_TRUE(world.authorize(sa, all).btns);
		const btns_addr_t address = addr(source);
		ASSERT_EQ(btns_sa_up(world, sa, 1, 2, &address, &address, 1), BTNS_STATUS_OK);
	}

	/** Why such a peer is refused if one of the facts is another one. */
	template <typename Change>
	btns_reason_t reason_if(Change &&change)
	{
		ready(99, here);
		btns_authorize_t all = facts(99, here);
		change(all);
		const btns_grant_t grant = world.authorize(99, all);
		btns_sa_drop(world, 99);
		EXPECT_EQ(grant.allowed, grant.reason == BTNS_REASON_NONE);
		return grant.reason;
	}

	World world;
	std::vector<uint8_t> spki = new_spki();
};

TEST_F(Nobody, is_called_by_the_ike_sa)
{
	ready(1, here);
	EXPECT_EQ(identity_of(world, 1), "");
	const btns_grant_t grant = world.authorize(1, facts(1, here));
	EXPECT_TRUE(grant.btns && grant.null);
	EXPECT_STREQ(grant.identity, "btns:null:0000000000001101-0000000000002201");
	EXPECT_EQ(grant.key.type, BTNS_KEY_NONE);
	EXPECT_EQ(grant.key.spki_len, 0U);
	EXPECT_EQ(identity_of(world, 1), grant.identity);
	EXPECT_TRUE(btns_sa_is_btns(world, 1));
	btns_key_t key;
	EXPECT_EQ(btns_sa_verified_key(world, 1, &key), BTNS_STATUS_REFUSED) << "there is no key";
	EXPECT_TRUE(btns::is_reserved_name(btns::Bytes(reinterpret_cast<const uint8_t *>(grant.identity), 12)))
		<< "so nobody can assert it";
}

TEST_F(Nobody, keeps_its_name_when_the_ike_sa_is_rekeyed)
{
	comes(1, here);
	const std::string before = identity_of(world, 1);
	ASSERT_EQ(btns_sa_rekey(world, 1, 2), BTNS_STATUS_OK);
	btns_sa_drop(world, 1);
	EXPECT_EQ(identity_of(world, 2), before);
	EXPECT_EQ(world.stat("null-peers"), 1U);
	btns_sa_drop(world, 2);
	EXPECT_EQ(world.stat("null-peers"), 0U);
	for (uint32_t sa = 3; sa < 6; sa++)
	{
		comes(sa, here);
	}
}

TEST_F(Nobody, has_a_key_that_is_given_to_no_others)
{
	world.init(1, here);
	EXPECT_EQ(btns_sa_null_key(world, 1), BTNS_STATUS_REFUSED) << "nothing was said";
	for (const auto auth : {BTNS_AUTH_PSK, BTNS_AUTH_SIGNATURE, BTNS_AUTH_EAP, BTNS_AUTH_OTHER})
	{
		message(1, here, auth);
		EXPECT_NE(arm(1), BTNS_REASON_NONE);
		EXPECT_EQ(btns_sa_null_key(world, 1), BTNS_STATUS_REFUSED) << "by another method";
	}
	message(1, here);
	EXPECT_EQ(btns_sa_null_key(world, 1), BTNS_STATUS_REFUSED) << "not armed";
	ASSERT_EQ(arm(1), BTNS_REASON_NONE);
	EXPECT_EQ(btns_sa_null_key(world, 1), BTNS_STATUS_OK);
	btns_key_t key;
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED) << "there is no key to sign with";
	world.authorize(1, facts(1, here));
	EXPECT_EQ(btns_sa_null_key(world, 1), BTNS_STATUS_REFUSED) << "disarmed";

	world.init(2, here);
	message(2, here);
	ASSERT_EQ(arm(2), BTNS_REASON_NONE);
	message(2, here, BTNS_AUTH_PSK);
	EXPECT_EQ(btns_sa_null_key(world, 2), BTNS_STATUS_REFUSED) << "the next message disarms";

	world.init(4, here);
	world.message(4, here, spki);
	ASSERT_EQ(world.arm(4), BTNS_REASON_NONE);
	EXPECT_EQ(btns_sa_null_key(world, 4), BTNS_STATUS_REFUSED) << "armed for a signature";
	world.stranger(3, here, spki);
	EXPECT_EQ(btns_sa_null_key(world, 3), BTNS_STATUS_REFUSED) << "somebody with a key";
}

TEST_F(Nobody, is_checked_in_the_first_call)
{
	EXPECT_EQ(reason_if([](auto &) {}), BTNS_REASON_NONE);
	EXPECT_EQ(reason_if([](auto &f) { f.psk = false; }), BTNS_REASON_NOT_VERIFIED);
	EXPECT_EQ(reason_if([](auto &f) { f.psk = false, f.pubkey = true; }), BTNS_REASON_NOT_VERIFIED);
	const std::array<uint8_t, BTNS_FINGERPRINT_LEN> key{};
	EXPECT_EQ(reason_if([&](auto &f) { f.verified = key.data(); }), BTNS_REASON_NOT_VERIFIED);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_NONE; }), BTNS_REASON_PEER_WITHOUT_FLAG);
	EXPECT_EQ(reason_if([](auto &f) { f.flag = BTNS_FLAG_ANY; }), BTNS_REASON_NULL_NOT_ADMITTED);
	EXPECT_EQ(reason_if([](auto &f) { f.connection = "strangers"; }), BTNS_REASON_ENTRY_UNUSABLE);
	EXPECT_EQ(reason_if([](auto &f) { f.source = addr(elsewhere); }), BTNS_REASON_ADDRESS_CHANGED);
	EXPECT_EQ(reason_if([](auto &f) { f.rounds_done = 1; }), BTNS_REASON_MULTIPLE_ROUNDS);
	EXPECT_EQ(reason_if([](auto &f) { f.reserved_name = true; }), BTNS_REASON_RESERVED_NAME);

	world.init(1, here);
	message(1, here);
	ASSERT_EQ(arm(1), BTNS_REASON_NONE);
	EXPECT_EQ(world.authorize(1, facts(1, here)).reason, BTNS_REASON_NOT_VERIFIED) << "another key was used";
	message(1, here, BTNS_AUTH_NULL, true);
	ASSERT_EQ(arm(1), BTNS_REASON_NONE);
	ASSERT_EQ(btns_sa_null_key(world, 1), BTNS_STATUS_OK);
	EXPECT_EQ(world.authorize(1, facts(1, here)).reason, BTNS_REASON_MULTIPLE_ROUNDS) << "another round is to follow";
}

TEST_F(Nobody, is_no_one_that_authenticates)
{
	// charon would have to try the key of somebody with it
	world.init(1, here);
	message(1, here);
	btns_authorize_t all = facts(1, here);
	all.flag = BTNS_FLAG_NONE;
	all.connection = "office";
	EXPECT_EQ(world.authorize(1, all).reason, BTNS_REASON_PEER_WITHOUT_FLAG);
	// and who has a secret gets no entry for nobody
	world.init(2, here);
	message(2, here, BTNS_AUTH_PSK);
	EXPECT_EQ(world.authorize(2, facts(2, here)).reason, BTNS_REASON_NOT_NULL);
	all.reserved_name = false;
	EXPECT_TRUE(world.authorize(2, all).allowed);
}

TEST_F(Nobody, is_asserted_in_the_final_call)
{
	const auto final_if = [&](auto &&change)
	{
		ready(1, here);
		btns_authorize_t all = facts(1, here);
		EXPECT_TRUE(world.authorize(1, all).btns);
		all.final = all.coerced = true;
		change(all);
		const btns_reason_t reason = world.authorize(1, all).reason;
		btns_sa_drop(world, 1);
		return reason;
	};
	EXPECT_EQ(final_if([](auto &) {}), BTNS_REASON_NONE);
	EXPECT_EQ(final_if([](auto &f) { f.coerced = false; }), BTNS_REASON_IDENTITY_NOT_COERCED);
	EXPECT_EQ(final_if([](auto &f) { f.flag = BTNS_FLAG_NONE; }), BTNS_REASON_PEER_WITHOUT_FLAG);
	EXPECT_EQ(final_if([](auto &f) { f.flag = BTNS_FLAG_ANY, f.connection = "strangers"; }),
			  BTNS_REASON_FLAG_WITHOUT_PEER);
}

TEST_F(Nobody, is_not_there_without_the_plugin)
{
	ready(1, here);
	btns_null_stop(world);
	EXPECT_FALSE(btns_null_is_on(world));
	ASSERT_EQ(world.configure({Connection{}, for_nobody()}), BTNS_STATUS_OK);
	EXPECT_EQ(world.authorize(1, facts(1, here)).reason, BTNS_REASON_ENTRY_UNUSABLE);
	world.init(2, here);
	message(2, here);
	EXPECT_EQ(arm(2), BTNS_REASON_NULL_OFF);
	EXPECT_EQ(btns_sa_admissible(world, 2, 1), BTNS_REASON_NULL_OFF);
	EXPECT_EQ(btns_sa_take_refusal(world, 2, true), BTNS_REASON_NULL_NOT_ADMITTED);

	btns_options_t options;
	btns_options_default(&options);
	start(1, 1);
	ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
	EXPECT_TRUE(btns_null_is_on(world)) << "options of the other plugin change nothing about it";
	comes(3, here);
	btns_null_stop(world);
	ASSERT_EQ(world.configure({Connection{}, for_nobody()}), BTNS_STATUS_OK);
	EXPECT_EQ(world.audit(), (Evicted{{3, BTNS_REASON_UNCONFIGURED}}));
}

TEST_F(Nobody, has_limits_of_its_own)
{
	start(3, 2);
	comes(1, here);
	comes(2, here);
	world.init(3, here);
	message(3, here);
	EXPECT_EQ(btns_sa_admissible(world, 3, 1), BTNS_REASON_MAX_NULL_PEERS_PER_SOURCE);
	EXPECT_EQ(arm(3), BTNS_REASON_MAX_NULL_PEERS_PER_SOURCE);
	world.stranger(4, here, spki);
	EXPECT_TRUE(btns_sa_is_btns(world, 4)) << "somebody with a key comes from there";
	comes(5, elsewhere);
	world.init(6, "192.0.2.7");
	message(6, "192.0.2.7");
	EXPECT_EQ(arm(6), BTNS_REASON_MAX_NULL_PEERS);
	EXPECT_EQ(world.stat("peers"), 4U);
	EXPECT_EQ(world.stat("null-peers"), 3U);
	btns_sa_drop(world, 1);
	message(3, here);
	EXPECT_EQ(arm(3), BTNS_REASON_NONE) << "the place is given back";
	message(3, here, BTNS_AUTH_SIGNATURE);
	EXPECT_EQ(arm(6), BTNS_REASON_NONE) << "so is one that was only reserved";
}

TEST_F(Nobody, places_for_keys_are_not_for_nobody)
{
	World narrow({Connection{}, for_nobody()}, 1, 1);
	const btns_null_options_t options{1, 1};
	ASSERT_EQ(btns_null_start(narrow, &options), BTNS_STATUS_OK);
	narrow.stranger(1, here, spki);
	ASSERT_TRUE(btns_sa_is_btns(narrow, 1));
	narrow.init(2, here);
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_NULL;
	message.source = addr(here);
	ASSERT_EQ(btns_sa_message(narrow, 2, &message), BTNS_STATUS_OK);
	EXPECT_EQ(btns_sa_admissible(narrow, 2, 1), BTNS_REASON_NONE);
}

TEST_F(Nobody, gets_nothing_that_a_key_holds)
{
	world.stranger(1, here, spki);
	ASSERT_EQ(world.child_up(1, {.id = 1, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE);
	comes(2, here);
	EXPECT_EQ(world.authorize_child(2, {.id = 2, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}),
			  BTNS_REASON_CHILD_HELD);
	// not even its own address
	ASSERT_EQ(world.child_up(1, {.id = 3, .remote = {ts(here)}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(2, {.id = 4, .remote = {ts(here)}, .hosts = {"192.0.2.1"}}), BTNS_REASON_CHILD_HELD);
	EXPECT_TRUE(world.take_evicted().empty());
}

TEST_F(Nobody, makes_room_for_a_key)
{
	comes(1, here);
	comes(2, elsewhere);
	ASSERT_EQ(world.child_up(1, {.id = 1, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE);
	ASSERT_EQ(world.child_up(2, {.id = 2, .remote = {ts("10.1.0.2")}, .hosts = {"192.0.2.9"}}), BTNS_REASON_NONE);
	world.stranger(3, here, spki);
	EXPECT_EQ(world.authorize_child(3, {.id = 3, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}),
			  BTNS_REASON_NONE);
	EXPECT_EQ(world.take_evicted(), (Evicted{{1, BTNS_REASON_KEY_PREFERRED}}));
}

TEST_F(Nobody, shares_its_own_address_only)
{
	comes(1, here);
	comes(2, here);
	EXPECT_EQ(world.child_up(1, {.id = 1, .remote = {ts(here)}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(2, {.id = 2, .remote = {ts(here)}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE)
		<< "it has come back, or there are two behind a NAT";
	EXPECT_EQ(world.child_up(1, {.id = 3, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(2, {.id = 4, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}), BTNS_REASON_CHILD_HELD);
	EXPECT_TRUE(world.take_evicted().empty());
}

TEST_F(Nobody, yields_to_who_authenticates)
{
	comes(1, here);
	ASSERT_EQ(world.child_up(1, {.id = 1, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}), BTNS_REASON_NONE);
	EXPECT_EQ(world.authorize_child(7, {.id = 2, .remote = {ts("10.1.0.0/24")}, .btns = false}), BTNS_REASON_NONE);
	EXPECT_EQ(world.take_evicted(), (Evicted{{1, BTNS_REASON_EVICTED}}));
	EXPECT_EQ(world.authorize_child(1, {.id = 3, .remote = {ts("10.1.0.1")}, .hosts = {"192.0.2.1"}}),
			  BTNS_REASON_CHILD_RESERVED);
}

TEST_F(Nobody, goes_first_when_it_is_crowded)
{
	btns_options_t options;
	btns_options_default(&options);
	options.ikesa_limit = 10;
	ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
	world.stranger(1, here, spki);
	comes(2, here);
	btns_shed(world, world.now, 10, World::evict, &world);
	const Evicted gone = world.take_evicted();
	ASSERT_FALSE(gone.empty());
	EXPECT_EQ(gone.front(), (std::pair<uint32_t, btns_reason_t>{2, BTNS_REASON_SHED}));
}

TEST_F(Nobody, is_shown_as_that)
{
	comes(1, here);
	btns_root_t root{};
	root.ike_version = 2;
	root.connection = "nobody";
	root.authorized_id = "";
	root.local.method = BTNS_METHOD_CERTIFICATE;
	root.peer.method = BTNS_METHOD_PSK;
	root.local.rounds = root.peer.rounds = 1;
	ASSERT_EQ(btns_sa_root(world, 1, &root), BTNS_STATUS_OK);
	struct Shown
	{
		btns_method_t method = BTNS_METHOD_UNKNOWN;
		std::string asserted;
		std::string authorized;
		bool key = true;
		std::string why;
	} shown;
	ASSERT_EQ(btns_channel_of_sa(
				  world, 1,
				  [](void *user, const btns_channel_info_t *info)
				  {
					  *static_cast<Shown *>(user) = {info->peer_method, info->asserted_id, info->authorized_id,
													 info->peer_fingerprint != nullptr || info->peer_key.len > 0,
													 info->endpoints.code};
				  },
				  &shown),
			  BTNS_STATUS_OK);
	EXPECT_EQ(shown.method, BTNS_METHOD_NULL);
	EXPECT_EQ(shown.asserted, "alice@example.org") << "that is what it says";
	EXPECT_EQ(shown.authorized, identity_of(world, 1));
	EXPECT_FALSE(shown.key);
	EXPECT_EQ(shown.why, "no-signature");
	btns_peer_info_t info{};
	ASSERT_EQ(btns_sa_info(world, 1, &info), BTNS_STATUS_OK);
	EXPECT_TRUE(info.null);
	EXPECT_EQ(info.key.type, BTNS_KEY_NONE);
	EXPECT_TRUE(std::ranges::all_of(info.key.fingerprint, [](uint8_t octet) { return octet == 0; }));
}

TEST(NullPeer, has_no_key_and_is_no_other)
{
	const btns::KeyInfo one(btns::NullPeer{1, 2});
	const btns::KeyInfo other(btns::NullPeer{2, 1});
	EXPECT_TRUE(one.is_null());
	EXPECT_FALSE(one.is_canonical());
	EXPECT_TRUE(one.spki().empty());
	EXPECT_NE(one.fingerprint(), other.fingerprint());
	EXPECT_EQ(one.identity(), "btns:null:0000000000000001-0000000000000002");
	EXPECT_EQ(btns::null_id(~0ULL, ~0ULL).size(), 43U);
	EXPECT_LT(btns::null_id(~0ULL, ~0ULL).size(), size_t{BTNS_KEY_ID_LEN});
}

} // namespace
