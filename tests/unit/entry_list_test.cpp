/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "entry_list.h"

#include <gtest/gtest.h>

namespace
{

using btns::PadEntry;
using btns::parse_range;

bool operator==(const PadEntry::Round &a, const PadEntry::Round &b)
{
	return a.auth == b.auth && a.any_id == b.any_id && a.cacerts == b.cacerts && a.certs == b.certs &&
		   a.groups == b.groups;
}

void expect_same(const PadEntry &a, const PadEntry &b)
{
	EXPECT_EQ(a.name, b.name);
	EXPECT_EQ(a.flag, b.flag);
	EXPECT_EQ(a.ike_version, b.ike_version);
	EXPECT_TRUE(std::equal(a.rounds.begin(), a.rounds.end(), b.rounds.begin(), b.rounds.end(),
						   [](const auto &x, const auto &y) { return x == y; }));
	EXPECT_EQ(a.pools, b.pools);
	EXPECT_EQ(a.mobike, b.mobike);
	EXPECT_EQ(a.any_remote, b.any_remote);
	EXPECT_EQ(a.local_ts, b.local_ts);
	EXPECT_EQ(a.remote_ts, b.remote_ts);
	EXPECT_EQ(a.addrs, b.addrs);
}

/** Everything is there, and long. */
PadEntry full()
{
	PadEntry entry{};
	entry.name = std::string(300, 'n');
	entry.flag.kind = BTNS_FLAG_KEY;
	entry.flag.key.fill(0xa5);
	entry.ike_version = 1000;
	entry.mobike = true;
	entry.any_remote = true;
	entry.rounds = {{BTNS_CLASS_OTHER, true, false, true, {"btns", std::string(200, 'g'), ""}},
					{BTNS_CLASS_ANY, false, true, false, {}}};
	entry.pools = {"pool", std::string("a\0b", 3)};
	entry.local_ts = {*parse_range("0.0.0.0/0"), *parse_range("::/0")};
	entry.remote_ts = {*parse_range("192.0.2.1"), *parse_range("2001:db8::1"), *parse_range("192.0.2.1-192.0.2.9")};
	entry.addrs = std::vector<btns::Range>(200, *parse_range("2001:db8::/32"));
	return entry;
}

TEST(EntryList, gives_back_what_was_appended)
{
	PadEntry empty{};
	PadEntry pinned{};
	pinned.name = "pinned";
	pinned.flag.kind = BTNS_FLAG_ANY;
	const std::vector<PadEntry> entries{full(), empty, pinned, full(), empty};
	btns::EntryList list;
	EXPECT_TRUE(list.empty());
	for (const PadEntry &entry : entries)
	{
		list.append(entry);
	}
	list.seal();
	ASSERT_EQ(list.size(), entries.size());
	size_t i = 0;
	for (const PadEntry &entry : list)
	{
		expect_same(entry, entries[i]);
		EXPECT_EQ(list.name(i), entries[i].name);
		EXPECT_EQ(list.flag(i), entries[i].flag);
		i++;
	}
	EXPECT_EQ(i, entries.size());
}

} // namespace
