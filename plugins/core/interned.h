/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file interned.h
 * Values that many have in common, each kept once, with a number that is as good as the value to compare.
 */
#pragma once

#include "block_tree.h"

namespace btns
{

/** Found by comparing, so nobody who chooses the values can make it slow. @tparam Value	ordered */
template <typename Value>
class Interned
{
public:
	/** No value has it. */
	static constexpr uint32_t none = 0;

	/** The number of a value, as long as somebody has it; none if nobody has. */
	[[nodiscard]] uint32_t find(const Value &value) const
	{
		uint32_t number = none;
		tree_.scan(order(value),
				   [&](uint32_t found)
				   {
					   number = items_[found].value == value ? found + 1 : none;
					   return false;
				   });
		return number;
	}

	/** Have a value. Strong exception guarantee. */
	[[nodiscard]] uint32_t get(const Value &value)
	{
		uint32_t number = find(value);
		if (number == none)
		{
			tree_.make_room(order(value));
			Value copy = value;
			const uint32_t item = items_.take();
			items_[item].value = std::move(copy);
			items_[item].count = 0;
			tree_.put(item, order(value));
			number = item + 1;
		}
		keep(number);
		return number;
	}

	/** One more has it. */
	void keep(uint32_t number) noexcept
	{
		if (number != none)
		{
			items_[number - 1].count++;
		}
	}

	/** One less has it. */
	void drop(uint32_t number) noexcept
	{
		if (number != none && --items_[number - 1].count == 0)
		{
			tree_.remove(order(items_[number - 1].value));
			items_[number - 1].value = Value();
			items_.give(number - 1);
		}
	}

	/** @param number	not none */
	const Value &operator[](uint32_t number) const { return items_[number - 1].value; }

	[[nodiscard]] size_t size() const { return items_.size(); }

private:
	struct Item
	{
		Value value{};
		uint32_t count = 0;
	};

	struct Keeper
	{
		NoSummary operator()(uint32_t /*item*/) const { return {}; }
	};

	[[nodiscard]] auto order(const Value &value) const
	{
		return [this, &value](uint32_t item) { return items_[item].value <=> value; };
	}

	Slab<Item, &Item::count> items_;
	BlockTree<uint32_t, Keeper> tree_;
};

} // namespace btns
