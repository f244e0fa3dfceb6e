/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* What is said of a peer that is not there is what happens to one that comes, and nothing is changed by saying it. */
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core_world.h"

namespace
{

using btns::test::addr;
using btns::test::Child;
using btns::test::Connection;
using btns::test::new_rsa;
using btns::test::new_spki;
using btns::test::office;
using btns::test::ts;
using btns::test::World;
using Octets = std::vector<uint8_t>;

constexpr const char *here = "198.51.100.7";
constexpr const char *elsewhere = "198.51.100.8";

struct Step
{
	std::string name;
	bool passed;
	btns_reason_t reason;
	std::string text;
};

void collect(void *user, const btns_step_t *step)
{
	static_cast<std::vector<Step> *>(user)->push_back({step->step, step->passed, step->reason, step->text});
}

std::string names_of(const std::vector<Step> &steps)
{
	std::string names;
	for (const Step &step : steps)
	{
		names += (names.empty() ? "" : " ") + step.name + (step.passed ? "" : "!");
	}
	return names;
}

class Explain : public testing::Test
{
protected:
	Explain() { btns_options_default(&options); }

	void configure() { ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK); }

	btns_supposed_t peer(const std::string &source, const Octets &spki)
	{
		cert = {BTNS_ENCODING_SPKI, {spki.data(), spki.size()}};
		btns_supposed_t supposed{};
		supposed.role = BTNS_ROLE_RESPONDER;
		supposed.source = addr(source);
		supposed.certs = &cert;
		supposed.cert_count = 1;
		return supposed;
	}

	/** All that can be asked for. */
	std::string state()
	{
		std::string text;
		btns_stats_each(
			world,
			[](void *user, const char *name, uint64_t value)
			{ *static_cast<std::string *>(user) += std::string(name) + " " + std::to_string(value) + "\n"; },
			&text);
		return text;
	}

	/** Its key and whether there is room for it are decided as it is said, before it comes. */
	void comes(uint32_t sa, const std::string &source, const Octets &spki, btns_reason_t key_reason,
			   btns_reason_t limit)
	{
		const std::string before = state();
		const btns_supposed_t supposed = peer(source, spki);
		btns_key_t said{};
		btns_reason_t reason = BTNS_REASON_NONE;
		const auto status = btns_supposed_key(world, &supposed, world.now, &said, &reason);
		EXPECT_EQ(reason, key_reason) << btns_reason_code(reason);
		EXPECT_EQ(status, key_reason == BTNS_REASON_NONE ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED);
		EXPECT_EQ(btns_supposed_admissible(world, &supposed, 1), limit);
		EXPECT_EQ(state(), before);

		world.init(sa, source);
		world.message(sa, source, spki);
		btns_key_t found{};
		EXPECT_EQ(btns_sa_key(world, sa, world.now, &found, &reason), status);
		EXPECT_EQ(reason, key_reason);
		EXPECT_TRUE(std::ranges::equal(found.fingerprint, said.fingerprint));
		EXPECT_EQ(btns_sa_admissible(world, sa, 1), limit);
	}

	/** What would be decided over a CHILD_SA of a peer with a key. */
	btns_reason_t child(const btns_key_t &key, const std::vector<btns_ts_t> &remote,
						std::vector<std::string> hosts = {}, bool mode_mismatch = false)
	{
		const std::string before = state();
		std::vector<btns_addr_t> addresses;
		for (const std::string &host : hosts)
		{
			addresses.push_back(addr(host));
		}
		const btns_ts_t local = ts("10.99.0.1");
		btns_child_t plain{};
		plain.btns = true;
		plain.connection = "strangers";
		plain.hosts = addresses.data();
		plain.host_count = addresses.size();
		plain.local = &local;
		plain.local_count = 1;
		plain.remote = remote.data();
		plain.remote_count = remote.size();
		plain.mode_mismatch = mode_mismatch;
		btns_reason_t reason = BTNS_REASON_NONE;
		steps.clear();
		const auto status = btns_supposed_child(world, key.fingerprint, &plain, collect, &steps, &reason);
		EXPECT_EQ(status, reason == BTNS_REASON_NONE ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED);
		EXPECT_EQ(state(), before);
		return reason;
	}

	/** Steps of a look-up with this claim. */
	void lookup(const btns_claim_t &claim, const std::vector<btns_candidate_t> &candidates,
				const std::vector<const char *> &connections, const char *known_by = nullptr,
				const char *vouched_by = nullptr, const btns_key_t *key = nullptr)
	{
		const btns_lookup_names_t names{connections.data(), known_by, vouched_by, key};
		steps.clear();
		ASSERT_EQ(btns_pad_explain(world, &claim, candidates.data(), candidates.size(), &names, collect, &steps),
				  BTNS_STATUS_OK);
	}

	[[nodiscard]] const Step &step(const std::string &name) const
	{
		return *std::ranges::find(steps, name, &Step::name);
	}

	World world;
	btns_options_t options{};
	btns_cert_t cert{};
	btns_key_t key{};
	std::vector<Step> steps;
	const Octets spki = new_spki();
};

TEST_F(Explain, a_key_and_a_place_for_it)
{
	comes(1, here, spki, BTNS_REASON_NONE, BTNS_REASON_NONE);
	comes(2, here, {1, 2, 3}, BTNS_REASON_KEY_MALFORMED, BTNS_REASON_NONE);
}

TEST_F(Explain, caps)
{
	options.max_peers = 2;
	options.max_peers_per_source = 1;
	configure();
	world.stranger(1, here, spki);
	comes(2, here, new_spki(), BTNS_REASON_MAX_PEERS_PER_SOURCE, BTNS_REASON_MAX_PEERS_PER_SOURCE);
	btns_sa_drop(world, 2);
	world.stranger(3, elsewhere, new_spki());
	comes(4, "192.0.2.1", new_spki(), BTNS_REASON_MAX_PEERS, BTNS_REASON_MAX_PEERS);
}

TEST_F(Explain, half_open_peers)
{
	options.max_half_open = 2;
	options.max_half_open_per_source = 1;
	configure();
	world.init(1, here);
	comes(2, here, spki, BTNS_REASON_HALF_OPEN_PER_SOURCE, BTNS_REASON_HALF_OPEN_PER_SOURCE);
	world.init(3, elsewhere);
	comes(4, "192.0.2.1", spki, BTNS_REASON_HALF_OPEN, BTNS_REASON_HALF_OPEN);
	btns_supposed_t initiator = peer("192.0.2.1", spki);
	initiator.role = BTNS_ROLE_INITIATOR;
	EXPECT_EQ(btns_supposed_admissible(world, &initiator, 1), BTNS_REASON_NONE) << "these are others' caps";
}

TEST_F(Explain, charon_is_nearly_full)
{
	options.ikesa_limit = 8;
	configure();
	const btns_supposed_t supposed = peer(here, spki);
	EXPECT_EQ(btns_supposed_admissible(world, &supposed, 6), BTNS_REASON_NONE);
	EXPECT_EQ(btns_supposed_admissible(world, &supposed, 7), BTNS_REASON_CROWDED);
}

TEST_F(Explain, time_for_keys)
{
	options.key_time = 10;
	options.key_time_per_source = 5;
	configure();
	const auto rsa = new_rsa().second;
	comes(1, here, rsa, BTNS_REASON_NONE, BTNS_REASON_NONE);
	comes(2, here, spki, BTNS_REASON_KEY_RATE_PER_SOURCE, BTNS_REASON_NONE);
	comes(3, elsewhere, rsa, BTNS_REASON_NONE, BTNS_REASON_NONE);
	comes(4, "192.0.2.1", spki, BTNS_REASON_KEY_RATE, BTNS_REASON_NONE);
	world.now += 10000;
	comes(5, "192.0.2.1", spki, BTNS_REASON_NONE, BTNS_REASON_NONE);
}

TEST_F(Explain, only_a_fingerprint)
{
	btns_key_t said{};
	btns_reason_t reason = BTNS_REASON_INTERNAL;
	const std::array<uint8_t, BTNS_FINGERPRINT_LEN> fingerprint{7, 8, 9};
	btns_supposed_t supposed{};
	supposed.source = addr(here);
	EXPECT_EQ(btns_supposed_key(world, &supposed, world.now, &said, &reason), BTNS_STATUS_REFUSED);
	EXPECT_EQ(reason, BTNS_REASON_NO_KEY);
	supposed.fingerprint = fingerprint.data();
	EXPECT_EQ(btns_supposed_key(world, &supposed, world.now, &said, &reason), BTNS_STATUS_OK);
	EXPECT_EQ(reason, BTNS_REASON_NONE);
	EXPECT_EQ(said.type, BTNS_KEY_NONE);
	EXPECT_TRUE(std::ranges::equal(said.fingerprint, fingerprint));
	options.max_peers = 0;
	configure();
	EXPECT_EQ(btns_supposed_key(world, &supposed, world.now, &said, &reason), BTNS_STATUS_REFUSED);
	EXPECT_EQ(reason, BTNS_REASON_MAX_PEERS) << "as with a key";
}

TEST_F(Explain, the_fingerprint_of_a_key)
{
	std::array<uint8_t, BTNS_FINGERPRINT_LEN> found{};
	const btns_supposed_t supposed = peer(here, spki);
	btns_reason_t reason = BTNS_REASON_NONE;
	ASSERT_EQ(btns_supposed_key(world, &supposed, world.now, &key, &reason), BTNS_STATUS_OK);
	EXPECT_EQ(btns_key_fingerprint({spki.data(), spki.size()}, found.data()), BTNS_STATUS_OK);
	EXPECT_TRUE(std::ranges::equal(found, key.fingerprint));
	EXPECT_EQ(btns_key_fingerprint({spki.data(), spki.size() - 1}, found.data()), BTNS_STATUS_REFUSED);
	EXPECT_EQ(std::ranges::count(found, 0), BTNS_FINGERPRINT_LEN);
	EXPECT_EQ(btns_key_fingerprint({nullptr, 1}, found.data()), BTNS_STATUS_INVALID);
}

TEST_F(Explain, a_child_is_decided_as_it_is_said)
{
	Connection reserving = office();
	reserving.remote_ts = {"10.1.0.0/16"};
	world.configure({Connection{}, reserving}, {"203.0.113.1"});
	world.stranger(1, here, spki);
	world.stranger(2, elsewhere, new_spki());
	ASSERT_EQ(btns_sa_verified_key(world, 1, &key), BTNS_STATUS_OK);
	Child held;
	held.remote = {ts("10.2.0.9")};
	ASSERT_EQ(world.child_up(2, held), BTNS_REASON_NONE);
	Child authenticated;
	authenticated.btns = false;
	authenticated.remote = {ts("10.3.0.0/24")};
	ASSERT_EQ(world.child_up(9, authenticated), BTNS_REASON_NONE);

	struct Row
	{
		btns_ts_t remote;
		btns_reason_t reason;
		const char *last;
		const char *text;
	};
	const Row rows[] = {
		{ts("10.4.0.1"), BTNS_REASON_NONE, "child-count", "16"},
		{ts("10.4.0.0/24", 80, 80), BTNS_REASON_NONE, "child-count", "16"},
		{ts("10.4.0.1-10.4.0.6"), BTNS_REASON_CHILD_NOT_PREFIX, "child-selectors", "remote 10.4.0.1-10.4.0.6"},
		{ts("10.4.0.1", 80, 90), BTNS_REASON_CHILD_PORTS, "child-selectors", "10.4.0.1[0/80-90]"},
		{ts("10.1.2.3"), BTNS_REASON_CHILD_RESERVED, "child-reserved", "connection 'office' reserves 10.1.0.0/16"},
		{ts("127.0.0.1"), BTNS_REASON_CHILD_RESERVED, "child-reserved", "127.0.0.0/8 has a special meaning"},
		{ts("203.0.113.0/24"), BTNS_REASON_CHILD_RESERVED, "child-reserved", "this host's own address"},
		{ts("10.3.0.7"), BTNS_REASON_CHILD_RESERVED, "child-reserved", "the authenticated peer of IKE_SA #9"},
		{ts("10.2.0.9"), BTNS_REASON_CHILD_HELD, "child-held", "10.2.0.9 is held by IKE_SA #2"},
	};
	for (const Row &row : rows)
	{
		EXPECT_EQ(child(key, {row.remote}), row.reason);
		ASSERT_FALSE(steps.empty());
		EXPECT_EQ(steps.back().name, row.last);
		EXPECT_EQ(steps.back().passed, row.reason == BTNS_REASON_NONE);
		EXPECT_NE(steps.back().text.find(row.text), std::string::npos) << steps.back().text;
		Child real;
		real.id = 7;
		real.remote = {row.remote};
		real.installing = false;
		EXPECT_EQ(world.authorize_child(1, real), row.reason) << row.text;
	}
	EXPECT_EQ(child(key, {ts("10.2.0.9")}, {"10.2.0.9"}), BTNS_REASON_NONE) << "its own host";
	EXPECT_EQ(child(key, {ts("10.4.0.1")}, {}, true), BTNS_REASON_CHILD_MODE);
	EXPECT_EQ(names_of(steps), "child-mode!");
	EXPECT_EQ(child(key, {}), BTNS_REASON_CHILD_NOT_PREFIX);
	EXPECT_EQ(child(key, std::vector<btns_ts_t>(BTNS_TS_MAX + 1, ts("10.4.0.1"))), BTNS_REASON_CHILD_TOO_MANY);
}

TEST_F(Explain, the_option_reserve)
{
	const btns_range_t range = btns::test::range("10.9.0.0/16");
	options.reserve = &range;
	options.reserve_count = 1;
	configure();
	EXPECT_EQ(child(key, {ts("10.9.1.1")}), BTNS_REASON_CHILD_RESERVED);
	EXPECT_NE(steps.back().text.find("charon.plugins.btns.reserve"), std::string::npos) << steps.back().text;
}

btns_candidate_t candidate(btns_flag_t flag, bool usable = true)
{
	btns_candidate_t out{};
	out.flag = flag;
	out.usable = usable;
	out.match = BTNS_MATCH_ANY;
	out.offered = true;
	return out;
}

TEST_F(Explain, the_way_of_a_stranger)
{
	const btns_supposed_t supposed = peer(here, spki);
	btns_claim_t claim{};
	claim.ike_version = 2;
	claim.auth = BTNS_AUTH_SIGNATURE;
	claim.vouched = BTNS_NO;
	claim.key_known = true;
	ASSERT_EQ(btns_supposed_key(world, &supposed, world.now, &key, &claim.key_reason), BTNS_STATUS_OK);
	claim.fingerprint = key.fingerprint;
	std::array<char, BTNS_KEY_ID_LEN> id{};
	btns_key_id(key.fingerprint, id.data());

	lookup(claim, {candidate(BTNS_FLAG_ANY), candidate(BTNS_FLAG_NONE)}, {"strangers", "office"}, nullptr, nullptr,
		   &key);
	EXPECT_EQ(names_of(steps), "addresses reserved-id known-id signature flag credential key room entry identity");
	EXPECT_NE(step("addresses").text.find("connection 'strangers' (groups = btns) and connection 'office' (no flag)"),
			  std::string::npos)
		<< step("addresses").text;
	EXPECT_NE(step("key").text.find("Ed25519, 255 bits"), std::string::npos) << step("key").text;
	EXPECT_NE(step("entry").text.find("connection 'strangers'"), std::string::npos);
	EXPECT_NE(step("identity").text.find(id.data()), std::string::npos);

	btns_candidate_t pinned = candidate(BTNS_FLAG_KEY);
	lookup(claim, {pinned}, {"pinned"}, nullptr, nullptr, &key);
	EXPECT_EQ(names_of(steps),
			  "addresses reserved-id known-id signature flag credential key room entry! authentication!");
	EXPECT_EQ(step("entry").reason, BTNS_REASON_NOT_PINNED);
	EXPECT_NE(step("entry").text.find(std::string("groups = ") + id.data()), std::string::npos) << step("entry").text;
	std::ranges::copy(key.fingerprint, pinned.key);
	lookup(claim, {candidate(BTNS_FLAG_ANY), pinned}, {"strangers", "pinned"}, nullptr, nullptr, &key);
	EXPECT_LT(step("entry").text.find("'pinned'"), step("entry").text.find("'strangers'")) << step("entry").text;

	claim.named_by_entry = true;
	lookup(claim, {candidate(BTNS_FLAG_ANY), candidate(BTNS_FLAG_NONE)}, {"strangers", "office"}, "connection 'alice'");
	EXPECT_EQ(names_of(steps), "addresses reserved-id known-id! authentication");
	EXPECT_NE(step("known-id").text.find("connection 'alice'"), std::string::npos);
	EXPECT_NE(step("authentication").text.find("'office'"), std::string::npos);
	EXPECT_EQ(step("authentication").text.find("'strangers'"), std::string::npos);
	claim.named_by_entry = false;

	claim.vouched = BTNS_YES;
	lookup(claim, {candidate(BTNS_FLAG_ANY)}, {"strangers"}, nullptr, "the CA certificate of 'X'");
	EXPECT_EQ(names_of(steps), "addresses reserved-id known-id signature flag credential! authentication!");
	EXPECT_NE(step("credential").text.find("the CA certificate of 'X'"), std::string::npos);
	claim.vouched = BTNS_NO;

	lookup(claim, {}, {});
	EXPECT_EQ(names_of(steps), "addresses! reserved-id known-id signature flag! authentication!");
	claim.limit = BTNS_REASON_MAX_PEERS;
	lookup(claim, {candidate(BTNS_FLAG_ANY)}, {"strangers"}, nullptr, nullptr, &key);
	EXPECT_EQ(step("room").reason, BTNS_REASON_MAX_PEERS);
}

TEST_F(Explain, the_linters_errors_are_told)
{
	Connection broken;
	broken.any_id = false;
	world.configure({broken});
	btns_claim_t claim{};
	claim.ike_version = 2;
	claim.auth = BTNS_AUTH_SIGNATURE;
	claim.vouched = BTNS_NO;
	claim.key_known = true;
	claim.fingerprint = key.fingerprint;
	lookup(claim, {candidate(BTNS_FLAG_ANY, btns_config_usable(world, 0))}, {"strangers"});
	EXPECT_EQ(step("entry").reason, BTNS_REASON_ENTRY_UNUSABLE);
	EXPECT_NE(step("entry").text.find("remote.id has to be %any"), std::string::npos) << step("entry").text;
	EXPECT_NE(step("key").text.find("not checked"), std::string::npos) << "only the fingerprint is known";
}

TEST_F(Explain, every_failure_is_a_refusal)
{
	const btns_supposed_t supposed = peer(here, spki);
	btns_reason_t reason = BTNS_REASON_NONE;
	EXPECT_EQ(btns_supposed_key(nullptr, &supposed, world.now, &key, &reason), BTNS_STATUS_INVALID);
	EXPECT_EQ(reason, BTNS_REASON_INTERNAL);
	EXPECT_EQ(btns_supposed_admissible(world, nullptr, 1), BTNS_REASON_INTERNAL);
	btns_fault("btns_supposed_key", 1);
	EXPECT_EQ(btns_supposed_key(world, &supposed, world.now, &key, &reason), BTNS_STATUS_NOMEM);
	EXPECT_EQ(reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_EQ(key.type, BTNS_KEY_NONE);
	btns_fault("btns_supposed_admissible", 1);
	EXPECT_EQ(btns_supposed_admissible(world, &supposed, 1), BTNS_REASON_OUT_OF_MEMORY);
	const btns_child_t none{};
	btns_fault("btns_supposed_child", 1);
	EXPECT_EQ(btns_supposed_child(world, key.fingerprint, &none, collect, &steps, &reason), BTNS_STATUS_NOMEM);
	EXPECT_EQ(reason, BTNS_REASON_OUT_OF_MEMORY);
	EXPECT_TRUE(steps.empty());
	EXPECT_EQ(btns_supposed_child(world, key.fingerprint, &none, collect, &steps, &reason), BTNS_STATUS_REFUSED)
		<< "no connection of a BTNS peer";
	EXPECT_EQ(reason, BTNS_REASON_PEER_WITHOUT_FLAG);
	btns_supposed_t nowhere = supposed;
	nowhere.source.family = 0;
	EXPECT_EQ(btns_supposed_admissible(world, &nowhere, 1), BTNS_REASON_SA_UNKNOWN);
	EXPECT_EQ(btns_supposed_key(world, &nowhere, world.now, &key, &reason), BTNS_STATUS_REFUSED);
}

} // namespace
