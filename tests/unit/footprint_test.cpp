/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * What an IKE_SA costs while it is up.
 */
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>

#include "abi.h"
#include "core_world.h"

namespace
{

using btns::test::addr;
using btns::test::Child;
using btns::test::new_spki;
using Octets = std::vector<uint8_t>;
using btns::test::ts;
using btns::test::World;

constexpr uint32_t peer_count = 10000;
/** Octets. */
constexpr size_t most = 1024;

bool counts_memory()
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#else
	return true;
#endif
}

size_t in_use()
{
	return mallinfo2().uordblks;
}

/** The address of a peer, and its key: an Ed25519 one, which costs nothing to make. */
std::string address_of(uint32_t sa)
{
	return "198.18." + std::to_string(sa / 256) + "." + std::to_string(sa % 256);
}

Octets key_of(uint32_t sa, const Octets &like)
{
	Octets key = like;
	for (size_t i = 0; i < sizeof(sa); i++)
	{
		key[key.size() - 1 - i] = static_cast<uint8_t>(sa >> (8 * i));
	}
	return key;
}

/** All that charon tells of a peer from the beginning until its CHILD_SA is up. */
void authenticate(World &world, uint32_t sa, const Octets &own, const Octets &peer)
{
	const Octets message(400, 0x11);
	const btns_body_t id{{2}, {message.data(), 20}};
	const btns_body_t auth{{14}, {message.data(), 80}};
	for (const bool request : {true, false})
	{
		btns_sa_real_message(world, sa, request, {message.data(), message.size()});
	}
	for (const bool request : {true, false})
	{
		const btns_auth_bodies_t bodies{request, 1, &id, &auth};
		btns_sa_auth_bodies(world, sa, &bodies);
	}
	btns_root_t root{};
	root.ike_version = 2;
	root.connection = "office";
	root.authorized_id = "host.example.org";
	root.local = {BTNS_METHOD_CERTIFICATE, 1, {own.data(), own.size()}};
	root.peer = {BTNS_METHOD_CERTIFICATE, 1, {peer.data(), peer.size()}};
	root.established = 1;
	btns_sa_root(world, sa, &root);
	std::array<uint8_t, BTNS_SEED_LEN> seed{};
	ASSERT_EQ(btns_sa_take_seed(world, sa, seed.data()), BTNS_STATUS_OK);
	btns_sa_unique(world, sa, seed.data());
	const btns_outer_t outer{addr("192.0.2.1"), addr(address_of(sa)), 4500, 4500, false, true};
	btns_sa_outer(world, sa, &outer);
	btns_sa_peer_up(world, sa);
	btns_peer_events(
		world, [](void *, btns_peer_event_t, const btns_channel_info_t *, const uint8_t *) {}, nullptr);
}

/** Octets for each authenticated peer that has a key of so many octets, which nobody asks for. */
size_t of_authenticated(size_t key_size)
{
	const Octets own = new_spki();
	const Octets like(key_size);
	World world({btns::test::Connection{}, btns::test::office()});
	const size_t before = in_use();
	for (uint32_t sa = 1; sa <= peer_count; sa++)
	{
		const std::string address = address_of(sa);
		world.begin(sa, addr(address));
		btns_auth_message_t message{};
		message.auth = BTNS_AUTH_SIGNATURE;
		message.source = addr(address);
		message.asserted_id = "host.example.org";
		btns_sa_message(world, sa, &message);
		btns_authorize_t facts{};
		facts.connection = "office";
		facts.source = addr(address);
		facts.final = true;
		EXPECT_TRUE(world.authorize(sa, facts).allowed);
		authenticate(world, sa, own, key_of(sa, like));
		const btns_addr_t host = addr(address);
		btns_sa_holds(world, sa, &host, 1, nullptr, nullptr);
		Child child{sa, {ts(address)}};
		child.btns = false;
		world.child_up(sa, child);
	}
	return (in_use() - before) / peer_count;
}

TEST(Footprint, of_an_authenticated_peer_is_small)
{
	if (!counts_memory())
	{
		GTEST_SKIP() << "a sanitizer has its own";
	}
	// SubjectPublicKeyInfo of Ed25519, ECDSA with P-256 and with P-384, RSA with 2048 bits
	for (const size_t key_size : {44, 91, 120, 294})
	{
		const size_t each = of_authenticated(key_size);
		RecordProperty("octets-" + std::to_string(key_size), std::to_string(each));
		std::printf("an authenticated peer with a key of %zu octets: %zu octets\n", key_size, each);
		EXPECT_LT(each, most + (key_size > 128 ? key_size : 0)) << "with a key of " << key_size << " octets";
	}
}

TEST(Footprint, of_a_stranger_is_small)
{
	if (!counts_memory())
	{
		GTEST_SKIP() << "a sanitizer has its own";
	}
	const Octets own = new_spki();
	World world({btns::test::Connection{}}, peer_count, peer_count);
	// keys that are points of the curve
	std::vector<Octets> keys;
	for (uint32_t i = 0; i < 64; i++)
	{
		keys.push_back(new_spki());
	}
	const size_t before = in_use();
	for (uint32_t sa = 1; sa <= peer_count; sa++)
	{
		const std::string address = address_of(sa);
		world.now += 1000;
		world.stranger(sa, address, keys[sa % keys.size()]);
		authenticate(world, sa, own, {});
		Child child{sa, {ts(address)}};
		child.hosts = {address};
		ASSERT_EQ(world.child_up(sa, child), BTNS_REASON_NONE);
	}
	const size_t each = (in_use() - before) / peer_count;
	RecordProperty("octets", std::to_string(each));
	std::printf("a stranger: %zu octets\n", each);
	EXPECT_LT(each, most);
}

} // namespace
