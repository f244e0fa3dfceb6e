/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_sas.h"

#include <gtest/gtest.h>

#include <set>

#include "core_world.h"

namespace
{

using btns::Flow;
using btns::LatchSas;
using btns::test::ts;

constexpr uint8_t tcp = 6;

LatchSas::Entry entry(uint32_t child, uint32_t reqid, const btns_ts_t &remote, const btns_ts_t &local = ts("10.99.0.1"))
{
	LatchSas::Entry out;
	out.child = child;
	out.demand.reqid = reqid;
	out.local = {local};
	out.remote = {remote};
	return out;
}

Flow flow(uint16_t local_port = 1000, uint16_t remote_port = 2049)
{
	return {tcp, {4, 0x0a630001}, {4, 0xcb007105}, local_port, remote_port};
}

std::set<uint32_t> covering(const LatchSas &sas, const Flow &of)
{
	std::set<uint32_t> found;
	sas.for_each_covering(of,
						  [&](const LatchSas::Entry &sa)
						  {
							  found.insert(sa.child);
							  return true;
						  });
	return found;
}

TEST(LatchSas, finds_what_the_kernel_s_policies_take)
{
	LatchSas sas;
	sas.put(entry(1, 11, ts("203.0.113.5")));
	sas.put(entry(2, 12, ts("203.0.113.0/24")));
	sas.put(entry(3, 13, ts("203.0.113.6")));
	// a range becomes a prefix
	sas.put(entry(4, 14, ts("203.0.113.6-203.0.113.9")));
	sas.put(entry(5, 15, ts("203.0.113.5"), ts("10.99.0.2")));
	sas.put(entry(6, 16, ts("203.0.113.5", 80, 80)));
	sas.put(entry(7, 17, ts("::/0"), ts("::/0")));
	EXPECT_EQ(covering(sas, flow()), (std::set<uint32_t>{1, 2, 4}));
	EXPECT_EQ(covering(sas, flow(1000, 80)), (std::set<uint32_t>{1, 2, 4, 6}));
	EXPECT_EQ(sas.size(), 7U);
}

TEST(LatchSas, an_open_local_end_is_any)
{
	LatchSas sas;
	sas.put(entry(1, 11, ts("203.0.113.5"), ts("10.99.0.1", 1000, 1000)));
	sas.put(entry(2, 12, ts("203.0.113.5"), ts("10.99.0.2")));
	EXPECT_EQ(covering(sas, flow(1000)), std::set<uint32_t>{1});
	EXPECT_EQ(covering(sas, flow(1001)), std::set<uint32_t>{});
	EXPECT_EQ(covering(sas, flow(0)), std::set<uint32_t>{1});
	Flow open = flow(0);
	open.local = {};
	EXPECT_EQ(covering(sas, open), (std::set<uint32_t>{1, 2}));
}

TEST(LatchSas, one_replaces_another_with_its_id)
{
	LatchSas sas;
	sas.put(entry(1, 11, ts("203.0.113.5")));
	sas.put(entry(2, 11, ts("203.0.113.0/24")));
	EXPECT_TRUE(sas.has_reqid(11));
	sas.put(entry(1, 12, ts("203.0.113.6")));
	EXPECT_EQ(covering(sas, flow()), std::set<uint32_t>{2});
	EXPECT_TRUE(sas.has_reqid(11));
	EXPECT_TRUE(sas.has_reqid(12));
	sas.remove(2);
	sas.remove(2);
	EXPECT_FALSE(sas.has_reqid(11));
	EXPECT_EQ(sas.find(2), nullptr);
	ASSERT_NE(sas.find(1), nullptr);
	EXPECT_EQ(sas.find(1)->demand.reqid, 12U);
	EXPECT_EQ(covering(sas, flow()), std::set<uint32_t>{});
	EXPECT_EQ(sas.size(), 1U);
}

TEST(LatchSas, it_can_be_stopped)
{
	LatchSas sas;
	sas.put(entry(1, 11, ts("203.0.113.5")));
	sas.put(entry(2, 12, ts("203.0.113.5")));
	unsigned seen = 0;
	sas.for_each_covering(flow(), [&](const LatchSas::Entry &) { return ++seen < 1; });
	EXPECT_EQ(seen, 1U);
}

} // namespace
