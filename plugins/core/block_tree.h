/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file block_tree.h
 * A B+ tree of small entries that knows a summary of what is below each node, so that a search can leave out what has
 * nothing for it.
 *
 * What the entries' order is, the tree is told by each call: an entry can be a number for something that is elsewhere.
 * Its depth does not depend on the order of what is inserted.
 */
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <span>

#include "slab.h"

namespace btns
{

/** Of a tree that is only asked for what is in order. */
struct NoSummary
{
	void add(const NoSummary & /*other*/) {}
};

/**
 * An order is called with an entry and tells how that compares to the one that is looked for. No two entries are equal.
 *
 * @tparam Entry	small, copied without exceptions
 * @tparam Keeper	knows a summary: `Summary operator()(const Entry &) const`. A summary is empty when it is made by
 *its default constructor, and `add(const Summary &)` makes it that of both. Neither throws
 */
template <typename Entry, typename Keeper>
class BlockTree
{
	using Summary = std::invoke_result_t<const Keeper &, const Entry &>;

public:
	explicit BlockTree(const Keeper &keeper = {}) : keeper_(keeper) {}

	/** The next put() with this order needs no memory. Changes nothing that can be seen, also if it throws. */
	template <typename Order>
	void make_room(const Order &order)
	{
		if (height_ == none)
		{
			root_ = leaves_.take();
			leaves_[root_].count = 0;
			height_ = 0;
		}
		if (is_full(height_, root_))
		{
			raise();
		}
		uint32_t node = root_;
		for (uint32_t level = height_; level > 0; level--)
		{
			uint32_t i = child_for(inners_[node], order);
			if (is_full(level - 1, inners_[node].children[i].node))
			{
				if (level > 1 || !shift(inners_[node], i))
				{
					split(level, node, i, take_node(level - 1));
				}
				i = child_for(inners_[node], order);
			}
			node = inners_[node].children[i].node;
		}
	}

	/** After make_room(), between which and this nothing was changed. It is not there yet. */
	template <typename Order>
	void put(const Entry &entry, const Order &order) noexcept
	{
		const Summary summary = keeper_(entry);
		uint32_t node = root_;
		for (uint32_t level = height_; level > 0; level--)
		{
			Child &child = inners_[node].children[child_for(inners_[node], order)];
			if (order(child.first) > 0)
			{
				child.first = entry;
			}
			child.summary.add(summary);
			node = child.node;
		}
		Leaf &leaf = leaves_[node];
		const auto at = leaf.entries.begin() + position(leaf, order);
		std::move_backward(at, leaf.entries.begin() + leaf.count, leaf.entries.begin() + leaf.count + 1);
		*at = entry;
		leaf.count++;
		size_++;
	}

	/** FALSE if there is none that is equal. */
	template <typename Order>
	bool remove(const Order &order) noexcept
	{
		if (size_ == 0 || !remove_from(height_, root_, order))
		{
			return false;
		}
		size_--;
		while (height_ > 0 && inners_[root_].count == 1)
		{
			const uint32_t only = inners_[root_].children[0].node;
			inners_.give(root_);
			root_ = only;
			height_--;
		}
		if (size_ == 0)
		{
			leaves_.give(root_);
			height_ = none;
		}
		return true;
	}

	/** Put an entry in the place of one that is there and that it is equal to. Their summaries are the same. */
	template <typename Order>
	void replace(const Entry &entry, const Order &order) noexcept
	{
		uint32_t node = root_;
		for (uint32_t level = height_; level > 0; level--)
		{
			Child &child = inners_[node].children[child_for(inners_[node], order)];
			if (order(child.first) == 0)
			{
				child.first = entry;
			}
			node = child.node;
		}
		Leaf &leaf = leaves_[node];
		leaf.entries[position(leaf, order)] = entry;
	}

	/** The summary of an entry is another one now; its place is not. */
	template <typename Order>
	void refresh(const Order &order) noexcept
	{
		if (size_ > 0)
		{
			refresh_below(height_, root_, order);
		}
	}

	/** Call visitor(entry) for all that are not before, in order, until it returns FALSE. */
	template <typename Order, typename Visitor>
	void scan(const Order &order, Visitor &&visitor) const
	{
		if (size_ > 0)
		{
			scan_from(height_, root_, &order, visitor);
		}
	}

	/** Call visitor(entries), with some at a time, for all below the nodes for which enter(summary) is TRUE, until it
	 * returns FALSE. */
	template <typename Enter, typename Visitor>
	void search(Enter &&enter, Visitor &&visitor) const
	{
		if (size_ > 0)
		{
			search_below(height_, root_, enter, visitor);
		}
	}

	[[nodiscard]] size_t size() const { return size_; }

private:
	static constexpr uint32_t none = std::numeric_limits<uint32_t>::max();
	static constexpr uint32_t leaf_capacity = 32;
	static constexpr uint32_t inner_capacity = 16;

	struct Leaf
	{
		uint32_t count = 0;
		std::array<Entry, leaf_capacity> entries{};
	};

	struct Child
	{
		uint32_t node = 0;
		/** the least entry below it */
		Entry first{};
		[[no_unique_address]] Summary summary{};
	};

	struct Inner
	{
		uint32_t count = 0;
		std::array<Child, inner_capacity> children{};
	};

	[[nodiscard]] bool is_full(uint32_t level, uint32_t node) const
	{
		return level == 0 ? leaves_[node].count == leaf_capacity : inners_[node].count == inner_capacity;
	}

	[[nodiscard]] uint32_t take_node(uint32_t level)
	{
		const uint32_t node = level == 0 ? leaves_.take() : inners_.take();
		(level == 0 ? leaves_[node].count : inners_[node].count) = 0;
		return node;
	}

	void give_node(uint32_t level, uint32_t node) noexcept { level == 0 ? leaves_.give(node) : inners_.give(node); }

	/** What a parent knows of a node, which is not empty. */
	[[nodiscard]] Child describe(uint32_t level, uint32_t node) const
	{
		Child child;
		child.node = node;
		if (level == 0)
		{
			const Leaf &leaf = leaves_[node];
			child.first = leaf.entries[0];
			for (uint32_t i = 0; i < leaf.count; i++)
			{
				child.summary.add(keeper_(leaf.entries[i]));
			}
		}
		else
		{
			const Inner &inner = inners_[node];
			child.first = inner.children[0].first;
			for (uint32_t i = 0; i < inner.count; i++)
			{
				child.summary.add(inner.children[i].summary);
			}
		}
		return child;
	}

	/** The child that has an entry, or where it belongs. */
	template <typename Order>
	static uint32_t child_for(const Inner &inner, const Order &order)
	{
		const auto begin = inner.children.begin();
		const auto after = std::partition_point(begin, begin + inner.count,
												[&](const Child &child) { return order(child.first) <= 0; });
		return after == begin ? 0 : static_cast<uint32_t>(after - begin) - 1;
	}

	/** Where an entry of a leaf is, or belongs. */
	template <typename Order>
	static uint32_t position(const Leaf &leaf, const Order &order)
	{
		const auto begin = leaf.entries.begin();
		const auto at =
			std::partition_point(begin, begin + leaf.count, [&](const Entry &entry) { return order(entry) < 0; });
		return static_cast<uint32_t>(at - begin);
	}

	/** Put a node on top of the root, which is full. */
	void raise()
	{
		const uint32_t top = inners_.take();
		uint32_t half = 0;
		try
		{
			half = take_node(height_);
		}
		catch (...)
		{
			inners_.give(top);
			throw;
		}
		inners_[top].count = 1;
		inners_[top].children[0] = describe(height_, root_);
		root_ = top;
		height_++;
		split(height_, root_, 0, half);
	}

	template <typename Items>
	static void move_items(Items &from, uint32_t &from_count, uint32_t begin, uint32_t end, Items &to,
						   uint32_t &to_count, uint32_t at)
	{
		const uint32_t moved = end - begin;
		std::move_backward(to.begin() + at, to.begin() + to_count, to.begin() + to_count + moved);
		std::move(from.begin() + begin, from.begin() + end, to.begin() + at);
		std::move(from.begin() + end, from.begin() + from_count, from.begin() + begin);
		from_count -= moved;
		to_count += moved;
	}

	/** Move some of a node's content to another one of its level that has room for it. */
	void move_range(uint32_t level, uint32_t from, uint32_t begin, uint32_t end, uint32_t to, uint32_t at)
	{
		if (level == 0)
		{
			Leaf &source = leaves_[from];
			Leaf &target = leaves_[to];
			move_items(source.entries, source.count, begin, end, target.entries, target.count, at);
		}
		else
		{
			Inner &source = inners_[from];
			Inner &target = inners_[to];
			move_items(source.children, source.count, begin, end, target.children, target.count, at);
		}
	}

	/** Move the upper half of a full child to an empty node behind it. */
	void split(uint32_t level, uint32_t parent, uint32_t i, uint32_t half)
	{
		Inner &inner = inners_[parent];
		const uint32_t capacity = level == 1 ? leaf_capacity : inner_capacity;
		move_range(level - 1, inner.children[i].node, capacity / 2, capacity, half, 0);
		inner.children[i] = describe(level - 1, inner.children[i].node);
		const auto at = inner.children.begin() + i + 1;
		std::move_backward(at, inner.children.begin() + inner.count, inner.children.begin() + inner.count + 1);
		*at = describe(level - 1, half);
		inner.count++;
	}

	/** A full leaf gives an entry to a neighbour that has room for two: leaves stay fuller than by splitting alone. */
	bool shift(Inner &parent, uint32_t i)
	{
		const auto count = [&](uint32_t j) { return leaves_[parent.children[j].node].count; };
		const uint32_t node = parent.children[i].node;
		uint32_t to = i;
		if (i > 0 && count(i - 1) + 2 <= leaf_capacity)
		{
			to = i - 1;
			move_range(0, node, 0, 1, parent.children[to].node, count(to));
		}
		else if (i + 1 < parent.count && count(i + 1) + 2 <= leaf_capacity)
		{
			to = i + 1;
			move_range(0, node, leaf_capacity - 1, leaf_capacity, parent.children[to].node, 0);
		}
		else
		{
			return false;
		}
		parent.children[i] = describe(0, node);
		parent.children[to] = describe(0, parent.children[to].node);
		return true;
	}

	/** The node may be empty afterwards. */
	template <typename Order>
	bool remove_from(uint32_t level, uint32_t node, const Order &order) noexcept
	{
		if (level == 0)
		{
			Leaf &leaf = leaves_[node];
			const uint32_t found = position(leaf, order);
			if (found == leaf.count || order(leaf.entries[found]) != 0)
			{
				return false;
			}
			drop(leaf.entries, leaf.count, found);
			return true;
		}
		Inner &inner = inners_[node];
		const uint32_t i = child_for(inner, order);
		if (!remove_from(level - 1, inner.children[i].node, order))
		{
			return false;
		}
		if (count_of(level - 1, inner.children[i].node) == 0)
		{
			give_node(level - 1, inner.children[i].node);
			drop(inner.children, inner.count, i);
			return true;
		}
		inner.children[i] = describe(level - 1, inner.children[i].node);
		if (i + 1 < inner.count)
		{
			merge(level, inner, i);
		}
		else if (i > 0)
		{
			merge(level, inner, i - 1);
		}
		return true;
	}

	[[nodiscard]] uint32_t count_of(uint32_t level, uint32_t node) const
	{
		return level == 0 ? leaves_[node].count : inners_[node].count;
	}

	/** Join a child and the next one if both are rather empty. */
	void merge(uint32_t level, Inner &parent, uint32_t i) noexcept
	{
		const uint32_t child = parent.children[i].node;
		const uint32_t next = parent.children[i + 1].node;
		const uint32_t moved = count_of(level - 1, next);
		const uint32_t capacity = level == 1 ? leaf_capacity : inner_capacity;
		if (count_of(level - 1, child) + moved <= capacity * 3 / 4)
		{
			move_range(level - 1, next, 0, moved, child, count_of(level - 1, child));
			parent.children[i] = describe(level - 1, child);
			give_node(level - 1, next);
			drop(parent.children, parent.count, i + 1);
		}
	}

	template <typename Items>
	static void drop(Items &items, uint32_t &count, uint32_t i)
	{
		std::move(items.begin() + i + 1, items.begin() + count, items.begin() + i);
		count--;
	}

	template <typename Order>
	void refresh_below(uint32_t level, uint32_t node, const Order &order) noexcept
	{
		if (level > 0)
		{
			Inner &inner = inners_[node];
			const uint32_t i = child_for(inner, order);
			refresh_below(level - 1, inner.children[i].node, order);
			inner.children[i] = describe(level - 1, inner.children[i].node);
		}
	}

	/** FALSE if the visitor ended it. @param order	NULL for all below the node */
	template <typename Order, typename Visitor>
	bool scan_from(uint32_t level, uint32_t node, const Order *order, Visitor &visitor) const
	{
		if (level == 0)
		{
			const Leaf &leaf = leaves_[node];
			const auto begin = leaf.entries.begin();
			return std::all_of(begin + (order == nullptr ? 0 : position(leaf, *order)), begin + leaf.count,
							   [&](const Entry &entry) { return visitor(entry); });
		}
		const Inner &inner = inners_[node];
		const uint32_t first = order == nullptr ? 0 : child_for(inner, *order);
		for (uint32_t i = first; i < inner.count; i++)
		{
			if (!scan_from(level - 1, inner.children[i].node, i == first ? order : nullptr, visitor))
			{
				return false;
			}
		}
		return true;
	}

	/** FALSE if the visitor ended it. */
	template <typename Enter, typename Visitor>
	bool search_below(uint32_t level, uint32_t node, Enter &enter, Visitor &visitor) const
	{
		if (level == 0)
		{
			const Leaf &leaf = leaves_[node];
			return visitor(std::span<const Entry>(leaf.entries.data(), leaf.count));
		}
		const Inner &inner = inners_[node];
		return std::all_of(inner.children.begin(), inner.children.begin() + inner.count,
						   [&](const Child &child)
						   { return !enter(child.summary) || search_below(level - 1, child.node, enter, visitor); });
	}

	Keeper keeper_;
	Slab<Leaf, &Leaf::count> leaves_;
	Slab<Inner, &Inner::count> inners_;
	uint32_t root_ = 0;
	/** of the root: 0 if it is a leaf; none if there is no root */
	uint32_t height_ = none;
	size_t size_ = 0;
};

} // namespace btns
