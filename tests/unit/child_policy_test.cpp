/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "child_policy.h"

#include <gtest/gtest.h>

#include "core_world.h"

namespace
{

using btns::test::addr;
using btns::test::Child;
using btns::test::Connection;
using btns::test::Evicted;
using btns::test::new_spki;
using btns::test::office;
using btns::test::ts;
using btns::test::World;

constexpr const char *here = "198.51.100.7";

/** A child with these remote selectors, of a peer at `here`. */
Child child(uint32_t id, const std::vector<std::string> &remote)
{
	Child out;
	out.id = id;
	out.hosts = {here};
	for (const auto &text : remote)
	{
		out.remote.push_back(ts(text));
	}
	return out;
}

Child authenticated(uint32_t id, const std::vector<std::string> &remote)
{
	Child out = child(id, remote);
	out.btns = false;
	return out;
}

/** A world with one stranger, IKE_SA 1. */
class ChildPolicy : public testing::Test
{
protected:
	void SetUp() override { world.stranger(1, here, new_spki()); }

	World world;
};

TEST(PortRange, must_be_what_a_kernel_can_say)
{
	for (const auto &[from, to] : {std::pair{0, 65535},
								   {0, 0},
								   {65535, 65535},
								   {2049, 2049},
								   {32768, 65535},
								   {1024, 2047},
								   {0x0800, 0x08ff},
								   {2, 3}})
	{
		EXPECT_TRUE(btns::is_exact_port_range(static_cast<uint16_t>(from), static_cast<uint16_t>(to))) << from;
	}
	for (const auto &[from, to] : {std::pair{1024, 65535}, {1, 2}, {0, 2}, {65535, 0}, {1, 65535}, {3, 4}, {0, 65534}})
	{
		EXPECT_FALSE(btns::is_exact_port_range(static_cast<uint16_t>(from), static_cast<uint16_t>(to))) << from;
	}
}

TEST_F(ChildPolicy, a_stranger_gets_its_own_host)
{
	EXPECT_EQ(world.authorize_child(1, child(1, {here})), BTNS_REASON_NONE);
	EXPECT_EQ(world.last_status, BTNS_STATUS_OK);
	EXPECT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	EXPECT_EQ(world.stat("children"), 1U);
	EXPECT_TRUE(world.take_evicted().empty());
}

TEST_F(ChildPolicy, only_exact_prefixes)
{
	for (const char *text : {"203.0.113.0-203.0.113.2", "203.0.113.1-203.0.113.2", "2001:db8::-2001:db8::2"})
	{
		EXPECT_EQ(world.authorize_child(1, child(1, {text})), BTNS_REASON_CHILD_NOT_PREFIX) << text;
		EXPECT_EQ(world.authorize_child(1, child(1, {here, text})), BTNS_REASON_CHILD_NOT_PREFIX) << text;
		Child local = child(1, {here});
		local.local = {ts(text)};
		EXPECT_EQ(world.authorize_child(1, local), BTNS_REASON_CHILD_NOT_PREFIX) << text;
	}
	EXPECT_EQ(world.authorize_child(1, child(1, {"203.0.113.0/24", "2001:db8::/32"})), BTNS_REASON_NONE);
}

TEST_F(ChildPolicy, only_exact_ports)
{
	Child ports = child(1, {here});
	ports.remote[0] = ts(here, 1024, 65535);
	EXPECT_EQ(world.authorize_child(1, ports), BTNS_REASON_CHILD_PORTS);
	ports.remote[0] = ts(here, 65535, 0);
	EXPECT_EQ(world.authorize_child(1, ports), BTNS_REASON_CHILD_PORTS) << "OPAQUE";
	ports.remote[0] = ts(here, 2049, 2049);
	EXPECT_EQ(world.authorize_child(1, ports), BTNS_REASON_NONE);
	ports.local[0] = ts("10.99.0.1", 1, 2);
	EXPECT_EQ(world.authorize_child(1, ports), BTNS_REASON_CHILD_PORTS);
}

TEST_F(ChildPolicy, some_selectors_but_not_too_many)
{
	EXPECT_EQ(world.authorize_child(1, child(1, {})), BTNS_REASON_CHILD_NOT_PREFIX);
	Child no_local = child(1, {here});
	no_local.local.clear();
	EXPECT_EQ(world.authorize_child(1, no_local), BTNS_REASON_CHILD_NOT_PREFIX);
	EXPECT_EQ(world.authorize_child(1, child(1, std::vector<std::string>(BTNS_TS_MAX, here))), BTNS_REASON_NONE);
	EXPECT_EQ(world.authorize_child(1, child(1, std::vector<std::string>(BTNS_TS_MAX + 1, here))),
			  BTNS_REASON_CHILD_TOO_MANY);
	Child strange = child(1, {here});
	strange.remote[0].family = 9;
	EXPECT_EQ(world.authorize_child(1, strange), BTNS_REASON_CHILD_NOT_PREFIX);
}

TEST_F(ChildPolicy, special_addresses_are_reserved)
{
	for (const char *text : {"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.251", "255.255.255.255", "::", "::1",
							 "fe80::1", "ff02::1", "::ffff:10.0.0.1", "0.0.0.0/0", "::/0", "126.0.0.0/7"})
	{
		EXPECT_EQ(world.authorize_child(1, child(1, {text})), BTNS_REASON_CHILD_RESERVED) << text;
	}
}

TEST_F(ChildPolicy, what_entries_without_the_flag_name_is_reserved)
{
	Connection entry = office();
	entry.local_ts = {"10.1.0.0/16"};
	entry.remote_ts = {"10.2.0.0/16", "2001:db8:2::/48"};
	entry.addrs = {"192.0.2.10-192.0.2.13"};
	Connection strangers;
	strangers.remote_ts = {"10.3.0.0/16"};
	strangers.local_ts = {"10.4.0.0/16"};
	strangers.addrs = {"10.5.0.0/16"};
	world.configure({strangers, entry}, {"203.0.113.1"});
	for (const char *text : {"10.1.2.3", "10.2.0.0/16", "10.0.0.0/8", "10.1.0.0/24", "2001:db8:2::9", "2001:db8::/32",
							 "192.0.2.13", "192.0.2.0/24", "203.0.113.1", "203.0.113.0/31"})
	{
		EXPECT_EQ(world.authorize_child(1, child(1, {text})), BTNS_REASON_CHILD_RESERVED) << text;
		EXPECT_EQ(world.authorize_child(1, child(1, {here, text})), BTNS_REASON_CHILD_RESERVED) << "all or nothing";
	}
	for (const char *text : {"10.3.0.0/16", "10.4.1.1", "10.5.1.1", "192.0.2.14", "192.0.2.8/31", "203.0.113.2"})
	{
		EXPECT_EQ(world.authorize_child(1, child(1, {text})), BTNS_REASON_NONE) << text;
	}
	btns_addr_t address = addr("10.1.0.1");
	EXPECT_TRUE(btns_is_reserved(world, &address));
	address = addr("10.3.0.1");
	EXPECT_FALSE(btns_is_reserved(world, &address));
	EXPECT_TRUE(btns_is_reserved(world, nullptr));
	address.family = 0;
	EXPECT_TRUE(btns_is_reserved(world, &address));
}

TEST_F(ChildPolicy, own_hosts_are_no_exception_from_what_is_reserved)
{
	Connection entry = office();
	entry.remote_ts = {"198.51.100.0/24"};
	world.configure({Connection{}, entry});
	EXPECT_EQ(world.authorize_child(1, child(1, {here})), BTNS_REASON_CHILD_RESERVED);
}

TEST_F(ChildPolicy, the_option_reserve)
{
	btns_options_t options;
	btns_options_default(&options);
	const btns_range_t reserve[] = {btns::test::range("198.51.100.0/24"), btns::test::range("192.0.2.53")};
	options.reserve = reserve;
	options.reserve_count = 2;
	EXPECT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	EXPECT_TRUE(world.audit().empty());
	ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
	EXPECT_EQ(world.authorize_child(1, child(2, {"192.0.2.53"})), BTNS_REASON_CHILD_RESERVED);
	EXPECT_EQ(world.authorize_child(1, child(2, {"192.0.2.54"})), BTNS_REASON_NONE);
	EXPECT_EQ(world.audit(), (Evicted{{1, BTNS_REASON_EVICTED}}));
	const btns_addr_t address = addr("192.0.2.53");
	EXPECT_TRUE(btns_is_reserved(world, &address));
}

TEST_F(ChildPolicy, another_key_holds_it)
{
	ASSERT_EQ(world.child_up(1, child(1, {"203.0.113.0/24"})), BTNS_REASON_NONE);
	world.stranger(2, "198.51.100.8", new_spki());
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.113.0/24"})), BTNS_REASON_CHILD_HELD);
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.113.128/25"})), BTNS_REASON_CHILD_HELD);
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.0.0/16"})), BTNS_REASON_CHILD_HELD);
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.114.0/24"})), BTNS_REASON_NONE);
	btns_child_down(world, 1, 1);
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.113.0/24"})), BTNS_REASON_NONE);
}

TEST_F(ChildPolicy, what_is_being_installed_is_held)
{
	ASSERT_EQ(world.authorize_child(1, child(1, {"203.0.113.0/24"})), BTNS_REASON_NONE);
	world.stranger(2, "198.51.100.8", new_spki());
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.113.0/24"})), BTNS_REASON_CHILD_HELD);
	EXPECT_EQ(world.stat("children"), 0U);

	Child asked = child(1, {"203.0.114.0/24"});
	asked.installing = false;
	EXPECT_EQ(world.authorize_child(2, asked), BTNS_REASON_NONE);
	EXPECT_EQ(world.authorize_child(1, child(2, {"203.0.114.0/24"})), BTNS_REASON_NONE) << "a question holds nothing";

	btns_sa_drop(world, 1);
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.113.0/24"})), BTNS_REASON_NONE);
}

TEST_F(ChildPolicy, the_same_key_never_conflicts_with_itself)
{
	const auto spki = new_spki();
	world.stranger(2, "198.51.100.8", spki);
	world.stranger(3, "198.51.100.9", spki);
	ASSERT_EQ(world.child_up(2, child(1, {"203.0.113.0/24"})), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(3, child(1, {"203.0.113.0/24"})), BTNS_REASON_NONE);
}

TEST_F(ChildPolicy, two_clients_behind_one_nat)
{
	world.stranger(2, here, new_spki());
	EXPECT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(2, child(2, {here})), BTNS_REASON_NONE);
	Child other_host = child(3, {here});
	other_host.hosts = {"203.0.113.9"};
	EXPECT_EQ(world.authorize_child(2, other_host), BTNS_REASON_CHILD_HELD) << "not its own host";
}

TEST_F(ChildPolicy, transport_mode_or_nothing)
{
	Child tunnel = child(1, {here});
	tunnel.mode_mismatch = true;
	EXPECT_EQ(world.child_up(1, tunnel), BTNS_REASON_CHILD_MODE);
	EXPECT_EQ(world.last_status, BTNS_STATUS_REFUSED);
}

TEST_F(ChildPolicy, a_child_configuration_that_is_gone)
{
	Child gone = child(1, {here});
	gone.unconfigured = true;
	EXPECT_EQ(world.authorize_child(1, gone), BTNS_REASON_UNCONFIGURED);
	EXPECT_EQ(world.child_up(1, gone), BTNS_REASON_UNCONFIGURED);
}

TEST_F(ChildPolicy, a_child_of_a_peer_that_is_no_btns_peer_is_refused)
{
	EXPECT_EQ(world.authorize_child(99, child(1, {here})), BTNS_REASON_SA_UNKNOWN);
	world.init(2, here);
	EXPECT_EQ(world.authorize_child(2, child(1, {here})), BTNS_REASON_SA_UNKNOWN);
	EXPECT_EQ(world.authorize_child(1, authenticated(1, {here})), BTNS_REASON_PEER_WITHOUT_FLAG);
}

TEST(ChildCaps, children_are_counted_by_their_id)
{
	World world({Connection{}}, 10, 10, 2);
	world.stranger(1, here, new_spki());
	EXPECT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE) << "the same one";
	EXPECT_EQ(world.child_up(1, child(2, {"203.0.113.0/24"})), BTNS_REASON_NONE);
	EXPECT_EQ(world.stat("children"), 2U);
	EXPECT_EQ(world.child_up(1, child(3, {"203.0.114.0/24"})), BTNS_REASON_CHILD_TOO_MANY);

	// a rekeyed one is there beside the old one for a moment
	EXPECT_EQ(world.child_up(1, child(4, {here})), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(1, child(5, {here})), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(1, child(6, {here})), BTNS_REASON_CHILD_TOO_MANY) << "but not for ever";
	btns_child_down(world, 1, 1);
	btns_child_down(world, 1, 4);
	EXPECT_EQ(world.child_up(1, child(6, {here})), BTNS_REASON_NONE);
}

TEST(ChildCaps, what_charon_still_has_counts)
{
	World world({Connection{}}, 10, 10, 2);
	world.stranger(1, here, new_spki());
	Child another = child(1, {here});
	another.present = 4;
	EXPECT_EQ(world.authorize_child(1, another), BTNS_REASON_NONE);
	another.present = 5;
	EXPECT_EQ(world.authorize_child(1, another), BTNS_REASON_CHILD_TOO_MANY) << "rekeyed and never deleted";
}

TEST_F(ChildPolicy, a_rekeyed_child_keeps_its_selectors)
{
	const std::string there = "203.0.113.0/24";
	ASSERT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	ASSERT_EQ(world.child_up(1, child(2, {there})), BTNS_REASON_NONE);
	Child next = child(3, {there});
	next.rekeys = 1;
	EXPECT_EQ(world.child_up(1, next), BTNS_REASON_CHILD_REKEYED) << "not even to those of another one";
	next.remote = child(3, {here, there}).remote;
	EXPECT_EQ(world.child_up(1, next), BTNS_REASON_CHILD_REKEYED);
	next.remote = child(3, {here}).remote;
	EXPECT_EQ(world.child_up(1, next), BTNS_REASON_NONE);
	btns_child_down(world, 1, 1);

	// both sides rekeyed it
	next.id = 4;
	EXPECT_EQ(world.child_up(1, next), BTNS_REASON_NONE);
	next.id = 5;
	next.remote = child(5, {"203.0.114.0/24"}).remote;
	EXPECT_EQ(world.child_up(1, next), BTNS_REASON_CHILD_REKEYED);
}

TEST(ChildCaps, none_if_the_option_is_zero)
{
	World world({Connection{}}, 10, 10, 0);
	world.stranger(1, here, new_spki());
	EXPECT_EQ(world.authorize_child(1, child(1, {here})), BTNS_REASON_CHILD_TOO_MANY);
}

TEST(ChildCaps, what_never_comes_up_does_not_pile_up)
{
	World world({Connection{}}, 10, 10, 2);
	world.stranger(1, here, new_spki());
	world.stranger(2, "198.51.100.8", new_spki());
	for (uint32_t id = 1; id <= 100; id++)
	{
		ASSERT_EQ(world.authorize_child(1, child(id, {"203.0." + std::to_string(id) + ".0/24"})), BTNS_REASON_NONE);
	}
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.1.0/24"})), BTNS_REASON_NONE) << "forgotten";
	EXPECT_EQ(world.authorize_child(2, child(1, {"203.0.100.0/24"})), BTNS_REASON_CHILD_HELD);
}

TEST_F(ChildPolicy, an_authenticated_peer_evicts_strangers)
{
	ASSERT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	world.stranger(2, "198.51.100.8", new_spki());
	ASSERT_EQ(world.authorize_child(2, child(1, {"198.51.100.8", "203.0.113.0/24"})), BTNS_REASON_NONE);
	world.stranger(3, "192.0.2.1", new_spki());
	ASSERT_EQ(world.child_up(3, child(1, {"192.0.2.1"})), BTNS_REASON_NONE);

	EXPECT_EQ(world.authorize_child(50, authenticated(1, {"198.51.100.0/24", "203.0.113.0/24"})), BTNS_REASON_NONE);
	EXPECT_EQ(world.last_status, BTNS_STATUS_OK);
	EXPECT_EQ(world.take_evicted(), (Evicted{{1, BTNS_REASON_EVICTED}, {2, BTNS_REASON_EVICTED}})) << "each once";
	EXPECT_EQ(world.stat("evicted"), 2U);

	EXPECT_EQ(world.child_up(50, authenticated(1, {"198.51.100.0/24"})), BTNS_REASON_NONE);
	EXPECT_EQ(world.take_evicted().size(), 2U) << "again, until they are gone";
	EXPECT_EQ(world.stat("evicted"), 2U) << "but counted once";
	EXPECT_EQ(world.audit().size(), 2U);

	world.stranger(4, "198.51.100.9", new_spki());
	EXPECT_EQ(world.authorize_child(4, child(1, {"198.51.100.9"})), BTNS_REASON_CHILD_RESERVED);
	const btns_addr_t address = addr("198.51.100.9");
	EXPECT_TRUE(btns_is_reserved(world, &address));
	btns_child_down(world, 50, 1);
	EXPECT_FALSE(btns_is_reserved(world, &address));
	EXPECT_EQ(world.authorize_child(4, child(1, {"198.51.100.9"})), BTNS_REASON_NONE);
}

TEST_F(ChildPolicy, an_authenticated_peer_is_never_refused)
{
	Child strange = authenticated(1, {"10.0.0.0-10.0.0.2", "0.0.0.0/0", "127.0.0.1"});
	strange.local.clear();
	strange.remote.resize(100, ts("10.0.0.1", 1, 2));
	strange.mode_mismatch = true;
	EXPECT_EQ(world.authorize_child(60, strange), BTNS_REASON_NONE);
	EXPECT_EQ(world.child_up(60, strange), BTNS_REASON_NONE);
	EXPECT_EQ(world.last_status, BTNS_STATUS_OK);
}

TEST_F(ChildPolicy, addresses_that_an_authenticated_peer_holds)
{
	ASSERT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	btns_addr_t addresses[] = {addr(here), addr("203.0.113.5")};
	EXPECT_EQ(btns_sa_holds(world, 50, addresses, 2, World::evict, &world), BTNS_STATUS_OK);
	EXPECT_EQ(world.take_evicted(), (Evicted{{1, BTNS_REASON_EVICTED}}));
	EXPECT_TRUE(btns_is_reserved(world, &addresses[1]));

	EXPECT_EQ(btns_sa_holds(world, 50, addresses, 1, World::evict, &world), BTNS_STATUS_OK);
	EXPECT_EQ(world.take_evicted().size(), 1U) << "it is still there";
	EXPECT_FALSE(btns_is_reserved(world, &addresses[1])) << "replaced";
	EXPECT_TRUE(btns_is_reserved(world, &addresses[0]));
	btns_sa_drop(world, 50);
	EXPECT_FALSE(btns_is_reserved(world, &addresses[0]));
	EXPECT_EQ(world.audit(), Evicted{});

	EXPECT_EQ(btns_sa_holds(world, 1, addresses, 2, World::evict, &world), BTNS_STATUS_REFUSED)
		<< "a stranger reserves nothing";
	EXPECT_FALSE(btns_is_reserved(world, &addresses[0]));
}

TEST_F(ChildPolicy, the_audit_follows_the_configuration)
{
	ASSERT_EQ(world.child_up(1, child(1, {here})), BTNS_REASON_NONE);
	EXPECT_TRUE(world.audit().empty());
	const Evicted unconfigured{{1, BTNS_REASON_UNCONFIGURED}};

	world.configure({});
	EXPECT_EQ(world.audit(), unconfigured);
	Connection entry;
	entry.name = "renamed";
	world.configure({entry});
	EXPECT_EQ(world.audit(), unconfigured);
	entry = {};
	entry.groups = {};
	world.configure({entry});
	EXPECT_EQ(world.audit(), unconfigured) << "the flag is gone";
	entry.groups = {"btns:sha256:" + std::string(64, '0')};
	world.configure({entry});
	EXPECT_EQ(world.audit(), unconfigured) << "another key";
	entry = {};
	entry.cacerts = true;
	world.configure({entry});
	EXPECT_EQ(world.audit(), unconfigured) << "not usable";
	world.configure({Connection{}});
	EXPECT_TRUE(world.audit().empty());

	Connection authenticated_entry = office();
	authenticated_entry.addrs = {here};
	world.configure({Connection{}, authenticated_entry});
	EXPECT_EQ(world.audit(), (Evicted{{1, BTNS_REASON_EVICTED}}));
}

} // namespace
