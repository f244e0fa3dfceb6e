/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "address.h"

#include <gtest/gtest.h>

#include "btns/core.h"

namespace
{

using btns::parse_range;
using btns::to_text;

TEST(Address, ranges_are_read_and_written)
{
	const std::pair<const char *, const char *> good[] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.1.2.3/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"192.0.2.1", "192.0.2.1"},
		{" 192.0.2.1 ", "192.0.2.1"},
		{"192.0.2.1/32", "192.0.2.1"},
		{"192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9"},
		{"192.0.2.0 - 192.0.2.255", "192.0.2.0/24"},
		{"192.0.2.1-192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:db8::/32", "2001:db8::/32"},
		{"::/0", "::/0"},
		{"fe80::1-fe80::2", "fe80::1-fe80::2"},
	};
	for (const auto &[text, canonical] : good)
	{
		const auto range = parse_range(text);
		ASSERT_TRUE(range) << text;
		EXPECT_EQ(to_text(*range), canonical);
	}
}

TEST(Address, selectors_are_read_and_written)
{
	const std::pair<const char *, const char *> good[] = {
		{"10.1.0.0/16", "10.1.0.0/16"},
		{"10.1.0.0/16[tcp]", "10.1.0.0/16[6]"},
		{"10.1.0.1[tcp/2049]", "10.1.0.1[6/2049]"},
		{" 2001:db8::/64[udp/1024-2047] ", "2001:db8::/64[17/1024-2047]"},
		{"10.0.0.1-10.0.0.9[132/0-65535]", "10.0.0.1-10.0.0.9[132]"},
		{"10.1.0.1[0/80]", "10.1.0.1[0/80]"},
		{"10.1.0.1[icmp]", "10.1.0.1[1]"},
		{"fe80::1[icmp6]", "fe80::1[58]"},
		{"fe80::1[ipv6-icmp]", "fe80::1[58]"},
		{"10.1.0.1[sctp/65535]", "10.1.0.1[132/65535]"},
	};
	for (const auto &[text, canonical] : good)
	{
		btns_ts_t out{};
		ASSERT_EQ(btns_ts_parse(text, &out), BTNS_STATUS_OK) << text;
		EXPECT_EQ(to_text(out), canonical);
	}
	for (const char *text :
		 {"", "[tcp/80]", "10.0.0.1[", "10.0.0.1[tcp", "10.0.0.1[]", "10.0.0.1[tcp/]", "10.0.0.1[tcp/80-]",
		  "10.0.0.1[tcp/80]x", "10.0.0.1[gre/80]", "10.0.0.1[256]", "10.0.0.1[tcp/65536]", "10.0.0.1[tcp/90-80]",
		  "10.0.0.1[tcp/80[", "10.0.0.1[-6]", "10.0.0.0/33[tcp]", "dynamic"})
	{
		btns_ts_t out{};
		EXPECT_EQ(btns_ts_parse(text, &out), BTNS_STATUS_REFUSED) << text;
		EXPECT_EQ(out.family, 0) << text;
	}
}

TEST(Address, what_is_no_range_is_refused)
{
	for (const char *text : {"", " ", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8",
							 "/8", "::/129", "192.0.2.9-192.0.2.1", "192.0.2.1-", "-192.0.2.1", "192.0.2.1-2001:db8::1",
							 "%any", "host.example", "10.0.0.0/8-10.0.0.1", "10.0.0.0/99999999999"})
	{
		EXPECT_FALSE(parse_range(text)) << text;
		btns_range_t range{};
		EXPECT_EQ(btns_range_parse(text, &range), BTNS_STATUS_REFUSED) << text;
		EXPECT_EQ(range.family, 0);
	}
}

TEST(Address, network_byte_order_both_ways)
{
	btns_range_t range{};
	ASSERT_EQ(btns_range_parse("192.0.2.1-192.0.2.9", &range), BTNS_STATUS_OK);
	EXPECT_EQ(range.family, 4);
	EXPECT_EQ(range.from[0], 192);
	EXPECT_EQ(range.from[3], 1);
	EXPECT_EQ(range.to[3], 9);
	EXPECT_EQ(btns::to_range(range), parse_range("192.0.2.1-192.0.2.9"));
	range.to[3] = 0;
	EXPECT_FALSE(btns::to_range(range)) << "it ends before it begins";
	range.family = 5;
	EXPECT_FALSE(btns::to_range(range));
	EXPECT_FALSE(btns::to_address(btns_addr_t{}));
}

TEST(Address, prefixes_are_exact)
{
	for (const char *text : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1", "192.0.2.2-192.0.2.3", "::/0", "2001:db8::/127",
							 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
	{
		EXPECT_TRUE(parse_range(text)->is_prefix()) << text;
	}
	for (const char *text : {"192.0.2.1-192.0.2.2", "192.0.2.0-192.0.2.2", "10.0.0.0-10.0.0.4",
							 "0.0.0.1-255.255.255.255", "::1-::2", "2001:db8::-2001:db8::2"})
	{
		EXPECT_FALSE(parse_range(text)->is_prefix()) << text;
	}
	EXPECT_TRUE(parse_range("0.0.0.0/0")->is_everything());
	EXPECT_TRUE(parse_range("::/0")->is_everything());
	EXPECT_FALSE(parse_range("::/1")->is_everything());
}

TEST(Address, families_never_overlap)
{
	EXPECT_FALSE(parse_range("0.0.0.0/0")->overlaps(*parse_range("::/0")));
	EXPECT_TRUE(parse_range("10.0.0.0/8")->overlaps(*parse_range("10.255.255.255")));
	EXPECT_FALSE(parse_range("10.0.0.0/8")->overlaps(*parse_range("11.0.0.0")));
	EXPECT_TRUE(parse_range("10.0.0.0/8")->contains(*parse_range("10.1.0.0/16")));
	EXPECT_FALSE(parse_range("10.1.0.0/16")->contains(*parse_range("10.0.0.0/8")));
}

} // namespace
