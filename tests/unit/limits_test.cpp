/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <string>

#include "core_world.h"
#include "key_meter.h"
#include "one_thread.h"
#include "overload.h"
#include "side_table.h"

namespace
{

using btns::Address;
using btns::BucketSize;
using btns::KeyMeter;
using btns::KeyRates;
using btns::TokenBucket;
using btns::test::addr;
using btns::test::Child;
using btns::test::Connection;
using btns::test::Evicted;
using btns::test::new_rsa;
using btns::test::new_spki;
using btns::test::ts;
using btns::test::World;

constexpr const char *here = "198.51.100.7";
constexpr const char *elsewhere = "203.0.113.66";
constexpr int64_t start = 1000000;

Address address(const std::string &text)
{
	return *btns::to_address(addr(text));
}

TEST(Bucket, a_burst_and_a_rate)
{
	const BucketSize size{2, 10};
	TokenBucket bucket;
	EXPECT_TRUE(bucket.is_full(size, start));
	for (int i = 0; i < 10; i++)
	{
		ASSERT_TRUE(bucket.has(size, start));
		bucket.take(1, size, start);
	}
	EXPECT_FALSE(bucket.has(size, start));
	EXPECT_TRUE(bucket.has(size, start + 1));
	EXPECT_FALSE(bucket.is_full(size, start + 4));
	EXPECT_TRUE(bucket.is_full(size, start + 5));
	EXPECT_TRUE(bucket.is_full(size, INT64_MAX)) << "however long it lasts";
}

TEST(Bucket, what_is_dearer_than_the_bucket_passes_and_is_paid_for)
{
	const BucketSize size{1, 10};
	TokenBucket bucket;
	ASSERT_TRUE(bucket.has(size, start));
	bucket.take(100, size, start);
	EXPECT_FALSE(bucket.has(size, start + 90));
	EXPECT_TRUE(bucket.has(size, start + 91));
}

TEST(Bucket, time_does_not_go_back)
{
	const BucketSize size{1, 10};
	TokenBucket bucket;
	bucket.take(10, size, start);
	EXPECT_FALSE(bucket.has(size, start - 1000));
	bucket.take(0, size, start - 1000);
	EXPECT_TRUE(bucket.has(size, start + 1));
	EXPECT_FALSE(bucket.is_full(size, start + 9)) << "nothing was filled in twice";
}

TEST(KeyMeter, a_limit_in_all_and_for_one_source)
{
	KeyMeter meter;
	const KeyRates rates{20, 5};
	const Address one = address(here);
	EXPECT_EQ(meter.spend(one, 5000, rates, start), BTNS_REASON_NONE);
	EXPECT_EQ(meter.spend(one, 1, rates, start), BTNS_REASON_KEY_RATE_PER_SOURCE);
	EXPECT_EQ(meter.spend(address(elsewhere), 15000, rates, start), BTNS_REASON_NONE);
	EXPECT_EQ(meter.spend(address("192.0.2.1"), 1, rates, start), BTNS_REASON_KEY_RATE);
	EXPECT_EQ(meter.totals().spent, 20000U) << "what is refused takes nothing";
	EXPECT_EQ(meter.totals().sources, 2U);
	EXPECT_EQ(meter.spend(1, rates, start), BTNS_REASON_KEY_RATE);

	EXPECT_EQ(meter.spend(address("192.0.2.1"), 1, rates, start + 1), BTNS_REASON_NONE);
	EXPECT_EQ(meter.spend(one, 1, rates, start + 1), BTNS_REASON_NONE);
	EXPECT_EQ(meter.spend(address(elsewhere), 1, rates, start + 1000), BTNS_REASON_KEY_RATE_PER_SOURCE) << "in debt";
	EXPECT_EQ(meter.spend(1, rates, start + 1000), BTNS_REASON_NONE);
}

TEST(KeyMeter, one_source_is_a_64_of_ipv6)
{
	KeyMeter meter;
	const KeyRates rates{20, 5};
	EXPECT_EQ(meter.spend(address("2001:db8::1"), 5000, rates, start), BTNS_REASON_NONE);
	EXPECT_EQ(meter.spend(address("2001:db8::ffff:1"), 1, rates, start), BTNS_REASON_KEY_RATE_PER_SOURCE);
	EXPECT_EQ(meter.spend(address("2001:db8:0:1::1"), 1, rates, start), BTNS_REASON_NONE);
}

TEST(KeyMeter, many_addresses_take_no_memory_and_nobody_elses_share)
{
	KeyMeter meter;
	const KeyRates rates{250, 50};
	Address source = address("10.0.0.0");
	size_t most = 0;
	for (unsigned i = 0; i < 200000; i++)
	{
		source.value++;
		meter.spend(source, btns::payload_cost, rates, start + i / 100);
		most = std::max(most, meter.totals().sources);
	}
	EXPECT_LT(most, 10000U);
	EXPECT_EQ(meter.spend(address(here), 6000, rates, start + 2500), BTNS_REASON_NONE);
	EXPECT_EQ(meter.spend(address(elsewhere), 6000, rates, start + 2500), BTNS_REASON_NONE);
}

TEST(KeyMeter, ON_ONE_THREAD(is_bounded_whatever_the_rates))
{
	KeyMeter meter;
	const KeyRates rates{100000, 1};
	Address source = address("10.0.0.0");
	btns_reason_t reason = BTNS_REASON_NONE;
	for (size_t i = 0; i < 2 * btns::metered_sources_max; i++)
	{
		source.value++;
		reason = meter.spend(source, 1000, rates, start);
	}
	EXPECT_EQ(reason, BTNS_REASON_KEY_RATE);
	EXPECT_EQ(meter.totals().sources, btns::metered_sources_max);
	EXPECT_EQ(meter.spend(source, 1000, rates, start + 2000), BTNS_REASON_NONE);
	EXPECT_EQ(meter.totals().sources, 1U) << "those that are full again are forgotten";
}

TEST(KeyMeter, keys_cost_what_they_cost)
{
	EXPECT_EQ(btns::key_cost(BTNS_KEY_RSA, 4096), 8 * btns::key_cost(BTNS_KEY_RSA, 2048));
	EXPECT_GT(btns::key_cost(BTNS_KEY_RSA, 3072), btns::key_cost(BTNS_KEY_RSA, 2048));
	EXPECT_GT(btns::key_cost(BTNS_KEY_RSA, 2048), btns::key_cost(BTNS_KEY_ECDSA, 521));
	EXPECT_GT(btns::key_cost(BTNS_KEY_ECDSA, 521), btns::key_cost(BTNS_KEY_ECDSA, 256));
	EXPECT_GT(btns::key_cost(BTNS_KEY_ECDSA, 256), btns::key_cost(BTNS_KEY_ED25519, 255));
	EXPECT_GT(btns::key_cost(BTNS_KEY_ED448, 448), btns::key_cost(BTNS_KEY_ED25519, 255));
	EXPECT_GT(btns::key_cost(BTNS_KEY_NONE, 0), 0);
}

TEST(Overload, room_is_kept_for_others)
{
	EXPECT_FALSE(btns::is_crowded(1000000, 0)) << "no limit";
	EXPECT_EQ(btns::count_to_shed(1000000, 0), 0U);
	EXPECT_FALSE(btns::is_crowded(75, 100));
	EXPECT_TRUE(btns::is_crowded(76, 100));
	EXPECT_EQ(btns::count_to_shed(87, 100), 0U);
	EXPECT_EQ(btns::count_to_shed(88, 100), 13U) << "down to where strangers may come again";
	for (const unsigned limit : {1U, 2U, 3U, 5U, 8U})
	{
		EXPECT_TRUE(btns::is_crowded(limit, limit)) << limit;
		EXPECT_GT(btns::count_to_shed(limit, limit), 0U) << limit;
	}
}

class Limits : public testing::Test
{
protected:
	Limits() { btns_options_default(&options); }

	void configure() { ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK); }
	/** IKE_SA_INIT and IKE_AUTH; what btns_sa_key() says. */
	btns_reason_t key(uint32_t sa, const std::string &source, const std::vector<uint8_t> &spki)
	{
		world.init(sa, source);
		world.message(sa, source, spki);
		btns_key_t out;
		btns_reason_t reason = BTNS_REASON_NONE;
		btns_sa_key(world, sa, world.now, &out, &reason);
		return reason;
	}
	void stranger(uint32_t sa, const std::string &source = here, bool child = true)
	{
		world.stranger(sa, source, new_spki());
		if (child)
		{
			Child data;
			data.remote = {ts(source)};
			data.hosts = {source};
			ASSERT_EQ(world.child_up(sa, data), BTNS_REASON_NONE);
		}
	}
	/** What btns_reap() finds; the traffic of who is looked at was at `used`. */
	Evicted reap(int64_t used = 0)
	{
		world.used = used;
		EXPECT_EQ(btns_reap(world, world.now, World::look, World::evict, &world), BTNS_STATUS_OK);
		return world.take_evicted();
	}
	Evicted shed(unsigned ike_sas)
	{
		EXPECT_EQ(btns_shed(world, world.now, ike_sas, World::evict, &world), BTNS_STATUS_OK);
		return world.take_evicted();
	}

	btns_options_t options{};
	World world;
	const std::vector<uint8_t> spki = new_spki();
};

TEST_F(Limits, half_open_in_all_and_by_source)
{
	options.max_half_open = 3;
	options.max_half_open_per_source = 2;
	configure();
	EXPECT_EQ(key(1, here, spki), BTNS_REASON_NONE);
	world.init(2, here);
	EXPECT_EQ(key(3, here, spki), BTNS_REASON_HALF_OPEN_PER_SOURCE);
	EXPECT_EQ(btns_sa_admissible(world, 3, 3), BTNS_REASON_HALF_OPEN_PER_SOURCE);
	EXPECT_EQ(world.arm(3), BTNS_REASON_HALF_OPEN_PER_SOURCE);
	world.init(4, elsewhere);
	EXPECT_EQ(key(5, elsewhere, spki), BTNS_REASON_HALF_OPEN);
	EXPECT_EQ(world.stat("half-open"), 3U);
	EXPECT_EQ(world.stat("records"), 5U);

	btns_authorize_t facts{};
	facts.connection = "office";
	EXPECT_TRUE(world.authorize(5, facts).allowed) << "an authenticated peer is none of them";
	EXPECT_EQ(world.stat("half-open"), 3U);

	btns_sa_drop(world, 2);
	world.init(2, here);
	world.init(1, here);
	EXPECT_EQ(world.stat("half-open"), 3U) << "one that begins anew is one";
	EXPECT_EQ(key(3, here, spki), BTNS_REASON_HALF_OPEN);
	btns_sa_drop(world, 2);
	EXPECT_EQ(key(3, here, spki), BTNS_REASON_NONE);
}

TEST_F(Limits, who_is_authenticated_is_not_half_open)
{
	options.max_half_open = 1;
	configure();
	world.stranger(1, here, spki);
	EXPECT_EQ(world.stat("half-open"), 0U);
	btns_authorize_t facts{};
	facts.connection = "office";
	world.init(2, here);
	EXPECT_EQ(world.stat("half-open"), 1U);
	facts.reserved_name = true;
	EXPECT_FALSE(world.authorize(2, facts).allowed);
	EXPECT_EQ(world.stat("half-open"), 1U) << "a refused one goes with its IKE_SA";
	facts.reserved_name = false;
	EXPECT_TRUE(world.authorize(2, facts).allowed);
	EXPECT_EQ(world.stat("half-open"), 0U);
	ASSERT_EQ(world.begin(3, addr(here), BTNS_ROLE_INITIATOR), BTNS_STATUS_OK);
	EXPECT_EQ(world.stat("half-open"), 0U) << "we have initiated it";
}

TEST_F(Limits, no_key_is_looked_at_when_there_is_no_room)
{
	options.max_peers_per_source = 1;
	options.max_peers = 2;
	configure();
	world.stranger(1, here, spki);
	const auto rsa = new_rsa().second;
	const uint64_t before = world.stat("key-time");
	EXPECT_EQ(key(2, here, rsa), BTNS_REASON_MAX_PEERS_PER_SOURCE);
	world.stranger(3, elsewhere, new_spki());
	EXPECT_EQ(key(4, "192.0.2.1", rsa), BTNS_REASON_MAX_PEERS);
	EXPECT_EQ(world.stat("key-time"), before);
	btns_sa_drop(world, 3);
	EXPECT_EQ(key(4, "192.0.2.1", rsa), BTNS_REASON_NONE);
	EXPECT_GE(world.stat("key-time"), before + 6);
}

TEST_F(Limits, keys_by_what_they_cost)
{
	options.key_time = 20;
	options.key_time_per_source = 7;
	configure();
	const auto rsa = new_rsa().second;
	EXPECT_EQ(key(1, here, rsa), BTNS_REASON_NONE);
	EXPECT_EQ(key(2, here, rsa), BTNS_REASON_NONE) << "what is left may be exceeded once";
	EXPECT_EQ(key(3, here, rsa), BTNS_REASON_KEY_RATE_PER_SOURCE);
	EXPECT_EQ(key(4, here, spki), BTNS_REASON_KEY_RATE_PER_SOURCE);
	EXPECT_EQ(key(5, here, {1, 2, 3}), BTNS_REASON_KEY_RATE_PER_SOURCE) << "garbage, too";
	EXPECT_EQ(key(6, elsewhere, rsa), BTNS_REASON_NONE);
	EXPECT_EQ(key(7, "192.0.2.1", rsa), BTNS_REASON_NONE);
	EXPECT_EQ(key(8, "192.0.2.2", rsa), BTNS_REASON_KEY_RATE);
	EXPECT_EQ(world.arm(8), BTNS_REASON_KEY_RATE) << "no key was seen";
	btns_evidence_t *evidence = btns_sa_evidence(world, 8);
	btns_key_t out;
	EXPECT_EQ(btns_evidence_key(world, evidence, world.now, &out), BTNS_STATUS_REFUSED) << "nor for the log";
	world.now += 1000;
	EXPECT_EQ(btns_evidence_key(world, evidence, world.now, &out), BTNS_STATUS_OK);
	btns_evidence_destroy(evidence);
	EXPECT_EQ(key(8, "192.0.2.2", rsa), BTNS_REASON_NONE);
	EXPECT_EQ(key(3, here, spki), BTNS_REASON_NONE);
}

TEST_F(Limits, requests_of_one_peer)
{
	options.child_rate = 3;
	configure();
	stranger(1);
	const auto ask = [&](uint32_t sa) { return btns_sa_may_create_child(world, sa, world.now); };
	for (int i = 0; i < 3; i++)
	{
		EXPECT_EQ(ask(1), BTNS_REASON_NONE);
	}
	EXPECT_EQ(ask(1), BTNS_REASON_CHILD_RATE);
	stranger(2, elsewhere);
	EXPECT_EQ(ask(2), BTNS_REASON_NONE) << "each has its own rate";
	EXPECT_EQ(btns_sa_rekey(world, 1, 11), BTNS_STATUS_OK);
	EXPECT_EQ(ask(11), BTNS_REASON_CHILD_RATE) << "rekeying makes it no new one";
	world.now += 20000;
	EXPECT_EQ(ask(11), BTNS_REASON_NONE);
	EXPECT_EQ(ask(11), BTNS_REASON_CHILD_RATE);
	world.init(3, here);
	for (int i = 0; i < 10; i++)
	{
		EXPECT_EQ(ask(3), BTNS_REASON_NONE) << "others are not limited";
		EXPECT_EQ(ask(99), BTNS_REASON_NONE);
	}
}

TEST_F(Limits, who_is_idle_goes)
{
	options.idle_timeout = 100;
	configure();
	stranger(1);
	const int64_t begin = world.now;
	EXPECT_EQ(reap(), Evicted{});
	world.now = begin + 99999;
	EXPECT_EQ(reap(), Evicted{});
	EXPECT_TRUE(world.looked.empty()) << "not before it is due";
	world.now = begin + 100000;
	EXPECT_EQ(reap(begin + 70000), Evicted{});
	EXPECT_EQ(world.looked, (std::vector<uint32_t>{1}));
	world.now = begin + 169999;
	EXPECT_EQ(reap(), Evicted{});
	btns_sa_used(world, 1, begin + 80000);
	world.now = begin + 170000;
	EXPECT_EQ(reap(), Evicted{}) << "a CHILD_SA that is gone carried something";
	EXPECT_EQ(btns_sa_rekey(world, 1, 2), BTNS_STATUS_OK);
	btns_sa_drop(world, 1);
	world.now = begin + 180000;
	EXPECT_EQ(reap(), (Evicted{{2, BTNS_REASON_IDLE}})) << "rekeying is no traffic";

	options.idle_timeout = 0;
	configure();
	world.now += 10000000;
	EXPECT_EQ(reap(), Evicted{}) << "never";
}

TEST_F(Limits, who_has_no_child_goes)
{
	options.childless_timeout = 10;
	configure();
	stranger(1, here, false);
	stranger(2, elsewhere);
	EXPECT_EQ(reap(), Evicted{});
	world.now += 9999;
	EXPECT_EQ(reap(), Evicted{});
	world.now++;
	EXPECT_EQ(reap(), (Evicted{{1, BTNS_REASON_CHILDLESS}}));
	btns_sa_drop(world, 1);
	btns_child_down(world, 2, 1);
	EXPECT_EQ(reap(), Evicted{}) << "its time begins now";
	world.now += 10000;
	EXPECT_EQ(reap(), (Evicted{{2, BTNS_REASON_CHILDLESS}}));
	options.childless_timeout = 0;
	configure();
	EXPECT_EQ(reap(), Evicted{}) << "never";
}

TEST_F(Limits, what_we_initiate_is_ours_to_end)
{
	const btns_addr_t source = addr(here);
	ASSERT_EQ(world.begin(1, source, BTNS_ROLE_INITIATOR), BTNS_STATUS_OK);
	world.message(1, here, spki);
	btns_key_t out;
	btns_reason_t reason = BTNS_REASON_NONE;
	ASSERT_EQ(btns_sa_key(world, 1, world.now, &out, &reason), BTNS_STATUS_OK);
	ASSERT_EQ(btns_sa_arm(world, 1, BTNS_ROLE_INITIATOR, &reason), BTNS_STATUS_OK);
	ASSERT_TRUE(world.authorize(1, world.facts(1, here)).btns);
	ASSERT_EQ(btns_sa_up(world, 1, 1, 2, &source, &source, 3), BTNS_STATUS_OK);
	reap();
	world.now += 1000000000;
	EXPECT_EQ(reap(), Evicted{});
}

TEST_F(Limits, looks_at_a_bounded_number)
{
	options.max_peers_per_source = 1000;
	configure();
	for (uint32_t sa = 1; sa <= btns::looks_max + 5; sa++)
	{
		world.now += 1000;
		stranger(sa);
	}
	reap();
	world.now += int64_t{1000} * options.idle_timeout;
	EXPECT_EQ(reap().size(), btns::looks_max);
	EXPECT_EQ(world.looked.size(), btns::looks_max);
}

TEST_F(Limits, strangers_make_room)
{
	options.ikesa_limit = 8;
	configure();
	stranger(1);
	stranger(2, elsewhere);
	stranger(3, "192.0.2.3", false);
	reap();
	btns_sa_used(world, 1, world.now + 10);
	world.init(5, "192.0.2.5");
	EXPECT_EQ(btns_sa_admissible(world, 5, 6), BTNS_REASON_NONE);
	EXPECT_EQ(btns_sa_admissible(world, 5, 7), BTNS_REASON_CROWDED);
	EXPECT_FALSE(btns_is_crowded(world, 6));
	EXPECT_TRUE(btns_is_crowded(world, 7));
	EXPECT_EQ(shed(7), Evicted{});
	EXPECT_EQ(shed(8), (Evicted{{3, BTNS_REASON_SHED}, {2, BTNS_REASON_SHED}}))
		<< "without a CHILD_SA first, then without traffic";
	EXPECT_EQ(world.stat("evicted"), 2U);
	EXPECT_EQ(shed(100).size(), 3U) << "there are no more";

	reap();
	world.now += btns::half_open_grace - 1;
	EXPECT_EQ(shed(8).front().first, 3U) << "somebody who has just begun has time";
	world.now++;
	EXPECT_EQ(shed(8), (Evicted{{5, BTNS_REASON_SHED_HALF_OPEN}, {3, BTNS_REASON_SHED}}));
	world.message(5, "192.0.2.5", spki);
	EXPECT_EQ(shed(8).front().first, 3U) << "it has sent IKE_AUTH";
	btns_authorize_t facts{};
	facts.connection = "office";
	world.init(6, "192.0.2.6");
	world.authorize(6, facts);
	const btns_addr_t office = addr("192.0.2.6");
	ASSERT_EQ(btns_sa_holds(world, 6, &office, 1, nullptr, nullptr), BTNS_STATUS_OK);
	reap();
	world.now += 1000000;
	for (const auto &[sa, reason] : shed(100))
	{
		EXPECT_NE(sa, 6U) << "authenticated peers stay";
	}
}

TEST_F(Limits, without_a_limit_nobody_makes_room)
{
	stranger(1);
	EXPECT_FALSE(btns_is_crowded(world, 1000000));
	EXPECT_EQ(shed(1000000), Evicted{});
	EXPECT_EQ(btns_sa_admissible(world, 1, 1000000), BTNS_REASON_NONE);
}

} // namespace
