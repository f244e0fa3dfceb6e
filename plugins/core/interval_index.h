/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file interval_index.h
 * A changing collection of ranges that overlap at will, each with an owner: who holds what.
 *
 * A treap ordered by range and owner, in which each node knows the highest address below it. Priorities come from a
 * random seed, so that nobody who chooses the ranges can choose its shape.
 */
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <utility>

#include "address.h"

namespace btns
{

template <typename Owner>
class IntervalIndex
{
public:
	/** Logarithmic. A range counts once per owner; FALSE if it is there already. Strong exception guarantee. */
	bool insert(const Range &range, const Owner &owner)
	{
		const Key key{range, owner};
		if (contains(key))
		{
			return false;
		}
		auto node = std::make_unique<Node>(key, random_());
		auto [before, after] = split(std::move(root_), key);
		root_ = merge(merge(std::move(before), std::move(node)), std::move(after));
		size_++;
		return true;
	}

	/** Logarithmic. FALSE if it is not there. */
	bool remove(const Range &range, const Owner &owner)
	{
		if (!remove_from(root_, Key{range, owner}))
		{
			return false;
		}
		size_--;
		return true;
	}

	/** Does anybody hold an address of the range? Logarithmic. */
	[[nodiscard]] bool overlaps(const Range &range) const
	{
		return !visit(root_.get(), range, [](const Range &, const Owner &) { return false; });
	}

	/** Call visitor(range, owner) for each one that overlaps, until it returns FALSE. */
	template <typename Visitor>
	void for_each_overlap(const Range &range, Visitor &&visitor) const
	{
		visit(root_.get(), range, visitor);
	}

	[[nodiscard]] size_t size() const { return size_; }

private:
	struct Key
	{
		Range range;
		Owner owner;

		bool operator<(const Key &other) const
		{
			return range == other.range ? std::less<Owner>()(owner, other.owner) : range < other.range;
		}
	};

	struct Node;
	using Tree = std::unique_ptr<Node>;

	struct Node
	{
		Node(Key k, uint64_t p) : key(std::move(k)), priority(p), highest(end_of(key)) {}

		Key key;
		uint64_t priority;
		/** highest end of all ranges in this tree */
		Address highest;
		Tree before;
		Tree after;
	};

	static Address end_of(const Key &key) { return {key.range.family, key.range.last}; }

	static void update(Node &node)
	{
		node.highest = end_of(node.key);
		for (const Tree *child : {&node.before, &node.after})
		{
			if (*child && node.highest < (*child)->highest)
			{
				node.highest = (*child)->highest;
			}
		}
	}

	[[nodiscard]] bool contains(const Key &key) const
	{
		const Node *node = root_.get();
		while (node != nullptr && (key < node->key || node->key < key))
		{
			node = key < node->key ? node->before.get() : node->after.get();
		}
		return node != nullptr;
	}

	/** Into what is less than key, and the rest. */
	static std::pair<Tree, Tree> split(Tree tree, const Key &key)
	{
		if (!tree)
		{
			return {};
		}
		if (tree->key < key)
		{
			auto [before, after] = split(std::move(tree->after), key);
			tree->after = std::move(before);
			update(*tree);
			return {std::move(tree), std::move(after)};
		}
		auto [before, after] = split(std::move(tree->before), key);
		tree->before = std::move(after);
		update(*tree);
		return {std::move(before), std::move(tree)};
	}

	/** All of a is less than all of b. */
	static Tree merge(Tree a, Tree b)
	{
		if (!a || !b)
		{
			return a ? std::move(a) : std::move(b);
		}
		if (a->priority > b->priority)
		{
			a->after = merge(std::move(a->after), std::move(b));
			update(*a);
			return a;
		}
		b->before = merge(std::move(a), std::move(b->before));
		update(*b);
		return b;
	}

	static bool remove_from(Tree &tree, const Key &key)
	{
		if (!tree)
		{
			return false;
		}
		bool removed = true;
		if (key < tree->key)
		{
			removed = remove_from(tree->before, key);
		}
		else if (tree->key < key)
		{
			removed = remove_from(tree->after, key);
		}
		else
		{
			Tree before = std::move(tree->before);
			Tree after = std::move(tree->after);
			tree = merge(std::move(before), std::move(after));
		}
		if (tree)
		{
			update(*tree);
		}
		return removed;
	}

	/** FALSE if the visitor ended it. */
	template <typename Visitor>
	static bool visit(const Node *node, const Range &range, Visitor &&visitor)
	{
		if (node == nullptr || node->highest < Address{range.family, range.first})
		{
			return true;
		}
		if (!visit(node->before.get(), range, visitor))
		{
			return false;
		}
		const Range &own = node->key.range;
		if (Address{own.family, own.first} > Address{range.family, range.last})
		{
			return true;
		}
		if (own.overlaps(range) && !visitor(own, node->key.owner))
		{
			return false;
		}
		return visit(node->after.get(), range, visitor);
	}

	Tree root_;
	size_t size_ = 0;
	std::mt19937_64 random_{std::random_device{}()};
};

} // namespace btns
