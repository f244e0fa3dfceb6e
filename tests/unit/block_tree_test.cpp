/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "block_tree.h"

#include <gtest/gtest.h>

#include <set>

#include "failing_new.h"
#include "interned.h"
#include "one_thread.h"

namespace
{

using btns::BlockTree;
using btns::Interned;
using btns::test::FailingNew;

/** Of numbers: how many there are, what they are in sum, and all of their bits. */
struct Sum
{
	void add(const Sum &other)
	{
		count += other.count;
		sum += other.sum;
		bits |= other.bits;
	}
	bool operator==(const Sum &) const = default;

	size_t count = 0;
	size_t sum = 0;
	size_t bits = 0;
};

/** Numbers count as what is written for them in a table. */
struct Keeper
{
	Sum operator()(unsigned number) const { return {1, (*table)[number], (*table)[number]}; }
	const std::vector<size_t> *table;
};

using Tree = BlockTree<unsigned, Keeper>;

auto at(unsigned number)
{
	return [number](unsigned other) { return other <=> number; };
}

/** What a search finds. */
std::set<unsigned> look(const Tree &tree, const std::vector<size_t> &table, size_t bits)
{
	std::set<unsigned> found;
	tree.search(
		[&](const Sum &sum)
		{
			EXPECT_GT(sum.count, 0U);
			return (sum.bits & bits) != 0;
		},
		[&](std::span<const unsigned> numbers)
		{
			for (const unsigned number : numbers)
			{
				if ((table[number] & bits) != 0)
				{
					EXPECT_TRUE(found.insert(number).second) << "each one once";
				}
			}
			return true;
		});
	return found;
}

TEST(BlockTree, ON_ONE_THREAD(agrees_with_a_set))
{
	for (const unsigned seed : {1U, 2U, 3U})
	{
		std::mt19937 random(seed);
		const auto pick = [&](unsigned count) { return std::uniform_int_distribution<unsigned>(0, count - 1)(random); };
		std::vector<size_t> table(20000);
		for (size_t &value : table)
		{
			value = size_t{1} << pick(40);
		}
		Tree tree({&table});
		std::set<unsigned> model;
		for (unsigned step = 0; step < 60000; step++)
		{
			// it grows and shrinks again and again; numbers come in order, against it, or at random
			const bool grows = step / 10000 % 2 == 0;
			const unsigned in_order = seed == 1 ? step % 10000 : 10000 - step % 10000;
			const unsigned number = seed == 3 || !grows ? pick(20000) : in_order;
			if (grows || pick(8) == 0)
			{
				if (model.insert(number).second)
				{
					tree.make_room(at(number));
					tree.put(number, at(number));
				}
			}
			else if (!model.empty())
			{
				const auto some = model.lower_bound(number);
				const unsigned victim = some != model.end() ? *some : *model.begin();
				model.erase(victim);
				ASSERT_TRUE(tree.remove(at(victim)));
				ASSERT_FALSE(tree.remove(at(victim)));
			}
			ASSERT_EQ(tree.size(), model.size());
			if (step % 64 == 0 && !model.empty())
			{
				const unsigned changed = *model.begin();
				table[changed] = size_t{1} << pick(40);
				tree.refresh(at(changed));
			}
			if (step % 256 != 0)
			{
				continue;
			}
			const unsigned from = pick(20000);
			auto next = model.lower_bound(from);
			tree.scan(at(from),
					  [&](unsigned found)
					  {
						  EXPECT_TRUE(next != model.end() && found == *next);
						  return next++ != model.end();
					  });
			ASSERT_EQ(next, model.end());
			const size_t bits = size_t{1} << pick(40);
			std::set<unsigned> expected;
			std::copy_if(model.begin(), model.end(), std::inserter(expected, expected.end()),
						 [&](unsigned entry) { return (table[entry] & bits) != 0; });
			ASSERT_EQ(look(tree, table, bits), expected);
		}
	}
}

TEST(BlockTree, leaves_out_what_its_summary_says)
{
	std::vector<size_t> table(100000, 1);
	table[77777] = 2;
	Tree tree({&table});
	for (unsigned i = 0; i < table.size(); i++)
	{
		tree.make_room(at(i));
		tree.put(i, at(i));
	}
	unsigned asked = 0;
	unsigned seen = 0;
	tree.search(
		[&](const Sum &sum)
		{
			asked++;
			return (sum.bits & 2) != 0;
		},
		[&](std::span<const unsigned> numbers)
		{
			seen += static_cast<unsigned>(numbers.size());
			return true;
		});
	EXPECT_LE(seen, 32U) << "one leaf";
	EXPECT_LE(asked, 16U * 5) << "one way down";
}

TEST(BlockTree, stops_when_it_is_told_to)
{
	std::vector<size_t> table(1000, 1);
	Tree tree({&table});
	for (unsigned i = 0; i < table.size(); i++)
	{
		tree.make_room(at(i));
		tree.put(i, at(i));
	}
	unsigned seen = 0;
	tree.search([](const Sum &) { return true; }, [&](std::span<const unsigned>) { return ++seen < 10; });
	EXPECT_EQ(seen, 10U);
	seen = 0;
	tree.scan(at(500), [&](unsigned) { return ++seen < 100; });
	EXPECT_EQ(seen, 100U);
}

TEST(BlockTree, one_takes_the_place_of_its_equal)
{
	std::vector<size_t> table(2000, 1);
	Tree tree({&table});
	const auto at_half = [](unsigned number) { return [number](unsigned other) { return other / 2 <=> number / 2; }; };
	for (unsigned i = 0; i < table.size(); i += 2)
	{
		tree.make_room(at_half(i));
		tree.put(i, at_half(i));
	}
	for (unsigned i = 0; i < table.size(); i += 2)
	{
		tree.replace(i + 1, at_half(i));
	}
	unsigned next = 1;
	tree.scan(at(0),
			  [&](unsigned found)
			  {
				  EXPECT_EQ(found, next);
				  next += 2;
				  return true;
			  });
	EXPECT_EQ(next, 2001U);
	table.assign(table.size(), 2);
	for (unsigned i = 1; i < table.size(); i += 2)
	{
		ASSERT_TRUE(tree.remove(at(i))) << "by nothing else is it found any more";
	}
}

TEST(BlockTree, is_as_it_was_when_memory_runs_out)
{
	std::vector<size_t> table(3000, 1);
	Tree tree({&table});
	for (unsigned i = 0; i < table.size(); i++)
	{
		for (size_t working = 0;; working++)
		{
			bool failed = false;
			{
				const FailingNew failing(working);
				try
				{
					tree.make_room(at(i));
				}
				catch (const std::bad_alloc &)
				{
					failed = true;
				}
			}
			if (!failed)
			{
				break;
			}
			ASSERT_EQ(tree.size(), i);
			if (i % 100 == 0)
			{
				unsigned seen = 0;
				tree.scan(at(0), [&](unsigned found) { return found == seen++; });
				ASSERT_EQ(seen, i);
			}
		}
		tree.put(i, at(i));
	}
}

TEST(Interned, has_each_value_once_and_as_long_as_somebody_has_it)
{
	Interned<std::string> texts;
	EXPECT_EQ(texts.find("a"), texts.none);
	const uint32_t a = texts.get("a");
	const uint32_t b = texts.get("b");
	EXPECT_NE(a, texts.none);
	EXPECT_NE(a, b);
	EXPECT_EQ(texts.get("a"), a);
	EXPECT_EQ(texts.find("a"), a);
	EXPECT_EQ(texts[a], "a");
	EXPECT_EQ(texts.size(), 2U);
	texts.drop(a);
	EXPECT_EQ(texts.find("a"), a) << "one has it still";
	texts.drop(a);
	EXPECT_EQ(texts.find("a"), texts.none);
	EXPECT_EQ(texts[b], "b");
	texts.drop(b);
	texts.drop(texts.none);
	EXPECT_EQ(texts.size(), 0U);
}

} // namespace
