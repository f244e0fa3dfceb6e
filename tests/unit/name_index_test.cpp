/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "name_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "btns/core.h"
#include "der.h"

namespace
{

using btns::Bytes;
using btns::NameIndex;

constexpr unsigned ipv4 = 1;
constexpr unsigned fqdn = 2;
constexpr unsigned rfc822 = 3;
constexpr unsigned subnet4 = 4;
constexpr unsigned ipv6 = 5;
constexpr unsigned range4 = 7;
constexpr unsigned dn = 9;
constexpr unsigned key_id = 11;

using Octets = std::vector<uint8_t>;

Octets text(const std::string &text)
{
	return {text.begin(), text.end()};
}

struct Part
{
	uint8_t attribute;
	uint8_t string_type;
	std::string value;
};

constexpr uint8_t utf8 = 0x0c;
constexpr uint8_t printable = 0x13;

/** A Name with one attribute in each RelativeDistinguishedName. */
Octets name(const std::vector<Part> &parts)
{
	Octets sets;
	for (const Part &part : parts)
	{
		const Octets oid{0x55, 0x04, part.attribute};
		const Octets set = btns::der::write(
			btns::der::tag_set,
			{btns::der::write(btns::der::tag_sequence, {btns::der::write(btns::der::tag_oid, {oid}),
														btns::der::write(part.string_type, {text(part.value)})})});
		sets.insert(sets.end(), set.begin(), set.end());
	}
	return btns::der::write(btns::der::tag_sequence, {sets});
}

class Names
{
public:
	explicit Names(const std::vector<std::pair<unsigned, Octets>> &identities)
	{
		uint32_t entry = 0;
		for (const auto &[type, identity] : identities)
		{
			index_.add(entry++, type, identity);
		}
		index_.seal();
	}

	/** All entries that might match. */
	[[nodiscard]] std::set<uint32_t> find(unsigned type, const Octets &claim, bool relaxed = false) const
	{
		std::set<uint32_t> found;
		EXPECT_FALSE(index_.find(type, claim, relaxed,
								 [&found](uint32_t entry)
								 {
									 found.insert(entry);
									 return false;
								 }));
		return found;
	}

	NameIndex index_;
};

using Found = std::set<uint32_t>;

TEST(NameIndex, empty_has_nobody)
{
	const Names names({});
	EXPECT_EQ(names.find(fqdn, text("moon.example.org")), Found{});
	EXPECT_EQ(names.find(fqdn, {}), Found{});
	EXPECT_EQ(names.find(fqdn, text("*")), Found{});
}

TEST(NameIndex, text_without_regard_to_case)
{
	const Names names({{fqdn, text("Moon.example.org")}, {rfc822, text("alice@example.org")}});
	EXPECT_EQ(names.find(fqdn, text("moon.Example.org")), Found{0});
	EXPECT_EQ(names.find(rfc822, text("ALICE@example.org")), Found{1});
	EXPECT_EQ(names.find(fqdn, text("sun.example.org")), Found{});
	EXPECT_EQ(names.find(fqdn, text("example.org")), Found{});
}

TEST(NameIndex, the_same_octets_in_any_other_type)
{
	const Names names({{fqdn, text("Moon")}, {key_id, text("Sun")}, {ipv4, {192, 0, 2, 1}}});
	EXPECT_EQ(names.find(key_id, text("Moon")), Found{0});
	EXPECT_EQ(names.find(key_id, text("MOON")), Found{});
	EXPECT_EQ(names.find(rfc822, text("Sun")), Found{1});
	EXPECT_EQ(names.find(key_id, {192, 0, 2, 1}), Found{2});
	EXPECT_EQ(names.find(ipv4, {192, 0, 2, 2}), Found{});
}

TEST(NameIndex, a_star_at_the_head)
{
	const Names names({{fqdn, text("*.Example.org")}, {rfc822, text("*@example.org")}, {fqdn, text("*g")}});
	EXPECT_EQ(names.find(fqdn, text("moon.example.ORG")), (Found{0, 2}));
	EXPECT_EQ(names.find(rfc822, text("alice@example.org")), (Found{1, 2}));
	EXPECT_EQ(names.find(fqdn, text("moon.example.com")), Found{});
	EXPECT_EQ(names.find(key_id, text("moon.example.org")), Found{}) << "a pattern is for text only";
	EXPECT_EQ(names.find(key_id, text("*.Example.org")), Found{0}) << "the same octets";
}

TEST(NameIndex, patterns_beyond_hashing_are_shown_to_all_of_their_kind)
{
	const Names names({{fqdn, text("*" + std::string(300, 'a'))},
					   {fqdn, text(std::string("*a\0b", 4))},
					   {fqdn, text("^moon.*$")},
					   {fqdn, text("sun")}});
	EXPECT_EQ(names.find(fqdn, text("venus")), (Found{0, 1, 2}));
	EXPECT_EQ(names.find(key_id, text("venus")), Found{});
}

TEST(NameIndex, a_claim_that_is_a_pattern_is_compared_with_all)
{
	const Names names({{fqdn, text("moon.example.org")}, {ipv4, {192, 0, 2, 1}}, {dn, name({{3, utf8, "moon"}})}});
	const Found all{0, 1, 2};
	EXPECT_EQ(names.find(fqdn, text("*.example.org")), all);
	EXPECT_EQ(names.find(rfc822, text("*")), all);
	EXPECT_EQ(names.find(subnet4, {192, 0, 2, 0, 255, 255, 255, 0}), all);
	EXPECT_EQ(names.find(range4, {192, 0, 2, 0, 192, 0, 2, 9}), all);
	EXPECT_EQ(names.find(dn, name({{3, utf8, "*"}})), all);
	EXPECT_EQ(names.find(dn, text("no name at all")), all);
	EXPECT_EQ(names.find(key_id, text("*")), Found{});
}

TEST(NameIndex, distinguished_names_by_their_parts)
{
	const Names names({{dn, name({{6, printable, "CH"}, {3, printable, "Moon"}})}});
	const Found moon{0};
	EXPECT_EQ(names.find(dn, name({{6, printable, "CH"}, {3, printable, "Moon"}})), moon);
	EXPECT_EQ(names.find(dn, name({{6, printable, "ch"}, {3, printable, "mOON"}})), moon) << "in another case";
	EXPECT_EQ(names.find(dn, name({{6, utf8, "CH"}, {3, utf8, "Moon"}})), moon) << "in another string type";
	EXPECT_EQ(names.find(dn, name({{3, printable, "Moon"}, {6, printable, "CH"}})), moon) << "in another order";
	EXPECT_EQ(names.find(key_id, name({{6, printable, "CH"}, {3, printable, "Moon"}})), moon) << "the same octets";
	EXPECT_EQ(names.find(dn, name({{3, printable, "Moon"}})), Found{}) << "a part is missing";
	EXPECT_EQ(names.find(dn, name({{3, printable, "Moon"}}), true), moon) << "unless that makes no difference";
	EXPECT_EQ(names.find(dn, name({{6, printable, "CH"}, {4, printable, "Moon"}})), Found{}) << "another attribute";
	EXPECT_EQ(names.find(dn, name({{6, printable, "CH"}, {3, printable, "Sun"}})), Found{});
}

TEST(NameIndex, strings_that_differ_behind_a_nul)
{
	const Names names({{dn, name({{3, printable, std::string("Moon\0a", 6)}})}});
	EXPECT_EQ(names.find(dn, name({{3, printable, std::string("moon\0b", 6)}})), Found{0});
}

TEST(NameIndex, names_with_wildcards_or_that_are_malformed_are_shown_to_all_names)
{
	Octets trailing = name({{3, utf8, "Moon"}});
	trailing.push_back(0);
	const Names names({{dn, name({{6, utf8, "CH"}, {3, utf8, "*"}})}, {dn, text("garbage")}, {dn, trailing}});
	EXPECT_EQ(names.find(dn, name({{6, utf8, "CH"}, {3, utf8, "Moon"}})), (Found{0, 1, 2}));
	EXPECT_EQ(names.find(fqdn, text("garbage")), Found{1}) << "the same octets";
}

TEST(NameIndex, addresses_in_subnets_and_ranges)
{
	const Names names({{subnet4, {192, 0, 2, 0, 255, 255, 255, 0}}, {range4, {10, 0, 0, 1, 10, 0, 0, 9}}});
	EXPECT_EQ(names.find(ipv4, {192, 0, 2, 1}), (Found{0, 1}));
	EXPECT_EQ(names.find(ipv6, Octets(16)), (Found{0, 1}));
	EXPECT_EQ(names.find(fqdn, text("moon")), Found{});
}

TEST(NameIndex, many_entries_each_found_by_its_own_name)
{
	constexpr uint32_t count = 5000;
	std::vector<std::pair<unsigned, Octets>> identities;
	for (uint32_t i = 0; i < count; i++)
	{
		identities.emplace_back(fqdn, text((i % 2 == 0 ? "host" : "*.net") + std::to_string(i)));
	}
	const Names names(identities);
	for (uint32_t i = 0; i < count; i++)
	{
		const auto claim = (i % 2 == 0 ? "host" : "any.net") + std::to_string(i);
		EXPECT_EQ(names.find(fqdn, text(claim)), Found{i});
	}
}

TEST(NameIndex, many_entries_with_one_name)
{
	const Names names(std::vector<std::pair<unsigned, Octets>>(5000, {fqdn, text("moon")}));
	EXPECT_EQ(names.find(fqdn, text("moon")).size(), 5000U);
	size_t asked = 0;
	EXPECT_TRUE(names.index_.find(fqdn, text("moon"), false, [&asked](uint32_t) { return ++asked == 1; }));
	EXPECT_EQ(asked, 1U) << "the first answer is enough";
}

TEST(Names, only_a_yes_is_found_and_nothing_missing_is)
{
	btns_names_t *names = btns_names_create();
	const Octets moon = text("moon");
	const btns_bytes_t bytes{moon.data(), moon.size()};
	const btns_bytes_t missing{nullptr, 1};
	ASSERT_EQ(btns_names_add(names, 7, fqdn, bytes), BTNS_STATUS_OK);
	EXPECT_EQ(btns_names_add(names, 7, fqdn, missing), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_names_add(nullptr, 7, fqdn, bytes), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_names_seal(nullptr), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_names_seal(names), BTNS_STATUS_OK);

	uint32_t asked = 0;
	const auto yes = [](void *user, uint32_t entry)
	{
		*static_cast<uint32_t *>(user) = entry;
		return true;
	};
	const auto no = [](void *, uint32_t) { return false; };
	EXPECT_TRUE(btns_names_find(names, fqdn, bytes, false, yes, &asked));
	EXPECT_EQ(asked, 7U);
	EXPECT_FALSE(btns_names_find(names, fqdn, bytes, false, no, nullptr));
	EXPECT_TRUE(btns_names_find(nullptr, fqdn, bytes, false, no, nullptr)) << "in doubt it is somebody's";
	EXPECT_TRUE(btns_names_find(names, fqdn, missing, false, no, nullptr));
	EXPECT_TRUE(btns_names_find(names, fqdn, bytes, false, nullptr, nullptr));
	btns_names_destroy(names);
	btns_names_destroy(nullptr);
}

} // namespace
