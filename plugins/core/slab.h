/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file slab.h
 * Many things of one type that come and go, each with a number instead of a pointer.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace btns
{

/**
 * They stay where they are. Memory is given back when the last one has gone.
 *
 * @tparam link	a member that is not used while an item is free
 */
template <typename Item, uint32_t Item::*link>
class Slab
{
public:
	/** One more, as it was left, or made by its default constructor. Strong exception guarantee. */
	uint32_t take()
	{
		if (free_ == none)
		{
			grow();
		}
		const uint32_t number = free_;
		free_ = (*this)[number].*link;
		used_++;
		return number;
	}

	void give(uint32_t number) noexcept
	{
		(*this)[number].*link = free_;
		free_ = number;
		if (--used_ == 0)
		{
			chunks_.clear();
			free_ = none;
		}
	}

	Item &operator[](uint32_t number) { return chunks_[number / chunk_size][number % chunk_size]; }
	const Item &operator[](uint32_t number) const { return chunks_[number / chunk_size][number % chunk_size]; }

	[[nodiscard]] size_t size() const { return used_; }

private:
	static constexpr uint32_t none = std::numeric_limits<uint32_t>::max();
	/** a power of two, about 4 KiB */
	static constexpr uint32_t chunk_size = []
	{
		uint32_t size = 4;
		while (2 * size * sizeof(Item) <= 4096)
		{
			size *= 2;
		}
		return size;
	}();

	void grow()
	{
		if (chunks_.size() >= none / chunk_size)
		{
			throw std::bad_alloc();
		}
		chunks_.push_back(std::make_unique<Item[]>(chunk_size));
		const auto first = static_cast<uint32_t>(chunks_.size() - 1) * chunk_size;
		for (uint32_t i = chunk_size; i-- > 0;)
		{
			chunks_.back()[i].*link = free_;
			free_ = first + i;
		}
	}

	std::vector<std::unique_ptr<Item[]>> chunks_;
	uint32_t free_ = none;
	size_t used_ = 0;
};

} // namespace btns
