/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file interval_tree.h
 * A B+ tree of intervals that overlap at will: each node knows the highest end below each of its children.
 *
 * Its depth does not depend on the order of what is inserted, so nobody who chooses the intervals can choose its shape.
 */
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "address.h"

namespace btns
{

/** @tparam Value	an end of an interval: small, ordered, copied without exceptions; as Owner */
template <typename Value, typename Owner>
class IntervalTree
{
public:
	/** An inclusive interval. Ordered by its ends, then by its owner. */
	struct Entry
	{
		Value first;
		Value last;
		Owner owner;

		bool operator<(const Entry &other) const
		{
			if (first != other.first)
			{
				return first < other.first;
			}
			return last == other.last ? std::less<Owner>()(owner, other.owner) : last < other.last;
		}
	};

	/** FALSE if it is there already. Strong exception guarantee. */
	bool insert(const Entry &entry)
	{
		if (contains(entry))
		{
			return false;
		}
		// all that can fail, and none of it changes what is in the tree
		make_room(entry);
		put(entry);
		size_++;
		return true;
	}

	/** FALSE if it is not there. */
	bool remove(const Entry &entry)
	{
		if (!root_ || !remove_from(*root_, entry))
		{
			return false;
		}
		size_--;
		while (root_ && !root_->is_leaf() && root_->entries.size() == 1)
		{
			auto only = std::move(root_->children.front());
			root_ = std::move(only);
		}
		if (root_->entries.empty())
		{
			root_.reset();
		}
		return true;
	}

	/** Call visitor(entry) for each one that overlaps, until it returns FALSE. The first one costs one way down. */
	template <typename Visitor>
	void for_each_overlap(const Value &first, const Value &last, Visitor &&visitor) const
	{
		if (root_)
		{
			visit(*root_, first, last, visitor);
		}
	}

	[[nodiscard]] size_t size() const { return size_; }

private:
	static constexpr size_t capacity = 32;

	/** Room for everything is reserved at the beginning: nothing that is put into a node needs memory. */
	struct Node
	{
		explicit Node(bool leaf)
		{
			entries.reserve(capacity);
			if (!leaf)
			{
				highest.reserve(capacity);
				children.reserve(capacity);
			}
		}

		[[nodiscard]] bool is_leaf() const { return children.capacity() == 0; }
		[[nodiscard]] bool is_full() const { return entries.size() == capacity; }

		/** of a leaf what it holds, else the least one below each child */
		std::vector<Entry> entries;
		/** the highest end below each child */
		std::vector<Value> highest;
		std::vector<std::unique_ptr<Node>> children;
	};

	static Value highest_of(const Node &node)
	{
		if (!node.is_leaf())
		{
			return *std::ranges::max_element(node.highest);
		}
		return std::ranges::max_element(node.entries, {}, &Entry::last)->last;
	}

	/** The child that has an entry, or where it belongs. */
	static size_t child_for(const Node &node, const Entry &entry)
	{
		const auto after = std::upper_bound(node.entries.begin(), node.entries.end(), entry);
		return after == node.entries.begin() ? 0 : static_cast<size_t>(after - node.entries.begin()) - 1;
	}

	[[nodiscard]] bool contains(const Entry &entry) const
	{
		const Node *node = root_.get();
		while (node != nullptr && !node->is_leaf())
		{
			node = node->children[child_for(*node, entry)].get();
		}
		return node != nullptr && std::binary_search(node->entries.begin(), node->entries.end(), entry);
	}

	/** On the way to where it belongs, no node is full any more. */
	void make_room(const Entry &entry)
	{
		if (!root_)
		{
			root_ = std::make_unique<Node>(true);
		}
		if (root_->is_full())
		{
			auto top = std::make_unique<Node>(false);
			top->entries.push_back(root_->entries.front());
			top->highest.push_back(highest_of(*root_));
			auto half = std::make_unique<Node>(root_->is_leaf());
			top->children.push_back(std::move(root_));
			root_ = std::move(top);
			split(*root_, 0, std::move(half));
		}
		for (Node *node = root_.get(); !node->is_leaf();)
		{
			size_t i = child_for(*node, entry);
			if (node->children[i]->is_full())
			{
				if (!node->children[i]->is_leaf() || !shift(*node, i))
				{
					split(*node, i, std::make_unique<Node>(node->children[i]->is_leaf()));
				}
				i = child_for(*node, entry);
			}
			node = node->children[i].get();
		}
	}

	/** Move the upper half of a full child to a new one behind it. */
	static void split(Node &parent, size_t i, std::unique_ptr<Node> half)
	{
		Node &child = *parent.children[i];
		move_range(child, capacity / 2, capacity, *half, 0);
		refresh(parent, i);
		const auto at = static_cast<std::ptrdiff_t>(i) + 1;
		parent.entries.insert(parent.entries.begin() + at, half->entries.front());
		parent.highest.insert(parent.highest.begin() + at, highest_of(*half));
		parent.children.insert(parent.children.begin() + at, std::move(half));
	}

	/** A full leaf gives an entry to a neighbour that has room for two: leaves stay fuller than by splitting alone. */
	static bool shift(Node &parent, size_t i)
	{
		const auto has_room = [&](size_t j) { return parent.children[j]->entries.size() + 2 <= capacity; };
		Node &child = *parent.children[i];
		size_t to = i;
		if (i > 0 && has_room(i - 1))
		{
			to = i - 1;
			move_range(child, 0, 1, *parent.children[to], parent.children[to]->entries.size());
		}
		else if (i + 1 < parent.children.size() && has_room(i + 1))
		{
			to = i + 1;
			move_range(child, capacity - 1, capacity, *parent.children[to], 0);
		}
		refresh(parent, i);
		refresh(parent, to);
		return to != i;
	}

	/** Move some of a node's content to another one that has room for it. */
	static void move_range(Node &from, size_t begin, size_t end, Node &to, size_t at)
	{
		const auto move = [&](auto &source, auto &target)
		{
			const auto first = source.begin() + static_cast<std::ptrdiff_t>(begin);
			const auto last = source.begin() + static_cast<std::ptrdiff_t>(end);
			target.insert(target.begin() + static_cast<std::ptrdiff_t>(at), std::make_move_iterator(first),
						  std::make_move_iterator(last));
			source.erase(first, last);
		};
		move(from.entries, to.entries);
		if (!from.is_leaf())
		{
			move(from.highest, to.highest);
			move(from.children, to.children);
		}
	}

	/** What a parent knows of a child. */
	static void refresh(Node &parent, size_t i)
	{
		parent.entries[i] = parent.children[i]->entries.front();
		parent.highest[i] = highest_of(*parent.children[i]);
	}

	void put(const Entry &entry)
	{
		Node *node = root_.get();
		while (!node->is_leaf())
		{
			const size_t i = child_for(*node, entry);
			node->entries[i] = std::min(node->entries[i], entry);
			node->highest[i] = std::max(node->highest[i], entry.last);
			node = node->children[i].get();
		}
		node->entries.insert(std::lower_bound(node->entries.begin(), node->entries.end(), entry), entry);
	}

	/** The node may be empty afterwards. */
	static bool remove_from(Node &node, const Entry &entry)
	{
		if (node.is_leaf())
		{
			const auto found = std::lower_bound(node.entries.begin(), node.entries.end(), entry);
			if (found == node.entries.end() || entry < *found)
			{
				return false;
			}
			node.entries.erase(found);
			return true;
		}
		const size_t i = child_for(node, entry);
		if (!remove_from(*node.children[i], entry))
		{
			return false;
		}
		if (node.children[i]->entries.empty())
		{
			drop_child(node, i);
			return true;
		}
		refresh(node, i);
		if (i + 1 < node.children.size())
		{
			merge(node, i);
		}
		else if (i > 0)
		{
			merge(node, i - 1);
		}
		return true;
	}

	/** Join a child and the next one if both are rather empty. */
	static void merge(Node &parent, size_t i)
	{
		Node &child = *parent.children[i];
		Node &next = *parent.children[i + 1];
		if (child.entries.size() + next.entries.size() <= capacity * 3 / 4)
		{
			move_range(next, 0, next.entries.size(), child, child.entries.size());
			refresh(parent, i);
			drop_child(parent, i + 1);
		}
	}

	static void drop_child(Node &node, size_t i)
	{
		const auto at = static_cast<std::ptrdiff_t>(i);
		node.entries.erase(node.entries.begin() + at);
		node.highest.erase(node.highest.begin() + at);
		node.children.erase(node.children.begin() + at);
	}

	/** FALSE if the visitor ended it. */
	template <typename Visitor>
	static bool visit(const Node &node, const Value &first, const Value &last, Visitor &visitor)
	{
		const auto end = std::ranges::upper_bound(node.entries, last, {}, &Entry::first);
		if (node.is_leaf())
		{
			return std::all_of(node.entries.begin(), end,
							   [&](const Entry &entry) { return entry.last < first || visitor(entry); });
		}
		// nothing below the children before the last one here begins behind the interval: if one of these is entered,
		// something there overlaps
		for (size_t i = 0; i < static_cast<size_t>(end - node.entries.begin()); i++)
		{
			if (!(node.highest[i] < first) && !visit(*node.children[i], first, last, visitor))
			{
				return false;
			}
		}
		return true;
	}

	std::unique_ptr<Node> root_;
	size_t size_ = 0;
};

} // namespace btns
