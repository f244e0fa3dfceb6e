/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "policy.h"

#include <gtest/gtest.h>

#include "core_world.h"

namespace
{

using btns::fit_policies;
using btns::fit_policy;
using btns::Flow;
using btns::PolicyKind;
using btns::test::addr;
using btns::test::ts;

constexpr uint8_t icmp = 1;
constexpr uint8_t tcp = 6;
constexpr uint8_t udp = 17;
constexpr uint8_t gre = 47;

Flow flow(const std::string &local, const std::string &remote, uint16_t local_port = 0, uint16_t remote_port = 0,
		  uint8_t protocol = tcp)
{
	return {protocol, *btns::to_address(addr(local)), *btns::to_address(addr(remote)), local_port, remote_port};
}

btns_ts_t of(uint8_t protocol, btns_ts_t selector)
{
	selector.protocol = protocol;
	return selector;
}

std::optional<btns::PolicyFit> fit(const btns_ts_t &local, const btns_ts_t &remote, const Flow &flow,
								   uint32_t manual = 0)
{
	return fit_policy(local, remote, flow, PolicyKind::protect, manual);
}

/* the numbers are those that `ip xfrm policy` shows for such CHILD_SAs */

TEST(Policy, has_the_priority_that_charon_gives_it)
{
	const Flow packets = flow("10.1.0.1", "10.2.0.1", 1000, 2049);
	EXPECT_EQ(fit(ts("10.1.0.1"), ts("10.2.0.1"), packets)->priority, 367231U);
	EXPECT_EQ(fit(ts("10.1.0.0/16"), ts("10.2.0.0/16"), packets)->priority, 383615U);
	EXPECT_EQ(fit(ts("0.0.0.0/0"), ts("0.0.0.0/0"), packets)->priority, 399999U);
	EXPECT_EQ(fit(of(tcp, ts("10.1.0.1")), ts("10.2.0.1"), packets)->priority, 366975U);
	EXPECT_EQ(fit(of(tcp, ts("10.1.0.1")), of(tcp, ts("10.2.0.1", 2049, 2049)), packets)->priority, 366911U);
	EXPECT_EQ(fit_policy(ts("10.1.0.0/16"), ts("10.2.0.0/16"), packets, PolicyKind::shunt, 0)->priority, 183615U);
	EXPECT_EQ(fit(ts("2001:db8::1"), ts("2001:db8::2"), flow("2001:db8::1", "2001:db8::2"))->priority, 268927U);
}

TEST(Policy, has_the_priority_that_is_configured)
{
	EXPECT_EQ(fit(ts("10.1.0.1"), ts("10.2.0.1"), flow("10.1.0.1", "10.2.0.1"), 500000)->priority, 500000U);
}

TEST(Policy, takes_what_both_selectors_cover)
{
	const Flow packets = flow("10.1.0.1", "10.2.0.1", 1000, 2049);
	EXPECT_TRUE(fit(ts("10.1.0.0/24"), ts("10.2.0.0/24"), packets)->exact);
	EXPECT_FALSE(fit(ts("10.1.1.0/24"), ts("10.2.0.0/24"), packets));
	EXPECT_FALSE(fit(ts("10.1.0.0/24"), ts("10.2.1.0/24"), packets));
	EXPECT_FALSE(fit(ts("10.2.0.0/24"), ts("10.1.0.0/24"), packets)) << "the other direction";
	EXPECT_FALSE(fit(ts("::/0"), ts("::/0"), packets)) << "the other family";
	EXPECT_FALSE(fit(ts("0.0.0.0/0"), ts("0.0.0.0/0"), flow("2001:db8::1", "2001:db8::2")));
	EXPECT_FALSE(fit(ts("0.0.0.0/0"), ts("::/0"), packets));
}

TEST(Policy, takes_its_protocol_and_ports)
{
	const Flow packets = flow("10.1.0.1", "10.2.0.1", 1000, 2049);
	EXPECT_TRUE(fit(of(tcp, ts("10.1.0.1")), ts("10.2.0.1"), packets));
	EXPECT_FALSE(fit(of(udp, ts("10.1.0.1")), ts("10.2.0.1"), packets));
	EXPECT_FALSE(fit(of(udp, ts("10.1.0.1")), of(tcp, ts("10.2.0.1")), packets)) << "charon makes none of these";
	EXPECT_TRUE(fit(of(tcp, ts("10.1.0.1")), of(tcp, ts("10.2.0.1", 2049, 2049)), packets)->exact);
	EXPECT_FALSE(fit(of(tcp, ts("10.1.0.1")), of(tcp, ts("10.2.0.1", 2050, 2050)), packets));
	EXPECT_FALSE(fit(of(tcp, ts("10.1.0.1", 2049, 2049)), of(tcp, ts("10.2.0.1")), packets)) << "the other side's";
	EXPECT_TRUE(fit(of(tcp, ts("10.1.0.1", 512, 1023)), of(tcp, ts("10.2.0.1")), packets)->exact);
	// one without ports, as the kernel sees it, has port 0
	EXPECT_TRUE(fit(ts("10.1.0.1"), ts("10.2.0.1"), flow("10.1.0.1", "10.2.0.1", 0, 0, gre))->exact);
	EXPECT_FALSE(fit(ts("10.1.0.1"), ts("10.2.0.1", 2049, 2049), flow("10.1.0.1", "10.2.0.1", 0, 0, gre)));
}

TEST(Policy, takes_more_than_the_ranges_of_its_selectors)
{
	// 10.2.0.1-10.2.0.6 becomes 10.2.0.0/29, ports 1024-65535 all
	const auto rounded = fit(ts("10.1.0.1"), ts("10.2.0.1-10.2.0.6"), flow("10.1.0.1", "10.2.0.7"));
	ASSERT_TRUE(rounded);
	EXPECT_FALSE(rounded->exact);
	EXPECT_EQ(rounded->priority, 399999U - (32 + 29) * 512);
	EXPECT_TRUE(fit(ts("10.1.0.1"), ts("10.2.0.1-10.2.0.6"), flow("10.1.0.1", "10.2.0.6"))->exact);
	EXPECT_FALSE(fit(ts("10.1.0.1"), ts("10.2.0.1-10.2.0.6"), flow("10.1.0.1", "10.2.0.8")));
	EXPECT_FALSE(fit(ts("10.1.0.1"), ts("10.2.0.1", 1024, 65535), flow("10.1.0.1", "10.2.0.1", 5, 80))->exact);
	// OPAQUE (RFC 7296 3.13.1)
	EXPECT_FALSE(fit(ts("10.1.0.1"), ts("10.2.0.1", 65535, 0), flow("10.1.0.1", "10.2.0.1", 5, 80))->exact);
}

TEST(Policy, may_take_icmp_or_not_if_it_has_types)
{
	const Flow ping = flow("10.1.0.1", "10.2.0.1", 0, 0, icmp);
	EXPECT_TRUE(fit(of(icmp, ts("10.1.0.1")), of(icmp, ts("10.2.0.1")), ping)->exact);
	const auto typed = fit(of(icmp, ts("10.1.0.1", 2048, 2048)), of(icmp, ts("10.2.0.1", 2048, 2048)), ping);
	ASSERT_TRUE(typed);
	EXPECT_FALSE(typed->exact);
	EXPECT_FALSE(fit(of(icmp, ts("10.1.0.2", 2048, 2048)), of(icmp, ts("10.2.0.1", 2048, 2048)), ping));
}

TEST(Policy, of_all_pairs_of_selectors_the_best_counts)
{
	const std::vector<btns_ts_t> local{ts("10.1.0.0/16"), ts("10.1.0.1")};
	const std::vector<btns_ts_t> remote{ts("10.2.0.0/16"), ts("10.2.0.1-10.2.0.6"), ts("10.3.0.0/16")};
	auto fits = fit_policies(local, remote, flow("10.1.0.1", "10.2.0.7"), PolicyKind::protect, 0);
	EXPECT_EQ(fits.exact, 399999U - (32 + 16) * 512);
	EXPECT_EQ(fits.inexact, 399999U - (32 + 29) * 512);
	fits = fit_policies(local, remote, flow("10.1.0.1", "10.4.0.1"), PolicyKind::protect, 0);
	EXPECT_FALSE(fits.exact);
	EXPECT_FALSE(fits.inexact);
}

} // namespace
