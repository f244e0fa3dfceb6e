/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core_world.h"

namespace
{

using btns::test::Connection;
using btns::test::office;
using btns::test::World;

constexpr const char *hex = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

btns_flag_t flag_of(const std::vector<std::string> &groups)
{
	Connection connection;
	connection.groups = groups;
	uint8_t key[BTNS_FINGERPRINT_LEN];
	return connection.with([&](const btns_entry_t &entry) { return btns_entry_flag(&entry, key); });
}

TEST(Flag, is_an_exact_reserved_group)
{
	const std::string pinned = std::string("btns:sha256:") + hex;
	EXPECT_EQ(flag_of({}), BTNS_FLAG_NONE);
	EXPECT_EQ(flag_of({"vpn", "*", "%any", "btn", "btnsx", "xbtns", "*s", "", "btns "}), BTNS_FLAG_NONE);
	EXPECT_EQ(flag_of({"btns"}), BTNS_FLAG_ANY);
	EXPECT_EQ(flag_of({"BTNS"}), BTNS_FLAG_ANY);
	EXPECT_EQ(flag_of({"vpn", "bTnS"}), BTNS_FLAG_ANY);
	EXPECT_EQ(flag_of({pinned}), BTNS_FLAG_KEY);
	EXPECT_EQ(flag_of({"Btns:Sha256:" + pinned.substr(12)}), BTNS_FLAG_KEY);
	EXPECT_EQ(flag_of({"btns:null"}), BTNS_FLAG_NULL);
	EXPECT_EQ(flag_of({"btns:Known"}), BTNS_FLAG_KNOWN);
	EXPECT_EQ(flag_of({"btns:"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({"btns:foo"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({"BTNS:*"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({"btns:sha256:"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({pinned + "0"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({pinned.substr(0, pinned.size() - 1)}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({pinned.substr(0, pinned.size() - 1) + "g"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({"btns", "btns"}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({"btns", pinned}), BTNS_FLAG_BROKEN);
	EXPECT_EQ(flag_of({"btns", "btns:foo"}), BTNS_FLAG_BROKEN);
}

TEST(Flag, has_the_pinned_key)
{
	Connection connection;
	connection.groups = {std::string("btns:sha256:") + hex};
	uint8_t key[BTNS_FINGERPRINT_LEN] = {};
	connection.with([&](const btns_entry_t &entry) { return btns_entry_flag(&entry, key); });
	EXPECT_EQ(key[0], 0x00);
	EXPECT_EQ(key[1], 0x11);
	EXPECT_EQ(key[31], 0xff);
	EXPECT_EQ(btns_entry_flag(nullptr, key), BTNS_FLAG_BROKEN) << "fails closed";
	EXPECT_EQ(key[31], 0) << "always written";
}

TEST(Flag, counts_in_any_round)
{
	const char *group = "btns";
	btns_round_t rounds[2]{};
	rounds[1].groups = &group;
	rounds[1].group_count = 1;
	btns_entry_t entry{};
	entry.name = "x";
	entry.rounds = rounds;
	entry.round_count = 2;
	EXPECT_EQ(btns_entry_flag(&entry, nullptr), BTNS_FLAG_ANY);
}

struct Shown
{
	std::string name;
	btns_flag_t flag;
	bool usable;
	std::vector<std::string> reserves;
	std::vector<std::string> errors;
	std::vector<std::string> warnings;
};

std::vector<Shown> show(World &world)
{
	std::vector<Shown> all;
	EXPECT_EQ(btns_config_each(
				  world,
				  [](void *user, const btns_pad_info_t *info)
				  {
					  Shown shown{info->name, info->flag, info->usable, {}, {}, {}};
					  shown.reserves.assign(info->reserves, info->reserves + info->reserve_count);
					  for (size_t i = 0; i < info->finding_count; i++)
					  {
						  auto &list = info->severities[i] == BTNS_SEVERITY_ERROR ? shown.errors : shown.warnings;
						  list.emplace_back(info->findings[i]);
					  }
					  static_cast<std::vector<Shown> *>(user)->push_back(shown);
				  },
				  &all),
			  BTNS_STATUS_OK);
	return all;
}

/** Lint one flagged connection, beside others. */
Shown lint(const Connection &connection, const std::vector<Connection> &others = {})
{
	std::vector<Connection> all{connection};
	all.insert(all.end(), others.begin(), others.end());
	World world(all);
	return show(world).at(0);
}

bool mentions(const std::vector<std::string> &texts, const std::string &word)
{
	return std::ranges::any_of(texts, [&](const auto &text) { return text.find(word) != std::string::npos; });
}

TEST(Linter, a_clean_entry_is_usable)
{
	const Shown shown = lint({});
	EXPECT_TRUE(shown.usable);
	EXPECT_TRUE(shown.errors.empty());
	EXPECT_TRUE(shown.warnings.empty());
	EXPECT_TRUE(shown.reserves.empty());
}

template <typename Change>
Shown lint_changed(Change &&change)
{
	Connection connection;
	change(connection);
	return lint(connection);
}

TEST(Linter, errors_make_an_entry_unusable)
{
	const std::pair<const char *, Shown> rows[] = {
		{"exactly one round", lint_changed([](Connection &c) { c.rounds = 2; })},
		{"auth", lint_changed([](Connection &c) { c.auth = BTNS_CLASS_ANY; })},
		{"auth", lint_changed([](Connection &c) { c.auth = BTNS_CLASS_EAP; })},
		{"id", lint_changed([](Connection &c) { c.any_id = false; })},
		{"cacerts", lint_changed([](Connection &c) { c.cacerts = true; })},
		{"pubkeys", lint_changed([](Connection &c) { c.certs = true; })},
		{"version", lint_changed([](Connection &c) { c.ike_version = 1; })},
		{"vpn", lint_changed(
					[](Connection &c) {
						c.groups = {"btns", "vpn"};
					})},
		{"exactly one group", lint_changed([](Connection &c) { c.groups = {"btns:foo"}; })},
		{"exactly one group", lint_changed(
								  [](Connection &c) {
									  c.groups = {"btns", "btns"};
								  })},
		{"not loaded", lint_changed([](Connection &c) { c.groups = {"btns:null"}; })},
		{"does not admit", lint_changed([](Connection &c) { c.groups = {"btns:known"}; })},
	};
	for (const auto &[word, shown] : rows)
	{
		EXPECT_FALSE(shown.usable) << word;
		EXPECT_TRUE(mentions(shown.errors, word)) << word;
	}
}

/** Lint one connection where NULL authentication is possible. */
Shown lint_with_nulls(const Connection &connection)
{
	World world({connection});
	btns_null_options_t options;
	btns_null_options_default(&options);
	EXPECT_EQ(btns_null_start(world, &options), BTNS_STATUS_OK);
	EXPECT_EQ(world.configure({connection, Connection{}}), BTNS_STATUS_OK);
	return show(world).at(0);
}

/** The same of one that is for nobody, but for a change. */
template <typename Change>
Shown lint_null(Change &&change)
{
	Connection connection;
	connection.groups = {"btns:null"};
	connection.auth = BTNS_CLASS_PSK;
	change(connection);
	return lint_with_nulls(connection);
}

TEST(Linter, nobody_is_admitted_by_entries_for_that_only)
{
	const Shown clean = lint_null([](Connection &) {});
	EXPECT_TRUE(clean.usable);
	EXPECT_TRUE(clean.errors.empty());
	EXPECT_TRUE(clean.warnings.empty()) << "that for keys is another kind of wildcard";
	EXPECT_TRUE(lint_null([](Connection &c) { c.local_auth = BTNS_CLASS_PSK, c.local_null = true; }).usable);
	EXPECT_TRUE(
		lint_null([](Connection &c) { c.groups = {"btns"}, c.auth = BTNS_CLASS_PUBKEY, c.local_null = true; }).usable);
	const std::pair<const char *, Shown> rows[] = {
		{"remote.auth has to be psk", lint_null([](Connection &c) { c.auth = BTNS_CLASS_PUBKEY; })},
		{"remote.auth has to be psk", lint_null([](Connection &c) { c.auth = BTNS_CLASS_ANY; })},
		{"remote.auth has to be pubkey", lint_null([](Connection &c) { c.groups = {"btns"}; })},
		{"remote.id", lint_null([](Connection &c) { c.any_id = false; })},
		{"cacerts", lint_null([](Connection &c) { c.cacerts = true; })},
		{"a NULL peer has no key", lint_null([](Connection &c) { c.certs = true; })},
		{"exactly one round", lint_null([](Connection &c) { c.rounds = 2; })},
		{"version", lint_null([](Connection &c) { c.ike_version = 1; })},
		{"exactly one group", lint_null(
								  [](Connection &c) {
									  c.groups = {"btns", "btns:null"};
								  })},
		{"local.auth = eap", lint_null([](Connection &c) { c.local_auth = BTNS_CLASS_EAP; })},
		{"guess the secret", lint_null([](Connection &c) { c.local_auth = BTNS_CLASS_PSK; })},
		{"2 local sections", lint_null([](Connection &c) { c.local_null = true, c.local_rounds = 2; })},
	};
	for (const auto &[word, shown] : rows)
	{
		EXPECT_FALSE(shown.usable) << word;
		EXPECT_TRUE(mentions(shown.errors, word)) << word;
	}
}

TEST(Linter, nobody_here_needs_the_plugin)
{
	Connection connection;
	connection.local_null = true;
	EXPECT_TRUE(mentions(lint(connection).errors, "not loaded"));
	Connection server = office();
	server.local_null = true;
	World world({server, Connection{}});
	EXPECT_TRUE(mentions(show(world).at(0).warnings, "not loaded"));
}

TEST(Linter, pools_are_not_shared)
{
	Connection flagged;
	flagged.pools = {"inner"};
	EXPECT_TRUE(lint(flagged).usable);

	Connection authenticated = office();
	authenticated.pools = {"other", "inner"};
	const Shown shown = lint(flagged, {authenticated});
	EXPECT_FALSE(shown.usable);
	EXPECT_TRUE(mentions(shown.errors, "office"));

	Connection second = flagged;
	second.name = "second";
	second.any_remote = false;
	EXPECT_TRUE(mentions(lint(flagged, {second}).warnings, "pool inner"));
}

TEST(Linter, surprises_are_warnings)
{
	EXPECT_TRUE(mentions(lint_changed([](Connection &c) { c.mobike = true; }).warnings, "mobike"));
	EXPECT_TRUE(lint_changed([](Connection &c) { c.mobike = true; }).usable);

	Connection second;
	second.name = "second";
	EXPECT_TRUE(mentions(lint({}, {second}).warnings, "second"));

	Connection here;
	here.any_remote = false;
	here.addrs = {"192.0.2.0/24"};
	Connection there = here;
	there.name = "there";
	there.addrs = {"198.51.100.0/24"};
	EXPECT_TRUE(lint(here, {there}).warnings.empty()) << "each has its own addresses";

	Connection pinned;
	pinned.name = "pinned";
	pinned.groups = {std::string("btns:sha256:") + hex};
	EXPECT_TRUE(lint({}, {pinned}).warnings.empty()) << "a specific key goes first";
}

TEST(Linter, an_entry_that_reserves_everything_is_pointed_out)
{
	Connection full_tunnel = office();
	full_tunnel.local_ts = {"0.0.0.0/0"};
	World world({Connection{}, full_tunnel});
	const Shown shown = show(world).at(1);
	EXPECT_TRUE(mentions(shown.warnings, "every IPv4 address"));
	EXPECT_FALSE(mentions(shown.warnings, "IPv6"));
	EXPECT_TRUE(shown.usable);

	World alone({full_tunnel});
	EXPECT_TRUE(show(alone).at(0).warnings.empty()) << "no stranger can come anyway";
}

TEST(Linter, selectors_over_reserved_addresses_are_pointed_out)
{
	Connection wide;
	wide.remote_ts = {"10.0.0.0/8"};
	EXPECT_TRUE(lint(wide).warnings.empty());
	Connection authenticated = office();
	authenticated.remote_ts = {"10.1.0.0/16"};
	EXPECT_TRUE(mentions(lint(wide, {authenticated}).warnings, "10.1.0.0/16 of connection office"));
}

TEST(Linter, entries_show_what_they_reserve)
{
	Connection authenticated = office();
	authenticated.local_ts = {"10.1.0.0/16"};
	authenticated.remote_ts = {"2001:db8::/32"};
	authenticated.addrs = {"192.0.2.7"};
	World world({authenticated});
	EXPECT_EQ(show(world).at(0).reserves, (std::vector<std::string>{"10.1.0.0/16", "2001:db8::/32", "192.0.2.7"}));
}

TEST(Config, usable_by_index)
{
	Connection broken;
	broken.groups = {"btns:x"};
	World world({office(), Connection{}, broken});
	EXPECT_TRUE(btns_config_usable(world, 0));
	EXPECT_TRUE(btns_config_usable(world, 1));
	EXPECT_FALSE(btns_config_usable(world, 2));
	EXPECT_FALSE(btns_config_usable(world, 3));
	EXPECT_FALSE(btns_config_usable(nullptr, 0));
}

std::vector<std::string> new_findings(World &world)
{
	std::vector<std::string> names;
	btns_config_new_findings(
		world,
		[](void *user, const char *name, btns_severity_t, const char *)
		{ static_cast<std::vector<std::string> *>(user)->emplace_back(name); },
		&names);
	return names;
}

TEST(Config, a_finding_is_reported_once)
{
	Connection moving;
	moving.mobike = true;
	World world({moving});
	EXPECT_EQ(new_findings(world), std::vector<std::string>{"strangers"});
	EXPECT_TRUE(new_findings(world).empty());
	world.configure({});
	EXPECT_TRUE(new_findings(world).empty());
	world.configure({moving});
	EXPECT_TRUE(new_findings(world).empty());
	moving.name = "others";
	world.configure({moving});
	EXPECT_EQ(new_findings(world), std::vector<std::string>{"others"});
}

TEST(Config, invalid_descriptions_are_refused)
{
	World world;
	btns_config_t *config = btns_config_begin(world);
	EXPECT_EQ(btns_config_add(config, nullptr), BTNS_STATUS_INVALID);
	btns_entry_t entry{};
	EXPECT_EQ(btns_config_add(config, &entry), BTNS_STATUS_INVALID) << "no name";
	entry.name = "x";
	entry.round_count = 1;
	EXPECT_EQ(btns_config_add(config, &entry), BTNS_STATUS_INVALID) << "no rounds";
	entry.round_count = 0;
	btns_ts_t backwards = btns::test::ts("10.0.0.9");
	backwards.to[3] = 1;
	entry.local_ts = &backwards;
	entry.local_ts_count = 1;
	EXPECT_EQ(btns_config_add(config, &entry), BTNS_STATUS_INVALID) << "a range that ends before it begins";
	const btns_addr_t none{};
	EXPECT_EQ(btns_config_own_address(config, &none), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_config_commit(nullptr, config), BTNS_STATUS_INVALID) << "and frees it";
	EXPECT_EQ(btns_config_commit(world, nullptr), BTNS_STATUS_INVALID);
	btns_config_abort(nullptr);
	EXPECT_TRUE(btns_config_usable(world, 0)) << "what was in force stays";
}

} // namespace
