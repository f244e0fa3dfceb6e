/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file entry_list.h
 * The PAD entries in order, in few octets each: they are read when somebody looks at them, not in a decision.
 */
#pragma once

#include <iterator>

#include "pad_entry.h"

namespace btns
{

/** A list that only grows. What is asked for is made anew each time. */
class EntryList
{
public:
	void append(const PadEntry &entry);
	/** The list does not grow any more: give back what was kept for that. */
	void seal();

	[[nodiscard]] size_t size() const { return offsets_.size(); }
	[[nodiscard]] bool empty() const { return offsets_.empty(); }
	/** @param i	less than size() */
	[[nodiscard]] PadEntry operator[](size_t i) const;
	/** Valid as long as the list is not changed. @param i	less than size() */
	[[nodiscard]] std::string_view name(size_t i) const;
	/** @param i	less than size() */
	[[nodiscard]] Flag flag(size_t i) const;

	/** For loops over copies of all entries. */
	class Iterator
	{
	public:
		Iterator(const EntryList &list, size_t i) : list_(&list), i_(i) {}
		PadEntry operator*() const { return (*list_)[i_]; }
		Iterator &operator++()
		{
			i_++;
			return *this;
		}
		bool operator==(const Iterator &other) const { return i_ == other.i_; }

	private:
		const EntryList *list_;
		size_t i_;
	};

	[[nodiscard]] Iterator begin() const { return {*this, 0}; }
	[[nodiscard]] Iterator end() const { return {*this, size()}; }

private:
	/** all entries, one after the other */
	std::vector<uint8_t> packed_;
	/** where each one begins */
	std::vector<size_t> offsets_;
};

} // namespace btns
