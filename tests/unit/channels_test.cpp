/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <functional>

#include "abi.h"
#include "core_world.h"
#include "vectors.h"

namespace
{

using btns::Unavailable;
using btns::test::addr;
using btns::test::Child;
using btns::test::load_vector;
using btns::test::new_rsa;
using btns::test::new_spki;
using btns::test::Octets;
using btns::test::ts;
using btns::test::World;

constexpr uint8_t tcp = 6;
constexpr char here[] = "10.99.0.1";

btns_bytes_t view(const Octets &octets)
{
	return {octets.data(), octets.size()};
}

/** How a test says that an IKE_SA was authenticated. */
struct Authenticated
{
	btns_method_t local = BTNS_METHOD_PUBLIC_KEY;
	btns_method_t peer = BTNS_METHOD_PUBLIC_KEY;
	unsigned local_rounds = 1;
	unsigned peer_rounds = 1;
	unsigned ike_version = 2;
	Octets local_key{};
	Octets peer_key{};
	std::string id = "somebody";
	Octets certificate{};
	Octets trust_anchor{};
};

class Channels : public testing::Test
{
protected:
	World world{{btns::test::Connection{}, btns::test::office()}, 20000, 20000};
	Octets own = new_spki();

	[[nodiscard]] const btns::ChannelSource &source()
	{
		btns_core_t *core = world;
		return core->core.channels();
	}

	btns::ChannelAnswer find(const std::string &remote, uint16_t local_port = 1000, uint16_t remote_port = 7,
							 uint8_t protocol = tcp, const std::string &local = here)
	{
		return source().find(
			{protocol, *btns::to_address(addr(local)), *btns::to_address(addr(remote)), local_port, remote_port});
	}

	btns::ChannelAnswer find_one(const std::string &remote)
	{
		btns_core_t *core = world;
		return core->core.table.find_one(
			{tcp, *btns::to_address(addr(here)), *btns::to_address(addr(remote)), 1000, 7});
	}

	btns::ChannelAnswer of_sa(uint32_t sa)
	{
		btns_core_t *core = world;
		return core->core.table.of_sa(sa);
	}

	void messages(uint32_t sa)
	{
		const Octets request(64, 0x11);
		const Octets response(72, 0x22);
		btns_sa_real_message(world, sa, true, view(request));
		btns_sa_real_message(world, sa, false, view(response));
	}

	void bodies(uint32_t sa, bool request, uint8_t auth, uint32_t message_id = 1)
	{
		const Octets signature(64, auth);
		const btns_body_t id{{0x0d}, {}};
		const btns_body_t body{{0x0e}, view(signature)};
		const btns_auth_bodies_t both{request, message_id, &id, &body};
		btns_sa_auth_bodies(world, sa, &both);
	}

	void root(uint32_t sa, const Authenticated &how)
	{
		btns_root_t root{};
		root.ike_version = how.ike_version;
		root.connection = "office";
		root.authorized_id = how.id.c_str();
		root.local = {how.local, how.local_rounds, view(how.local_key)};
		root.peer = {how.peer, how.peer_rounds, view(how.peer_key)};
		root.established = 4711;
		root.certificate = view(how.certificate);
		root.trust_anchor = view(how.trust_anchor);
		EXPECT_EQ(btns_sa_root(world, sa, &root), BTNS_STATUS_OK);
	}

	/** The value of the caller's prf+ is made of the seed, so that it differs with the transcript. */
	void finish(uint32_t sa)
	{
		std::array<uint8_t, BTNS_SEED_LEN> seed{};
		if (btns_sa_take_seed(world, sa, seed.data()) == BTNS_STATUS_OK)
		{
			btns_sa_unique(world, sa, seed.data() + BTNS_SEED_LEN - BTNS_BINDING_LEN);
		}
	}

	/** An authenticated peer from IKE_SA_INIT on, without CHILD_SAs. */
	void peer(uint32_t sa, const Authenticated &how = {})
	{
		world.init(sa, "192.0.2.7");
		messages(sa);
		bodies(sa, true, 0xa1);
		root(sa, how);
		bodies(sa, false, 0xb2);
		finish(sa);
		const btns_outer_t outer{addr("192.0.2.1"), addr("192.0.2.7"), 500, 4500, false, true};
		btns_sa_outer(world, sa, &outer);
	}

	void child(uint32_t sa, uint32_t id, std::vector<btns_ts_t> remote, std::vector<btns_ts_t> local = {ts(here)},
			   const std::function<void(Child &)> &change = {})
	{
		Child child{id, std::move(remote), std::move(local)};
		child.btns = false;
		if (change)
		{
			change(child);
		}
		world.child_up(sa, child);
		ASSERT_EQ(world.last_status, BTNS_STATUS_OK);
	}

	void keep_certificates()
	{
		btns_options_t options;
		btns_options_default(&options);
		EXPECT_FALSE(options.keep_certificates);
		EXPECT_FALSE(btns_keeps_certificates(world));
		options.keep_certificates = true;
		ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
		EXPECT_TRUE(btns_keeps_certificates(world));
	}

	[[nodiscard]] Octets certificate(uint32_t sa)
	{
		const auto octets = of_sa(sa).channel.value().certificate();
		return {octets.begin(), octets.end()};
	}

	[[nodiscard]] Octets trust_anchor(uint32_t sa)
	{
		const auto octets = of_sa(sa).channel.value().trust_anchor();
		return {octets.begin(), octets.end()};
	}

	Authenticated with_keys() { return {.local_key = own, .peer_key = new_spki()}; }
};

TEST_F(Channels, are_none_without_a_child_sa)
{
	peer(1);
	const auto answer = find("10.5.0.1");
	EXPECT_EQ(answer.protection, BTNS_UNPROTECTED);
	EXPECT_STREQ(answer.code, "no-sa");
	EXPECT_FALSE(answer.channel);
}

TEST_F(Channels, tell_of_the_child_sa_that_takes_the_packets)
{
	const Authenticated how = with_keys();
	peer(1, how);
	child(1, 7, {ts("10.5.0.0/16")});
	const auto answer = find("10.5.0.1");
	ASSERT_EQ(answer.protection, BTNS_PROTECTED);
	const btns::Channel &channel = *answer.channel;
	EXPECT_EQ(channel.sa, 1U);
	EXPECT_EQ(channel.child, 7U);
	EXPECT_EQ(channel.connection, "office");
	EXPECT_EQ(channel.child_name, "data");
	EXPECT_EQ(channel.encryption_algorithm, "AES_GCM_16-128");
	EXPECT_EQ(channel.integrity_algorithm, "");
	EXPECT_EQ(channel.mode, BTNS_MODE_TUNNEL);
	EXPECT_TRUE(channel.confidentiality);
	EXPECT_TRUE(channel.integrity);
	EXPECT_EQ(channel.local_method, BTNS_METHOD_PUBLIC_KEY);
	EXPECT_EQ(channel.peer_method, BTNS_METHOD_PUBLIC_KEY);
	EXPECT_EQ(channel.authorized_id, "somebody");
	EXPECT_EQ(channel.peer_fingerprint, btns::fingerprint(how.peer_key));
	EXPECT_EQ(channel.local_fingerprint, btns::fingerprint(own));
	EXPECT_EQ(channel.peer_key, how.peer_key);
	EXPECT_EQ(channel.established, 4711);
	EXPECT_EQ(channel.local.port, 500);
	EXPECT_EQ(channel.peer.address, btns::to_address(addr("192.0.2.7")));
	EXPECT_EQ(channel.peer.port, 4500);
	EXPECT_TRUE(channel.peer.nat);
	EXPECT_FALSE(channel.local.nat);
	EXPECT_TRUE(channel.endpoints.value);
	EXPECT_TRUE(channel.unique.value);

	EXPECT_EQ(find("10.6.0.1").protection, BTNS_UNPROTECTED);
	EXPECT_EQ(find("10.5.0.1", 1000, 7, tcp, "10.99.0.2").protection, BTNS_UNPROTECTED) << "not from there";
	btns_child_down(world, 1, 7);
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_UNPROTECTED);
}

TEST_F(Channels, are_a_strangers_too)
{
	const Octets key = new_spki();
	world.stranger(1, "192.0.2.9", key);
	Child data{1, {ts("192.0.2.9")}};
	data.hosts = {"192.0.2.9"};
	ASSERT_EQ(world.child_up(1, data), BTNS_REASON_NONE);
	root(1, {.peer = BTNS_METHOD_PUBLIC_KEY, .local_key = own});
	const auto answer = find("192.0.2.9");
	ASSERT_TRUE(answer.channel);
	EXPECT_EQ(answer.channel->peer_method, BTNS_METHOD_BTNS);
	EXPECT_EQ(answer.channel->peer_fingerprint, btns::fingerprint(key));
	EXPECT_EQ(answer.channel->peer_key, key);
	EXPECT_EQ(answer.channel->asserted_id, "anybody");
	EXPECT_EQ(answer.channel->authorized_id.rfind("btns:sha256:", 0), 0U);
	EXPECT_TRUE(answer.channel->endpoints.value);
}

TEST_F(Channels, have_the_certificates_of_an_authenticated_peer_if_they_are_kept)
{
	const Octets mine(900, 0x31);
	const Octets yours(800, 0x32);
	const Octets root_ca(700, 0);
	const Authenticated first{.peer = BTNS_METHOD_CERTIFICATE,
							  .local_key = own,
							  .peer_key = new_spki(),
							  .certificate = mine,
							  .trust_anchor = root_ca};
	peer(1, first);
	EXPECT_EQ(certificate(1), Octets()) << "nobody wants them";
	EXPECT_EQ(trust_anchor(1), Octets());
	keep_certificates();
	EXPECT_EQ(certificate(1), Octets()) << "it was not kept";
	peer(2, first);
	EXPECT_EQ(certificate(2), mine);
	EXPECT_EQ(trust_anchor(2), root_ca);

	btns_sa_rekey(world, 2, 3);
	EXPECT_EQ(certificate(3), mine) << "it was authenticated by that";
	EXPECT_EQ(trust_anchor(3), root_ca);
	Authenticated second = first;
	second.certificate = yours;
	peer(4, second);
	EXPECT_EQ(certificate(4), yours);
	EXPECT_EQ(of_sa(4).channel->certificates->trust_anchor, of_sa(3).channel->certificates->trust_anchor)
		<< "many have it, so it is there once";
	second.trust_anchor.clear();
	root(4, second);
	EXPECT_EQ(trust_anchor(4), Octets());

	const auto seen = of_sa(3);
	root(3, with_keys());
	EXPECT_EQ(certificate(3), Octets()) << "it has authenticated otherwise";
	EXPECT_EQ(seen.channel->certificate().size(), mine.size()) << "what was told stays";
}

TEST_F(Channels, have_no_certificate_that_is_too_large)
{
	keep_certificates();
	Authenticated how{.peer = BTNS_METHOD_CERTIFICATE, .certificate = Octets(BTNS_CERTIFICATE_MAX, 1)};
	how.trust_anchor = how.certificate;
	peer(1, how);
	EXPECT_EQ(certificate(1).size(), size_t{BTNS_CERTIFICATE_MAX});
	EXPECT_EQ(trust_anchor(1).size(), size_t{BTNS_CERTIFICATE_MAX});
	how.trust_anchor.push_back(1);
	root(1, how);
	EXPECT_EQ(certificate(1), Octets());
	how.trust_anchor.pop_back();
	how.certificate.push_back(1);
	root(1, how);
	EXPECT_EQ(certificate(1), Octets());
	btns_root_t broken{};
	broken.ike_version = 2;
	broken.trust_anchor.len = 1;
	EXPECT_EQ(btns_sa_root(world, 1, &broken), BTNS_STATUS_INVALID);
	EXPECT_FALSE(btns_keeps_certificates(nullptr));
}

TEST_F(Channels, of_a_stranger_have_no_certificate)
{
	keep_certificates();
	world.stranger(1, "192.0.2.9", new_spki());
	root(1, {.local_key = own, .certificate = Octets(100, 1), .trust_anchor = Octets(100, 1)});
	EXPECT_EQ(of_sa(1).channel->peer_method, BTNS_METHOD_BTNS);
	EXPECT_EQ(certificate(1), Octets()) << "nobody vouches for it";
	EXPECT_EQ(trust_anchor(1), Octets());
}

TEST_F(Channels, of_overlapping_child_sas_are_those_of_the_best_policy)
{
	peer(1, with_keys());
	peer(2, with_keys());
	peer(3, with_keys());
	child(1, 1, {ts("10.0.0.0/8")});
	child(2, 2, {ts("10.5.0.0/16")});
	auto port = ts("10.5.0.1", 2049, 2049);
	port.protocol = tcp;
	child(3, 3, {port});
	EXPECT_EQ(find("10.1.0.1").channel->sa, 1U);
	EXPECT_EQ(find("10.5.0.1").channel->sa, 2U);
	EXPECT_EQ(find("10.5.0.1", 1000, 2049).channel->sa, 3U);
	EXPECT_EQ(find("10.5.0.1", 1000, 2049, 17).channel->sa, 2U);
	// what an administrator has configured goes before
	child(1, 1, {ts("10.0.0.0/8")}, {ts(here)}, [](Child &c) { c.priority = 1000; });
	EXPECT_EQ(find("10.5.0.1", 1000, 2049).channel->sa, 1U);
}

TEST_F(Channels, of_two_peers_with_equal_policies_are_ambiguous)
{
	for (uint32_t sa = 1; sa <= 2; sa++)
	{
		peer(sa, with_keys());
		child(sa, sa, {ts("10.5.0.0/16")});
	}
	const auto answer = find("10.5.0.1");
	EXPECT_EQ(answer.protection, BTNS_AMBIGUOUS);
	EXPECT_STREQ(answer.code, "several-peers");
	EXPECT_STRNE(answer.reason, "");
	EXPECT_FALSE(answer.channel);
	peer(3, with_keys());
	child(3, 3, {ts("10.5.0.1")});
	EXPECT_EQ(find("10.5.0.1").channel->sa, 3U) << "a better one ends it";
	EXPECT_EQ(find("10.5.0.2").protection, BTNS_AMBIGUOUS);
	EXPECT_FALSE(find_one("10.5.0.1").shared);
	const auto one = find_one("10.5.0.2");
	ASSERT_TRUE(one.channel);
	EXPECT_TRUE(one.shared);
	EXPECT_EQ(one.channel->unique.why, Unavailable::several);
	EXPECT_FALSE(one.channel->unique.value);
	EXPECT_TRUE(one.channel->endpoints.value);
	btns_sa_drop(world, 1);
	EXPECT_TRUE(find_one("10.5.0.2").channel->unique.value);
	EXPECT_EQ(find("10.5.0.2").channel->sa, 2U);
}

TEST_F(Channels, of_one_peer_are_never_ambiguous)
{
	peer(1, with_keys());
	child(1, 1, {ts("10.5.0.0/16")});
	child(1, 2, {ts("10.5.0.0/16")});
	EXPECT_EQ(find("10.5.0.1").channel->child, 2U) << "the newest";
	// also while the IKE_SA is being rekeyed
	btns_sa_rekey(world, 1, 5);
	child(5, 3, {ts("10.5.0.0/16")});
	EXPECT_EQ(find("10.5.0.1").channel->child, 3U);
	EXPECT_EQ(find("10.5.0.1").channel->sa, 5U);
	btns_sa_drop(world, 1);
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_PROTECTED);
}

TEST_F(Channels, are_not_guessed_from_what_a_kernel_rounds)
{
	peer(1, with_keys());
	child(1, 1, {ts("10.5.0.1-10.5.0.6")});
	EXPECT_EQ(find("10.5.0.6").protection, BTNS_PROTECTED);
	EXPECT_EQ(find("10.5.0.7").protection, BTNS_AMBIGUOUS) << "the kernel has 10.5.0.0/29";
	EXPECT_EQ(find("10.5.0.8").protection, BTNS_UNPROTECTED);
	// the rounded policy may go before another one
	peer(2, with_keys());
	child(2, 2, {ts("10.5.0.0/16")}, {ts("10.99.0.0/16")});
	EXPECT_EQ(find("10.5.0.7").protection, BTNS_AMBIGUOUS);
	EXPECT_EQ(find("10.5.0.8").channel->sa, 2U);
	child(1, 3, {ts("10.5.0.0/16", 1024, 65535)});
	EXPECT_EQ(find("10.5.0.9", 1000, 80).protection, BTNS_AMBIGUOUS);
	EXPECT_STREQ(find("10.5.0.9", 1000, 80).code, "selectors");
	EXPECT_EQ(find("10.5.0.9", 1000, 8080).channel->sa, 1U);
}

TEST_F(Channels, are_not_guessed_from_policies_for_marked_packets)
{
	const auto conditional = [](Child &c) { c.conditional = true; };
	peer(1, with_keys());
	child(1, 1, {ts("10.5.0.0/16")}, {ts(here)}, conditional);
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_AMBIGUOUS);
	EXPECT_STREQ(find("10.5.0.1").code, "conditional");
	peer(2, with_keys());
	child(2, 2, {ts("10.5.0.0/24")});
	EXPECT_EQ(find("10.5.0.1").channel->sa, 2U) << "a better one without conditions";
	child(1, 3, {ts("10.5.0.1")}, {ts(here)}, conditional);
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_AMBIGUOUS);
}

TEST_F(Channels, end_where_a_shunt_goes_before)
{
	peer(1, with_keys());
	child(1, 1, {ts("10.5.0.0/16")});
	const btns_ts_t any = ts("0.0.0.0/0");
	const btns_ts_t some = ts("10.5.1.0/24");
	std::array<btns_shunt_t, 2> shunts{{{&any, 1, &some, 1, 0, true}, {&any, 1, &any, 1, 450000, false}}};
	const uint64_t before = source().generation();
	ASSERT_EQ(btns_shunts(world, shunts.data(), shunts.size()), BTNS_STATUS_OK);
	EXPECT_NE(source().generation(), before);
	EXPECT_STREQ(find("10.5.1.1").code, "bypass");
	EXPECT_EQ(find("10.5.1.1").protection, BTNS_UNPROTECTED);
	EXPECT_EQ(find("10.5.2.1").protection, BTNS_PROTECTED) << "one that comes after it does nothing";
	EXPECT_STREQ(find("10.6.0.1").code, "discard");
	const uint64_t same = source().generation();
	btns_shunts(world, shunts.data(), shunts.size());
	EXPECT_EQ(source().generation(), same);
	btns_shunts(world, nullptr, 0);
	EXPECT_EQ(find("10.5.1.1").protection, BTNS_PROTECTED);
}

TEST_F(Channels, are_there_as_soon_as_the_kernel_has_the_child_sa)
{
	peer(1, with_keys());
	Child pending{1, {ts("10.5.0.1")}};
	pending.btns = false;
	world.authorize_child(1, pending);
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_UNPROTECTED) << "it is only about to be installed";
	btns_child_t installed{};
	installed.child = 1;
	installed.integrity = true;
	btns_child_installed(world, 1, &installed);
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_PROTECTED);
	EXPECT_TRUE(find("10.5.0.1").channel->endpoints.value);
}

TEST_F(Channels, look_at_a_bounded_number_of_child_sas)
{
	for (uint32_t sa = 1; sa <= 1100; sa++)
	{
		peer(sa);
		child(sa, sa, {ts("0.0.0.0/0")}, {ts("10.99." + std::to_string(sa / 256) + "." + std::to_string(sa % 256))});
	}
	EXPECT_EQ(find("10.5.0.1").protection, BTNS_AMBIGUOUS);
	EXPECT_STREQ(find("10.5.0.1").code, "too-many");
}

TEST_F(Channels, have_the_end_point_binding_of_the_two_keys)
{
	const auto vector = load_vector("channel-bindings.txt", "endpoints");
	const Octets theirs = new_rsa().second;
	peer(1, {.local_key = own, .peer_key = theirs});
	child(1, 1, {ts("10.5.0.1")});
	const auto value = find("10.5.0.1").channel->endpoints.value;
	ASSERT_TRUE(value);
	EXPECT_EQ(value, btns::endpoints_binding({1, btns::fingerprint(own), btns::fingerprint(theirs), true}).value);
	// whatever happens to the SAs
	btns_sa_rekey(world, 1, 2);
	btns_sa_drop(world, 1);
	child(2, 2, {ts("10.5.0.1")});
	EXPECT_EQ(find("10.5.0.1").channel->endpoints.value, value);
	btns_sa_drop(world, 2);
	peer(3, {.local = BTNS_METHOD_CERTIFICATE, .local_key = own, .peer_key = theirs});
	child(3, 3, {ts("10.5.0.1")});
	EXPECT_EQ(find("10.5.0.1").channel->endpoints.value, value);
}

TEST_F(Channels, have_no_end_point_binding_without_what_it_binds)
{
	uint32_t sa = 0;
	const auto why = [&](const Authenticated &how, bool integrity = true)
	{
		sa++;
		peer(sa, how);
		child(sa, sa, {ts("10.5.0.1")}, {ts(here)}, [&](Child &c) { c.integrity = integrity; });
		const auto answer = find("10.5.0.1");
		btns_sa_drop(world, sa);
		EXPECT_FALSE(answer.channel->endpoints.value);
		return answer.channel->endpoints.why;
	};
	const Octets key = new_spki();
	EXPECT_EQ(why({.local_key = own, .peer_key = key}, false), Unavailable::no_integrity);
	EXPECT_EQ(why({.peer = BTNS_METHOD_PSK, .local_key = own}), Unavailable::no_signature);
	EXPECT_EQ(why({.local = BTNS_METHOD_PSK, .peer_key = key}), Unavailable::no_signature);
	EXPECT_EQ(why({.local_rounds = 2, .local_key = own, .peer_key = key}), Unavailable::rounds);
	EXPECT_EQ(why({.peer_rounds = 2, .local_key = own, .peer_key = key}), Unavailable::rounds);
	EXPECT_EQ(why({.local_rounds = 0, .peer_rounds = 0}), Unavailable::rounds);
	EXPECT_EQ(why({.local_key = own, .peer_key = own}), Unavailable::same_key);
	EXPECT_EQ(why({.local_key = own, .peer_key = Octets(100, 1)}), Unavailable::key_type);
	EXPECT_EQ(why({.ike_version = 1, .local_key = own, .peer_key = key}), Unavailable::ike_version);
}

TEST_F(Channels, take_a_key_of_an_authenticated_peer_that_no_stranger_may_have)
{
	std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> weak(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024}),
															 EVP_PKEY_free);
	unsigned char *der = nullptr;
	const int length = i2d_PUBKEY(weak.get(), &der);
	const Octets spki(der, der + length);
	OPENSSL_free(der);
	peer(1, {.local_key = own, .peer_key = spki});
	EXPECT_TRUE(of_sa(1).channel->endpoints.value);
}

TEST_F(Channels, have_a_unique_binding_of_the_transcript)
{
	const auto vector = load_vector("channel-bindings.txt", "unique");
	peer(1);
	const auto value = of_sa(1).channel->unique.value;
	ASSERT_TRUE(value);
	EXPECT_EQ(Octets(value->begin(), value->end()), vector.octets("transcript")) << "prf+ is the caller's";
	btns_sa_rekey(world, 1, 2);
	EXPECT_EQ(of_sa(2).channel->unique.value, value);
	EXPECT_FALSE(of_sa(1).channel) << "it has gone on as the other one";
}

TEST_F(Channels, have_a_unique_binding_of_the_last_ike_sa_init)
{
	const Octets first(40, 0x77);
	world.init(1, "192.0.2.7");
	btns_sa_real_message(world, 1, true, view(first));
	btns_sa_real_message(world, 1, false, view(first));
	messages(1);
	bodies(1, true, 0xa1);
	bodies(1, false, 0xb2);
	root(1, {});
	finish(1);
	peer(2);
	EXPECT_TRUE(of_sa(1).channel->unique.value);
	EXPECT_EQ(of_sa(1).channel->unique.value, of_sa(2).channel->unique.value);
}

TEST_F(Channels, have_a_unique_binding_for_who_initiates)
{
	// the request goes before there is a record, and each response makes it anew
	const Octets request(64, 0x11);
	const Octets response(72, 0x22);
	const Octets others(64, 0x99);
	for (int retry = 0; retry < 2; retry++)
	{
		btns_init_request(world, 1, view(others));
		btns_init_request(world, 1, view(request));
		btns_init_request(world, 7, view(others));
		world.begin(1, addr("192.0.2.7"), BTNS_ROLE_INITIATOR);
		btns_sa_real_message(world, 1, false, view(response));
	}
	bodies(1, true, 0xa1);
	bodies(1, false, 0xb2);
	root(1, {});
	finish(1);
	peer(2);
	EXPECT_TRUE(of_sa(1).channel->unique.value);
	EXPECT_EQ(of_sa(1).channel->unique.value, of_sa(2).channel->unique.value);
}

TEST_F(Channels, remember_a_bounded_number_of_requests)
{
	btns::SentRequests sent;
	const Octets request(64, 0x11);
	for (uint64_t spi = 1; spi <= btns::SentRequests::most + 1; spi++)
	{
		sent.sent(spi, request);
		sent.sent(spi, request);
	}
	EXPECT_EQ(sent.size(), btns::SentRequests::most);
	EXPECT_FALSE(sent.take(1));
	EXPECT_TRUE(sent.take(2));
	EXPECT_FALSE(sent.take(2));
}

TEST_F(Channels, have_no_unique_binding_unless_each_side_sent_one_auth_payload)
{
	uint32_t sa = 0;
	const auto why = [&](const std::function<void(uint32_t)> &exchange)
	{
		world.init(++sa, "192.0.2.7");
		exchange(sa);
		root(sa, {});
		finish(sa);
		const auto answer = of_sa(sa);
		EXPECT_FALSE(answer.channel->unique.value);
		return answer.channel->unique.why;
	};
	const auto all = [&](uint32_t id)
	{
		messages(id);
		bodies(id, true, 1);
		bodies(id, false, 2);
	};
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  all(id);
					  bodies(id, true, 1, 2);
				  }),
			  Unavailable::auths);
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  all(id);
					  bodies(id, false, 1, 2);
				  }),
			  Unavailable::auths);
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  messages(id);
					  bodies(id, true, 1);
				  }),
			  Unavailable::auths);
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  bodies(id, true, 1);
					  bodies(id, false, 1);
				  }),
			  Unavailable::not_seen);
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  all(id);
					  btns_sa_int_auth(world, id, true, 1, {});
				  }),
			  Unavailable::intermediate);
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  const Octets again(72, 0x33);
					  all(id);
					  btns_sa_real_message(world, id, false, view(again));
				  }),
			  Unavailable::not_seen);
	EXPECT_EQ(why(
				  [&](uint32_t id)
				  {
					  const Octets huge(btns::auth_bodies_max, 1);
					  messages(id);
					  const btns_body_t body{{1}, view(huge)};
					  const btns_auth_bodies_t both{true, 1, &body, &body};
					  btns_sa_auth_bodies(world, id, &both);
					  bodies(id, false, 1);
				  }),
			  Unavailable::too_long);
}

TEST_F(Channels, have_a_unique_binding_after_a_message_was_dropped)
{
	world.init(1, "192.0.2.7");
	messages(1);
	bodies(1, true, 0x99);
	bodies(1, true, 0xa1);
	bodies(1, false, 0xb2);
	root(1, {});
	finish(1);
	peer(2);
	EXPECT_TRUE(of_sa(1).channel->unique.value);
	EXPECT_EQ(of_sa(1).channel->unique.value, of_sa(2).channel->unique.value);
}

TEST_F(Channels, have_a_unique_binding_with_int_auth)
{
	const auto with = [&](uint32_t sa, uint8_t of_initiator, uint8_t of_responder, uint32_t message_id)
	{
		const Octets request(32, of_initiator);
		const Octets response(32, of_responder);
		world.init(sa, "192.0.2.7");
		messages(sa);
		btns_sa_int_auth(world, sa, true, 1, view(request));
		btns_sa_int_auth(world, sa, false, 1, view(response));
		std::array<uint8_t, BTNS_PRF_MAX> last{};
		size_t len = 0;
		btns_sa_last_int_auth(world, sa, false, last.data(), &len);
		EXPECT_EQ(Octets(last.begin(), last.begin() + static_cast<std::ptrdiff_t>(len)), response);
		bodies(sa, true, 0xa1, message_id);
		bodies(sa, false, 0xb2, message_id);
		root(sa, {});
		finish(sa);
		return of_sa(sa).channel->unique.value;
	};
	peer(9);
	const auto value = with(1, 5, 6, 2);
	ASSERT_TRUE(value);
	EXPECT_NE(value, of_sa(9).channel->unique.value);
	EXPECT_EQ(with(2, 5, 6, 2), value);
	EXPECT_NE(with(3, 6, 5, 2), value);
	EXPECT_NE(with(4, 5, 7, 2), value);
	EXPECT_NE(with(5, 5, 6, 3), value);
}

TEST_F(Channels, have_no_unique_binding_with_half_of_int_auth)
{
	const Octets value(32, 5);
	const auto why = [&](uint32_t sa, const std::vector<std::pair<bool, uint32_t>> &intermediate)
	{
		world.init(sa, "192.0.2.7");
		messages(sa);
		for (const auto &[request, message_id] : intermediate)
		{
			btns_sa_int_auth(world, sa, request, message_id, view(value));
		}
		bodies(sa, true, 0xa1, 3);
		bodies(sa, false, 0xb2, 3);
		root(sa, {});
		finish(sa);
		return of_sa(sa).channel->unique.why;
	};
	EXPECT_EQ(why(1, {{true, 1}}), Unavailable::intermediate);
	EXPECT_EQ(why(2, {{true, 1}, {false, 1}, {false, 1}}), Unavailable::intermediate) << "the same twice";
	EXPECT_EQ(why(3, {{true, 1}, {false, 1}, {true, 2}, {false, 2}}), Unavailable::none);
}

TEST_F(Channels, say_why_the_unique_binding_is_missing)
{
	world.init(1, "192.0.2.7");
	messages(1);
	root(1, {});
	EXPECT_EQ(of_sa(1).channel->unique.why, Unavailable::pending);
	bodies(1, true, 1);
	bodies(1, false, 1);
	std::array<uint8_t, BTNS_SEED_LEN> seed{};
	ASSERT_EQ(btns_sa_take_seed(world, 1, seed.data()), BTNS_STATUS_OK);
	EXPECT_EQ(of_sa(1).channel->unique.why, Unavailable::prf);
	btns_sa_unique(world, 1, nullptr);
	EXPECT_EQ(of_sa(1).channel->unique.why, Unavailable::prf);
	EXPECT_EQ(btns_sa_take_seed(world, 1, seed.data()), BTNS_STATUS_REFUSED) << "once";
	EXPECT_EQ(seed, decltype(seed){});

	// one that is older than the plugin
	child(9, 9, {ts("10.9.0.1")});
	const auto answer = find("10.9.0.1");
	ASSERT_TRUE(answer.channel);
	EXPECT_EQ(answer.channel->unique.why, Unavailable::not_seen);
	EXPECT_EQ(answer.channel->endpoints.why, Unavailable::not_seen);
	EXPECT_EQ(answer.channel->peer_method, BTNS_METHOD_UNKNOWN);

	// bound to nothing that can be changed on the way
	peer(10, with_keys());
	child(10, 10, {ts("10.10.0.1")}, {ts(here)}, [](Child &c) { c.integrity = false; });
	EXPECT_EQ(find("10.10.0.1").channel->unique.why, Unavailable::no_integrity);
	EXPECT_FALSE(find("10.10.0.1").channel->unique.value);
}

TEST_F(Channels, have_a_sentence_for_everything_that_is_missing)
{
	for (int why = 0; why <= static_cast<int>(Unavailable::several); why++)
	{
		EXPECT_STRNE(btns::unavailable_code(static_cast<Unavailable>(why)), "unknown") << why;
		EXPECT_STRNE(btns::unavailable_text(static_cast<Unavailable>(why)), "unknown") << why;
	}
}

TEST_F(Channels, change_their_generation_with_every_answer)
{
	uint64_t last = source().generation();
	const auto changed = [&] { return std::exchange(last, source().generation()) != last; };
	EXPECT_FALSE(changed());
	peer(1, with_keys());
	EXPECT_TRUE(changed());
	child(1, 1, {ts("10.5.0.1")});
	EXPECT_TRUE(changed());
	btns_sa_rekey(world, 1, 2);
	EXPECT_TRUE(changed());
	const btns_outer_t moved{addr("192.0.2.1"), addr("192.0.2.8"), 4500, 4500, false, false};
	btns_sa_outer(world, 2, &moved);
	EXPECT_TRUE(changed());
	EXPECT_EQ(find("10.5.0.1").channel->peer.address, btns::to_address(addr("192.0.2.8")));
	btns_child_down(world, 2, 1);
	EXPECT_TRUE(changed());
	btns_sa_drop(world, 2);
	EXPECT_TRUE(changed());
}

TEST_F(Channels, tell_who_comes_and_goes_and_whose_key_is_another)
{
	using Events = std::vector<std::tuple<btns_peer_event_t, uint32_t, bool>>;
	const auto events = [&]
	{
		Events seen;
		btns_peer_events(
			world,
			[](void *user, btns_peer_event_t event, const btns_channel_info_t *info, const uint8_t *before)
			{ static_cast<Events *>(user)->emplace_back(event, info->sa, before != nullptr); },
			&seen);
		return seen;
	};
	const Authenticated same = with_keys();
	peer(1, same);
	EXPECT_EQ(events(), Events{}) << "it is not up";
	btns_sa_peer_up(world, 1);
	btns_sa_peer_up(world, 1);
	EXPECT_EQ(events(), (Events{{BTNS_PEER_UP, 1, false}}));
	btns_sa_rekey(world, 1, 2);
	btns_sa_drop(world, 1);
	EXPECT_EQ(events(), Events{}) << "rekeying is neither";
	btns_sa_drop(world, 2);
	peer(3, same);
	btns_sa_peer_up(world, 3);
	EXPECT_EQ(events(), (Events{{BTNS_PEER_DOWN, 2, false}, {BTNS_PEER_UP, 3, false}}));
	btns_sa_drop(world, 3);
	peer(4, with_keys());
	btns_sa_peer_up(world, 4);
	EXPECT_EQ(events(), (Events{{BTNS_PEER_DOWN, 3, false}, {BTNS_PEER_UP, 4, false}, {BTNS_PEER_CHANGED, 4, true}}));
	// another one beside it, as behind a NAT
	btns_sa_drop(world, 4);
	peer(5, same);
	btns_sa_peer_up(world, 5);
	peer(6, with_keys());
	btns_sa_peer_up(world, 6);
	btns_sa_drop(world, 6);
	peer(7, with_keys());
	btns_sa_peer_up(world, 7);
	for (const auto &[event, sa, before] : events())
	{
		EXPECT_FALSE(event == BTNS_PEER_CHANGED && sa > 5);
	}
	// one that never was up leaves nothing to tell
	world.init(8, "192.0.2.7");
	btns_sa_drop(world, 8);
	EXPECT_EQ(events(), Events{});
}

TEST_F(Channels, keep_a_bounded_number_of_events)
{
	for (uint32_t sa = 1; sa <= btns::events_max + 10; sa++)
	{
		peer(sa);
		btns_sa_peer_up(world, sa);
	}
	size_t count = 0;
	btns_peer_events(
		world,
		[](void *user, btns_peer_event_t, const btns_channel_info_t *, const uint8_t *)
		{ ++*static_cast<size_t *>(user); },
		&count);
	EXPECT_EQ(count, btns::events_max);
}

TEST_F(Channels, are_the_same_through_the_abi)
{
	peer(1, with_keys());
	child(1, 7, {ts("10.5.0.1")});
	struct Seen
	{
		btns_protection_t protection = BTNS_AMBIGUOUS;
		uint32_t child = 0;
		std::string endpoints;
		std::string code;
	};
	const auto note = [](void *user, const btns_channel_info_t *info)
	{
		*static_cast<Seen *>(user) = {info->protection, info->child,
									  info->protection == BTNS_PROTECTED ? info->endpoints.name : "", info->code};
	};
	Seen seen;
	btns_flow_t flow{tcp, addr(here), addr("10.5.0.1"), 1, 2};
	ASSERT_EQ(btns_channel_of_flow(world, &flow, note, &seen), BTNS_STATUS_OK);
	EXPECT_EQ(seen.protection, BTNS_PROTECTED);
	EXPECT_EQ(seen.child, 7U);
	EXPECT_EQ(seen.endpoints, "ipsec-ikev2-endpoints-sha256");
	flow.remote = addr("10.5.0.2");
	ASSERT_EQ(btns_channel_of_flow(world, &flow, note, &seen), BTNS_STATUS_OK);
	EXPECT_EQ(seen.protection, BTNS_UNPROTECTED);
	EXPECT_EQ(seen.code, "no-sa");
	EXPECT_EQ(btns_channel_of_child(world, 7, note, &seen), BTNS_STATUS_OK);
	EXPECT_EQ(seen.child, 7U);
	EXPECT_EQ(btns_channel_of_sa(world, 1, note, &seen), BTNS_STATUS_OK);
	EXPECT_EQ(seen.child, 0U);
	EXPECT_EQ(btns_channel_of_child(world, 8, note, &seen), BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_channel_of_sa(world, 2, note, &seen), BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_channel_of_flow(world, nullptr, note, &seen), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_channel_of_flow(nullptr, &flow, note, &seen), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_sa_root(world, 1, nullptr), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_sa_real_message(world, 1, true, {nullptr, 1}), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_sa_take_seed(world, 1, nullptr), BTNS_STATUS_INVALID);
}

} // namespace
