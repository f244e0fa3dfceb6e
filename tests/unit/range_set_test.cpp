/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "range_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <span>

#include "interval_index.h"
#include "one_thread.h"

namespace
{

using btns::Address;
using btns::AddressValue;
using btns::IntervalIndex;
using btns::parse_range;
using btns::Range;
using btns::RangeSet;

constexpr AddressValue highest6 = ~AddressValue{0};

/** Ranges that meet often: near both ends of both families. */
class RandomRanges
{
public:
	explicit RandomRanges(unsigned seed) : random_(seed) {}

	Range next()
	{
		const unsigned family = pick(2) == 0 ? 4 : 6;
		const AddressValue base = pick(4) == 0 ? (family == 4 ? AddressValue{0xffffffff} : highest6) - 200 : 0;
		AddressValue a = base + pick(200);
		AddressValue b = pick(3) == 0 ? a : base + pick(200);
		if (b < a)
		{
			std::swap(a, b);
		}
		return {family, a, b};
	}

	unsigned pick(unsigned count) { return std::uniform_int_distribution<unsigned>(0, count - 1)(random_); }

private:
	std::mt19937 random_;
};

bool overlaps_any(const std::vector<Range> &ranges, const Range &range)
{
	return std::ranges::any_of(ranges, [&](const Range &r) { return r.overlaps(range); });
}

TEST(RangeSet, empty_has_nothing)
{
	const RangeSet set;
	EXPECT_FALSE(set.overlaps(*parse_range("0.0.0.0/0")));
	EXPECT_FALSE(set.overlaps(*parse_range("::/0")));
	EXPECT_EQ(set.size(), 0U);
}

TEST(RangeSet, joins_what_overlaps_or_touches)
{
	const RangeSet set({*parse_range("10.0.1.0/24"), *parse_range("10.0.0.0/24"), *parse_range("10.0.0.128/25"),
						*parse_range("10.0.3.0/24"), *parse_range("::/0"), *parse_range("2001:db8::/32")});
	ASSERT_EQ(set.size(), 3U);
	EXPECT_EQ(btns::to_text(set.ranges()[0]), "10.0.0.0/23");
	EXPECT_EQ(btns::to_text(set.ranges()[1]), "10.0.3.0/24");
	EXPECT_EQ(btns::to_text(set.ranges()[2]), "::/0");
}

TEST(RangeSet, both_ends_of_the_number_line)
{
	const RangeSet set({*parse_range("255.255.255.255"), *parse_range("0.0.0.0"), *parse_range("::"),
						*parse_range("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")});
	EXPECT_EQ(set.size(), 4U);
	EXPECT_TRUE(set.overlaps(*parse_range("255.255.255.254/31")));
	EXPECT_FALSE(set.overlaps(*parse_range("0.0.0.1-255.255.255.254")));
	EXPECT_FALSE(set.overlaps({6, 1, highest6 - 1}));
	EXPECT_TRUE(set.overlaps({6, 1, highest6}));
}

TEST(RangeSet, agrees_with_a_naive_model)
{
	RandomRanges random(1);
	for (int round = 0; round < 200; round++)
	{
		std::vector<Range> ranges;
		for (unsigned i = random.pick(12); i > 0; i--)
		{
			ranges.push_back(random.next());
		}
		const RangeSet set(ranges);
		const std::vector<Range> disjoint = set.ranges();
		ASSERT_EQ(disjoint.size(), set.size());
		for (size_t i = 1; i < disjoint.size(); i++)
		{
			const Range &before = disjoint[i - 1];
			const Range &after = disjoint[i];
			ASSERT_TRUE(before.family < after.family || before.last + 1 < after.first) << "sorted and disjoint";
		}
		for (int i = 0; i < 200; i++)
		{
			const Range query = random.next();
			ASSERT_EQ(set.overlaps(query), overlaps_any(ranges, query));
		}
	}
}

TEST(IntervalIndex, ON_ONE_THREAD(agrees_with_a_naive_model))
{
	RandomRanges random(2);
	IntervalIndex<unsigned> index;
	std::set<std::pair<Range, unsigned>> model;
	for (int step = 0; step < 20000; step++)
	{
		const Range range = random.next();
		const unsigned owner = random.pick(4);
		if (random.pick(model.size() < 60 ? 2 : 3) == 0)
		{
			ASSERT_EQ(index.insert(range, owner), model.emplace(range, owner).second);
		}
		else if (!model.empty() && random.pick(2) == 0)
		{
			const auto victim = std::next(model.begin(), random.pick(static_cast<unsigned>(model.size())));
			ASSERT_TRUE(index.remove(victim->first, victim->second));
			model.erase(victim);
		}
		else
		{
			ASSERT_EQ(index.remove(range, owner), model.erase({range, owner}) == 1);
		}
		ASSERT_EQ(index.size(), model.size());

		const Range query = random.next();
		std::set<std::pair<Range, unsigned>> found;
		std::set<std::pair<Range, unsigned>> expected;
		index.for_each_overlap(query,
							   [&](const Range &r, unsigned o)
							   {
								   EXPECT_TRUE(found.emplace(r, o).second) << "each one once";
								   return true;
							   });
		std::ranges::copy_if(model, std::inserter(expected, expected.end()),
							 [&](const auto &item) { return item.first.overlaps(query); });
		ASSERT_EQ(found, expected);
		ASSERT_EQ(index.overlaps(query), !expected.empty());
	}
}

/** Adds many, in an order, then takes all out again, in another, and compares with a list of all on the way. */
void fill_and_drain(unsigned seed, bool sorted)
{
	std::mt19937 random(seed);
	std::vector<std::pair<Range, unsigned>> model;
	for (unsigned i = 0; i < 6000; i++)
	{
		const unsigned family = random() % 2 == 0 ? 4 : 6;
		const AddressValue first = random() % 100000;
		model.emplace_back(Range{family, first, first + (random() % 50 == 0 ? random() % 5000 : random() % 4)}, i);
	}
	if (sorted)
	{
		std::ranges::sort(model);
	}
	IntervalIndex<unsigned> index;
	const auto agrees = [&](std::span<const std::pair<Range, unsigned>> there)
	{
		const AddressValue first = random() % 100000;
		const Range query{random() % 2 == 0 ? 4U : 6U, first, first + random() % 8};
		std::set<unsigned> expected;
		for (const auto &[range, owner] : there)
		{
			if (range.overlaps(query))
			{
				expected.insert(owner);
			}
		}
		std::set<unsigned> found;
		index.for_each_overlap(query, [&](const Range &, unsigned owner) { return found.insert(owner).second; });
		return found == expected && index.overlaps(query) == !expected.empty() && index.size() == there.size();
	};
	for (size_t i = 0; i < model.size(); i++)
	{
		ASSERT_TRUE(index.insert(model[i].first, model[i].second));
		ASSERT_FALSE(index.insert(model[i].first, model[i].second));
		ASSERT_TRUE(i % 16 != 0 || agrees(std::span(model).first(i + 1)));
	}
	if (!sorted)
	{
		std::shuffle(model.begin(), model.end(), random);
	}
	for (size_t i = 0; i < model.size(); i++)
	{
		ASSERT_TRUE(index.remove(model[i].first, model[i].second));
		ASSERT_FALSE(index.remove(model[i].first, model[i].second));
		ASSERT_TRUE(i % 16 != 0 || agrees(std::span(model).subspan(i + 1)));
	}
	EXPECT_EQ(index.size(), 0U);
}

TEST(IntervalIndex, finds_all_among_thousands_in_any_order)
{
	fill_and_drain(1, false);
	fill_and_drain(2, true);
}

TEST(IntervalIndex, a_range_counts_once_for_each_owner)
{
	IntervalIndex<int> index;
	const Range range = *parse_range("10.0.0.0/8");
	EXPECT_TRUE(index.insert(range, 1));
	EXPECT_FALSE(index.insert(range, 1));
	EXPECT_TRUE(index.insert(range, 2));
	EXPECT_TRUE(index.remove(range, 1));
	EXPECT_TRUE(index.overlaps(*parse_range("10.1.1.1")));
	EXPECT_TRUE(index.remove(range, 2));
	EXPECT_FALSE(index.remove(range, 2));
	EXPECT_FALSE(index.overlaps(*parse_range("10.1.1.1")));
}

TEST(IntervalIndex, the_visitor_can_stop)
{
	IntervalIndex<int> index;
	for (int i = 0; i < 100; i++)
	{
		index.insert(*parse_range("10.0.0.0/8"), i);
	}
	int visits = 0;
	index.for_each_overlap(*parse_range("10.1.1.1"), [&](const Range &, int) { return ++visits < 3; });
	EXPECT_EQ(visits, 3);
}

TEST(IntervalIndex, ON_ONE_THREAD(many_ranges_in_ascending_order_stay_fast))
{
	IntervalIndex<unsigned> index;
	constexpr unsigned count = 100000;
	for (unsigned i = 0; i < count; i++)
	{
		index.insert({4, i * 2, i * 2}, i);
	}
	for (unsigned i = 0; i < count; i++)
	{
		ASSERT_TRUE(index.overlaps({4, i * 2, i * 2}));
		ASSERT_FALSE(index.overlaps({4, i * 2 + 1, i * 2 + 1}));
	}
	for (unsigned i = 0; i < count; i++)
	{
		ASSERT_TRUE(index.remove({4, i * 2, i * 2}, i));
	}
	EXPECT_EQ(index.size(), 0U);
}

} // namespace
