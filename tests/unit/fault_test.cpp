/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* Every call of core.h fails once: the answer is no, and the next call works. */
#include <gtest/gtest.h>

#include <array>

#include "core_world.h"

namespace
{

using btns::test::addr;
using btns::test::Child;
using btns::test::Connection;
using btns::test::new_spki;
using btns::test::ts;
using btns::test::World;
using Octets = std::vector<uint8_t>;

constexpr const char *here = "198.51.100.7";

class Faults : public testing::Test
{
protected:
	void TearDown() override { btns_fault(nullptr, 0); }

	/** An IKE_SA whose peer is armed. */
	void armed(uint32_t sa)
	{
		world.init(sa, here);
		world.message(sa, here, spki);
		ASSERT_EQ(world.arm(sa), BTNS_REASON_NONE);
	}

	World world;
	const Octets spki = new_spki();
	btns_key_t key{};
	btns_reason_t reason = BTNS_REASON_NONE;
	const btns_addr_t source = addr(here);
};

TEST_F(Faults, counts_down_and_stops)
{
	btns_key_t out;
	btns_fault("btns_sa_verified_key", 2);
	world.stranger(1, here, spki);
	EXPECT_EQ(btns_sa_verified_key(world, 1, &out), BTNS_STATUS_NOMEM);
	EXPECT_EQ(btns_sa_verified_key(world, 1, &out), BTNS_STATUS_NOMEM);
	EXPECT_EQ(btns_sa_verified_key(world, 1, &out), BTNS_STATUS_OK);
	btns_fault("btns_sa_verified_key", 2);
	btns_fault(nullptr, 5);
	EXPECT_EQ(btns_sa_verified_key(world, 1, &out), BTNS_STATUS_OK);
}

TEST_F(Faults, create_yields_no_core)
{
	btns_options_t options;
	btns_options_default(&options);
	btns_fault("btns_core_create", 1);
	EXPECT_EQ(btns_core_create(&options), nullptr);
	EXPECT_EQ(btns_core_create(nullptr), nullptr);
	btns_core_t *core = btns_core_create(&options);
	EXPECT_NE(core, nullptr);
	btns_core_destroy(core);
	btns_core_destroy(nullptr);
}

TEST_F(Faults, configure_keeps_the_options)
{
	btns_options_t options;
	btns_options_default(&options);
	options.max_peers = 0;
	btns_fault("btns_core_configure", 1);
	EXPECT_EQ(btns_core_configure(world, &options), BTNS_STATUS_NOMEM);
	world.init(1, here);
	EXPECT_EQ(btns_sa_admissible(world, 1, 1), BTNS_REASON_NONE);
	EXPECT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
	EXPECT_EQ(btns_sa_admissible(world, 1, 1), BTNS_REASON_MAX_PEERS);
	EXPECT_EQ(btns_core_configure(world, nullptr), BTNS_STATUS_INVALID);
}

TEST_F(Faults, range_parse_yields_no_range)
{
	btns_range_t range{};
	btns_fault("btns_range_parse", 1);
	EXPECT_EQ(btns_range_parse("10.0.0.0/8", &range), BTNS_STATUS_NOMEM);
	EXPECT_EQ(range.family, 0);
}

TEST_F(Faults, entry_flag_is_broken)
{
	btns_fault("btns_entry_flag", 1);
	EXPECT_EQ(Connection{}.with([](const btns_entry_t &entry) { return btns_entry_flag(&entry, nullptr); }),
			  BTNS_FLAG_BROKEN);
}

TEST_F(Faults, a_configuration_that_fails_leaves_the_one_in_force)
{
	btns_fault("btns_config_begin", 1);
	EXPECT_EQ(btns_config_begin(world), nullptr);
	for (const char *function : {"btns_config_add", "btns_config_commit"})
	{
		btns_fault(function, 1);
		EXPECT_EQ(world.configure({Connection{}, Connection{}}), BTNS_STATUS_NOMEM) << function;
		EXPECT_TRUE(btns_config_usable(world, 0));
		EXPECT_FALSE(btns_config_usable(world, 1));
	}
	btns_config_t *config = btns_config_begin(world);
	btns_fault("btns_config_own_address", 1);
	EXPECT_EQ(btns_config_own_address(config, &source), BTNS_STATUS_NOMEM);
	btns_config_abort(config);
	btns_fault("btns_config_usable", 1);
	EXPECT_FALSE(btns_config_usable(world, 0));
	EXPECT_TRUE(btns_config_usable(world, 0));
}

TEST_F(Faults, a_name_that_cannot_be_looked_up_is_somebodys)
{
	const auto no = [](void *, uint32_t) { return false; };
	btns_fault("btns_names_create", 1);
	EXPECT_EQ(btns_names_create(), nullptr);
	btns_names_t *names = btns_names_create();
	btns_fault("btns_names_add", 1);
	EXPECT_EQ(btns_names_add(names, 0, 2, {}), BTNS_STATUS_NOMEM);
	btns_fault("btns_names_seal", 1);
	EXPECT_EQ(btns_names_seal(names), BTNS_STATUS_NOMEM);
	EXPECT_EQ(btns_names_seal(names), BTNS_STATUS_OK);
	btns_fault("btns_names_find", 1);
	EXPECT_TRUE(btns_names_find(names, 2, {}, false, no, nullptr));
	EXPECT_FALSE(btns_names_find(names, 2, {}, false, no, nullptr));
	btns_names_destroy(names);
}

TEST_F(Faults, pad_lookup_yields_nobody)
{
	btns_claim_t claim{};
	claim.ike_version = 2;
	claim.auth = BTNS_AUTH_PSK;
	btns_candidate_t candidate{};
	candidate.offered = true;
	size_t order = 0;
	btns_verdict_t verdict{BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, 7};
	btns_fault("btns_pad_lookup", 1);
	EXPECT_EQ(btns_pad_lookup(&claim, &candidate, 1, &order, &verdict), BTNS_STATUS_NOMEM);
	EXPECT_EQ(verdict.choice, BTNS_CHOICE_NONE);
	EXPECT_EQ(verdict.count, 0U);
	EXPECT_EQ(verdict.reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(btns_pad_lookup(&claim, &candidate, 1, &order, &verdict), BTNS_STATUS_OK);
	EXPECT_EQ(verdict.count, 1U);
}

TEST_F(Faults, an_ike_sa_without_record_is_no_stranger)
{
	btns_fault("btns_sa_init", 1);
	world.init(1, here);
	EXPECT_EQ(world.last_status, BTNS_STATUS_NOMEM);
	world.message(1, here, spki);
	EXPECT_EQ(world.arm(1), BTNS_REASON_SA_UNKNOWN);
}

TEST_F(Faults, a_message_that_was_not_copied_disarms)
{
	armed(1);
	btns_fault("btns_sa_message", 1);
	world.message(1, here, spki);
	EXPECT_EQ(world.last_status, BTNS_STATUS_NOMEM);
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_sa_auth(world, 1), BTNS_AUTH_OTHER);
	EXPECT_NE(world.arm(1), BTNS_REASON_NONE);
	EXPECT_FALSE(world.authorize(1, world.facts(1, here)).allowed);
}

TEST_F(Faults, without_memory_no_key_is_sent_or_asked_for)
{
	world.init(1, here);
	std::array<unsigned, BTNS_ENCODINGS_MAX> out{};
	btns_fault("btns_sa_encodings_to_send", 1);
	EXPECT_EQ(btns_sa_encodings_to_send(world, 1, out.data()), 0U);
	EXPECT_EQ(btns_sa_encodings_to_send(world, 1, out.data()), 2U);
	btns_fault("btns_encodings_to_request", 1);
	EXPECT_EQ(btns_encodings_to_request(world, BTNS_ROLE_RESPONDER, out.data()), 0U);
	EXPECT_EQ(btns_encodings_to_request(world, BTNS_ROLE_RESPONDER, out.data()), 2U);
}

TEST_F(Faults, questions_about_a_message_are_answered_with_no)
{
	world.init(1, here);
	world.message(1, here, spki);
	btns_fault("btns_sa_auth", 1);
	EXPECT_EQ(btns_sa_auth(world, 1), BTNS_AUTH_OTHER);
	btns_fault("btns_sa_key", 1);
	EXPECT_EQ(btns_sa_key(world, 1, world.now, &key, &reason), BTNS_STATUS_NOMEM);
	EXPECT_EQ(reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	btns_fault("btns_key_parse", 1);
	EXPECT_EQ(btns_sa_key(world, 1, world.now, &key, &reason), BTNS_STATUS_NOMEM);
	EXPECT_EQ(reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	EXPECT_EQ(btns_sa_key(world, 1, world.now, &key, &reason), BTNS_STATUS_OK)
		<< "a failure is not remembered as an answer";
	btns_fault("btns_sa_certs", 1);
	EXPECT_EQ(btns_sa_certs(
				  world, 1, [](void *, btns_bytes_t) {}, nullptr),
			  BTNS_STATUS_NOMEM);
	btns_fault("btns_sa_names_certificate", 1);
	EXPECT_TRUE(btns_sa_names_certificate(world, 1));
	EXPECT_FALSE(btns_sa_names_certificate(world, 1));
	btns_fault("btns_sa_admissible", 1);
	EXPECT_EQ(btns_sa_admissible(world, 1, 1), BTNS_REASON_OUT_OF_MEMORY);
	btns_fault("btns_sa_evidence", 1);
	EXPECT_EQ(btns_sa_evidence(world, 1), nullptr);
	btns_evidence_t *evidence = btns_sa_evidence(world, 1);
	btns_fault("btns_evidence_key", 1);
	EXPECT_EQ(btns_evidence_key(world, evidence, world.now, &key), BTNS_STATUS_NOMEM);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	btns_evidence_destroy(evidence);
}

TEST_F(Faults, arm_does_not)
{
	world.init(1, here);
	world.message(1, here, spki);
	btns_fault("btns_sa_arm", 1);
	EXPECT_EQ(world.arm(1), BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_REFUSED);
	armed(1);
	btns_fault("btns_sa_armed_key", 1);
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_NOMEM);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	EXPECT_EQ(btns_sa_armed_key(world, 1, &key), BTNS_STATUS_OK);
}

TEST_F(Faults, authorize_refuses_the_stranger_and_gives_its_place_back)
{
	World one({Connection{}}, 1);
	one.init(1, here);
	one.message(1, here, spki);
	ASSERT_EQ(one.arm(1), BTNS_REASON_NONE);
	const btns_authorize_t facts = one.facts(1, here);
	btns_fault("btns_sa_authorize", 1);
	const btns_grant_t grant = one.authorize(1, facts);
	EXPECT_EQ(one.last_status, BTNS_STATUS_NOMEM);
	EXPECT_FALSE(grant.allowed);
	EXPECT_FALSE(grant.btns);
	EXPECT_EQ(grant.reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(grant.key.spki_len, 0U);
	EXPECT_EQ(btns_sa_armed_key(one, 1, &key), BTNS_STATUS_REFUSED);
	EXPECT_FALSE(one.authorize(1, facts).allowed) << "and not by asking again";
	one.stranger(2, here, spki);
}

TEST_F(Faults, authorize_refuses_whoever_might_be_a_stranger)
{
	btns_authorize_t facts{};
	facts.connection = "office";
	const auto fails = [&](uint32_t sa)
	{
		btns_fault("btns_sa_authorize", 1);
		const btns_grant_t grant = world.authorize(sa, facts);
		EXPECT_EQ(world.last_status, BTNS_STATUS_NOMEM);
		EXPECT_FALSE(grant.btns);
		return !grant.allowed;
	};
	for (const bool final : {false, true})
	{
		facts.final = final;
		armed(1);
		EXPECT_TRUE(fails(1)) << "armed";
		world.stranger(2, here, new_spki());
		EXPECT_TRUE(fails(2)) << "a BTNS peer";
		btns_sa_drop(world, 2);
		facts.verified = key.fingerprint;
		EXPECT_TRUE(fails(3)) << "our key verified";
		facts.verified = nullptr;
		facts.flag = BTNS_FLAG_ANY;
		EXPECT_TRUE(fails(3)) << "the flag";
		facts.flag = BTNS_FLAG_NONE;
		facts.reserved_name = true;
		EXPECT_TRUE(fails(3)) << "a reserved name";
		facts.reserved_name = false;
		EXPECT_FALSE(fails(3)) << "an authenticated peer is not hurt";
	}
	btns_grant_t grant{};
	grant.allowed = true;
	EXPECT_EQ(btns_sa_authorize(nullptr, 1, &facts, &grant), BTNS_STATUS_INVALID);
	EXPECT_FALSE(grant.allowed);
	grant.allowed = true;
	EXPECT_EQ(btns_sa_authorize(world, 1, nullptr, &grant), BTNS_STATUS_INVALID);
	EXPECT_FALSE(grant.allowed);
}

TEST_F(Faults, the_final_authorize_refuses)
{
	world.stranger(1, here, spki);
	btns_authorize_t facts = world.facts(1, here);
	facts.final = true;
	facts.coerced = true;
	btns_fault("btns_sa_authorize", 1);
	EXPECT_FALSE(world.authorize(1, facts).allowed);
	EXPECT_TRUE(world.authorize(1, facts).allowed);
}

TEST_F(Faults, what_is_known_of_btns_peers_is_denied)
{
	world.stranger(1, here, spki);
	btns_fault("btns_sa_verified_key", 1);
	EXPECT_EQ(btns_sa_verified_key(world, 1, &key), BTNS_STATUS_NOMEM);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	btns_fault("btns_sa_is_btns", 1);
	EXPECT_FALSE(btns_sa_is_btns(world, 1));
	btns_fault("btns_sa_up", 1);
	EXPECT_EQ(btns_sa_up(world, 1, 1, 1, &source, &source, 1), BTNS_STATUS_NOMEM);
	btns_peer_info_t info;
	btns_fault("btns_sa_info", 1);
	EXPECT_EQ(btns_sa_info(world, 1, &info), BTNS_STATUS_NOMEM);
	EXPECT_EQ(info.sa, 0U);
}

TEST_F(Faults, rekey_leaves_the_new_ike_sa_unknown)
{
	world.stranger(1, here, spki);
	btns_fault("btns_sa_rekey", 1);
	EXPECT_EQ(btns_sa_rekey(world, 1, 2), BTNS_STATUS_NOMEM);
	EXPECT_FALSE(btns_sa_is_btns(world, 2)) << "a flagged IKE_SA that is unknown is deleted";
	EXPECT_TRUE(btns_sa_is_btns(world, 1));
}

TEST_F(Faults, what_cannot_be_dropped_stays)
{
	world.stranger(1, here, spki);
	Child own;
	own.hosts = {here};
	own.remote = {ts(here)};
	ASSERT_EQ(world.child_up(1, own), BTNS_REASON_NONE);
	btns_fault("btns_child_down", 1);
	btns_child_down(world, 1, own.id);
	EXPECT_EQ(world.stat("children"), 1U);
	btns_fault("btns_sa_drop", 1);
	btns_sa_drop(world, 1);
	EXPECT_TRUE(btns_sa_is_btns(world, 1));
	btns_sa_drop(world, 1);
	EXPECT_FALSE(btns_sa_is_btns(world, 1));
}

TEST_F(Faults, children_of_strangers_are_refused)
{
	world.stranger(1, here, spki);
	Child own;
	own.hosts = {here};
	own.remote = {ts(here)};
	btns_fault("btns_child_authorize", 1);
	EXPECT_EQ(world.authorize_child(1, own), BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(world.last_status, BTNS_STATUS_NOMEM);
	btns_fault("btns_child_up", 1);
	EXPECT_EQ(world.child_up(1, own), BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(world.last_status, BTNS_STATUS_NOMEM);
	EXPECT_EQ(world.stat("children"), 0U);
	EXPECT_EQ(world.child_up(1, own), BTNS_REASON_NONE);
}

TEST_F(Faults, addresses_and_audits)
{
	btns_fault("btns_is_reserved", 1);
	EXPECT_TRUE(btns_is_reserved(world, &source));
	EXPECT_FALSE(btns_is_reserved(world, &source));
	btns_fault("btns_sa_holds", 1);
	EXPECT_EQ(btns_sa_holds(world, 50, &source, 1, World::evict, &world), BTNS_STATUS_NOMEM);
	btns_fault("btns_audit", 1);
	EXPECT_TRUE(world.audit().empty());
	EXPECT_EQ(world.last_status, BTNS_STATUS_NOMEM);
}

TEST_F(Faults, enumerations_and_counters)
{
	btns_fault("btns_config_each", 1);
	EXPECT_EQ(btns_config_each(
				  world, [](void *, const btns_pad_info_t *) {}, nullptr),
			  BTNS_STATUS_NOMEM);
	btns_fault("btns_config_new_findings", 1);
	EXPECT_EQ(btns_config_new_findings(
				  world, [](void *, const char *, btns_severity_t, const char *) {}, nullptr),
			  BTNS_STATUS_NOMEM);
	btns_fault("btns_peers_each", 1);
	EXPECT_EQ(btns_peers_each(
				  world, [](void *, const btns_peer_info_t *) {}, nullptr),
			  BTNS_STATUS_NOMEM);
	btns_fault("btns_stats_each", 1);
	EXPECT_EQ(btns_stats_each(
				  world, [](void *, const char *, uint64_t) {}, nullptr),
			  BTNS_STATUS_NOMEM);
	btns_fault("btns_refused", 1);
	EXPECT_TRUE(btns_refused(world, BTNS_REASON_NAMED, 1)) << "rather a line too many";
	world.init(1, here);
	btns_sa_refuse(world, 1, BTNS_REASON_NAMED);
	btns_fault("btns_sa_take_refusal", 1);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NAMED);
	btns_fault("btns_sa_refuse", 1);
	btns_sa_refuse(world, 1, BTNS_REASON_NAMED);
	EXPECT_EQ(btns_sa_take_refusal(world, 1, false), BTNS_REASON_NONE);
}

TEST_F(Faults, keys_and_names)
{
	btns_options_t options;
	btns_options_default(&options);
	btns_fault("btns_key_parse", 1);
	EXPECT_EQ(btns_key_parse(&options.keys, 15, {spki.data(), spki.size()}, &key, &reason), BTNS_STATUS_NOMEM);
	EXPECT_EQ(reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	uint8_t body[BTNS_SPKI_MAX];
	size_t length = 1;
	btns_fault("btns_key_encode", 1);
	EXPECT_EQ(btns_key_encode(15, {spki.data(), spki.size()}, body, &length), BTNS_STATUS_NOMEM);
	EXPECT_EQ(length, 0U);
	btns_fault("btns_is_reserved_name", 1);
	EXPECT_TRUE(btns_is_reserved_name({spki.data(), 1}));
	btns_x509_names_t names;
	btns_fault("btns_x509_names", 1);
	EXPECT_EQ(btns_x509_names({spki.data(), spki.size()}, &names), BTNS_STATUS_NOMEM);
	char version[16];
	btns_fault("btns_find_version", 1);
	EXPECT_EQ(btns_find_version({spki.data(), spki.size()}, version, sizeof(version)), BTNS_STATUS_NOMEM);
	EXPECT_STREQ(version, "");
}

} // namespace
