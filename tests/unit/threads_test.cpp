/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* Many threads at once; what they do wrong is for ThreadSanitizer to find. */
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <thread>

#include "core_world.h"

namespace
{

using btns::test::addr;
using btns::test::Child;
using btns::test::Connection;
using btns::test::new_spki;
using btns::test::office;
using btns::test::ts;
using btns::test::World;

constexpr uint32_t ike_sas_per_thread = 50;
/** How often each thread does what it does: long enough for all of them to be at it at the same time. */
constexpr int rounds = 10;

/** Strangers come, get a CHILD_SA, are rekeyed and go. */
void be_strangers(btns_core_t *core, uint32_t first, const std::vector<uint8_t> &spki)
{
	const btns_addr_t source = addr("198.51.100." + std::to_string(first / 1000));
	const btns_cert_t cert{BTNS_ENCODING_SPKI, {spki.data(), spki.size()}};
	for (uint32_t sa = first; sa < first + ike_sas_per_thread; sa++)
	{
		btns_auth_message_t message{};
		message.auth = BTNS_AUTH_SIGNATURE;
		message.source = source;
		message.certs = &cert;
		message.cert_count = message.cert_total = 1;
		const btns_init_t init{source, BTNS_ROLE_RESPONDER, sa, sa, 0};
		btns_sa_init(core, sa, &init);
		btns_sa_message(core, sa, &message);
		btns_key_t key;
		btns_reason_t reason = BTNS_REASON_NONE;
		btns_sa_key(core, sa, int64_t{1000} * sa, &key, &reason);
		btns_sa_arm(core, sa, BTNS_ROLE_RESPONDER, &reason);
		btns_authorize_t facts{};
		facts.flag = BTNS_FLAG_ANY;
		facts.connection = "strangers";
		facts.pubkey = true;
		facts.verified = key.fingerprint;
		facts.source = source;
		btns_grant_t grant;
		btns_sa_authorize(core, sa, &facts, &grant);
		btns_root_t root{};
		root.ike_version = 2;
		root.connection = "strangers";
		root.local.key = {spki.data(), spki.size()};
		btns_sa_real_message(core, sa, true, root.local.key);
		btns_sa_real_message(core, sa, false, root.local.key);
		btns_sa_root(core, sa, &root);
		std::array<uint8_t, BTNS_SEED_LEN> seed{};
		btns_sa_take_seed(core, sa, seed.data());
		btns_sa_unique(core, sa, seed.data());
		btns_sa_peer_up(core, sa);
		btns_sa_up(core, sa, 1, 2, &source, &source, 3);
		btns_sa_is_btns(core, sa);

		const btns_ts_t local = ts("10.99.0.1");
		const btns_ts_t remote = ts("198.51.100." + std::to_string(first / 1000));
		btns_child_t child{};
		child.btns = true;
		child.connection = "strangers";
		child.hosts = &source;
		child.host_count = 1;
		child.local = &local;
		child.remote = &remote;
		child.local_count = child.remote_count = 1;
		child.installing = true;
		child.child = sa;
		btns_child_authorize(core, sa, &child, nullptr, nullptr, &reason);
		btns_child_up(core, sa, &child, nullptr, nullptr, &reason);
		btns_sa_rekey(core, sa, sa + 500);
		btns_sa_drop(core, sa);
		btns_child_down(core, sa + 500, sa);
		btns_sa_drop(core, sa + 500);
	}
}

/** An authenticated peer comes and goes. */
void be_authenticated(btns_core_t *core, uint32_t sa)
{
	const btns_addr_t source = addr("198.51.100.2");
	const btns_ts_t remote = ts("198.51.100.0/24");
	const auto evict = [](void *user, uint32_t stranger, btns_reason_t)
	{ btns_sa_is_btns(static_cast<btns_core_t *>(user), stranger); };
	for (int i = 0; i < 50 * rounds; i++)
	{
		btns_child_t child{};
		child.connection = "office";
		child.remote = &remote;
		child.remote_count = 1;
		child.child = 1;
		btns_reason_t reason = BTNS_REASON_NONE;
		EXPECT_EQ(btns_child_up(core, sa, &child, evict, core, &reason), BTNS_STATUS_OK);
		EXPECT_EQ(btns_sa_holds(core, sa, &source, 1, evict, core), BTNS_STATUS_OK);
		EXPECT_TRUE(btns_is_reserved(core, &source));
		btns_sa_drop(core, sa);
	}
}

/** Configurations change, people look. */
void administrate(World &world, const std::atomic<bool> &stop)
{
	Connection moving;
	moving.mobike = true;
	while (!stop)
	{
		world.configure({Connection{}, office()});
		world.configure({moving});
		btns_options_t options;
		btns_options_default(&options);
		options.key_time = options.key_time_per_source = 100000;
		options.idle_timeout = options.childless_timeout = 1;
		options.ikesa_limit = 8;
		btns_core_configure(world, &options);
		world.now += 1000;
		btns_reap(
			world, world.now, [](void *, const btns_peer_info_t *) {}, [](void *, uint32_t, btns_reason_t) {}, nullptr);
		btns_shed(
			world, world.now, 8, [](void *, uint32_t, btns_reason_t) {}, nullptr);
		btns_audit(
			world, [](void *, uint32_t, btns_reason_t) {}, nullptr);
		btns_config_new_findings(
			world, [](void *, const char *, btns_severity_t, const char *) {}, nullptr);
		btns_config_each(
			world, [](void *, const btns_pad_info_t *) {}, nullptr);
		btns_peers_each(
			world, [](void *, const btns_peer_info_t *) {}, nullptr);
		const btns_flow_t flow{6, addr("10.99.0.1"), addr("198.51.100.1"), 1, 2};
		btns_channel_of_flow(
			world, &flow, [](void *, const btns_channel_info_t *) {}, nullptr);
		btns_peer_events(
			world, [](void *, btns_peer_event_t, const btns_channel_info_t *, const uint8_t *) {}, nullptr);
		world.stat("peers");
		btns_refused(world, BTNS_REASON_NAMED, 1);
	}
}

TEST(Threads, everybody_at_once)
{
	World world;
	std::atomic<bool> stop = false;
	btns_core_t *core = world;
	std::latch start(7);
	std::vector<std::thread> peers;
	for (uint32_t i = 1; i <= 4; i++)
	{
		peers.emplace_back(
			[core, i, &start, spki = new_spki()]
			{
				start.arrive_and_wait();
				for (int round = 0; round < rounds; round++)
				{
					be_strangers(core, i * 1000, spki);
				}
			});
	}
	for (const uint32_t sa : {7U, 8U})
	{
		peers.emplace_back(
			[core, sa, &start]
			{
				start.arrive_and_wait();
				be_authenticated(core, sa);
			});
	}
	std::thread administrator(
		[&]
		{
			start.arrive_and_wait();
			administrate(world, stop);
		});
	for (std::thread &thread : peers)
	{
		thread.join();
	}
	stop = true;
	administrator.join();

	EXPECT_EQ(world.stat("peers"), 0U);
	EXPECT_EQ(world.stat("children"), 0U);
	EXPECT_EQ(world.stat("records"), 0U);
	world.stranger(1, "198.51.100.2", new_spki());
}

} // namespace
