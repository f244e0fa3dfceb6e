/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file name_index.h
 * The identities of the entries for authenticated peers: which of them might a peer match that claims an identity?
 *
 * The index decides nothing: it yields all entries that could match, few of which do not, and strongSwan's own
 * comparison has the last word. What has to be found is therefore what that comparison finds: text without regard to
 * case, with one * at its head; distinguished names without regard to the order of their parts, their string types and
 * case; addresses in subnets and ranges; and the same octets in any other type.
 */
#pragma once

#include <bitset>
#include <functional>
#include <vector>

#include "cursor.h"

namespace btns
{

/** Entries by the hash of something. */
class HashIndex
{
public:
	void add(uint64_t hash, uint32_t entry) { draft_.push_back({hash, entry}); }
	/** All are added: from here on it takes 12 octets for each and what was added can be found. */
	void seal();

	/** Call visitor(entry) for all with this hash, and seldom one with another, until it returns TRUE. */
	[[nodiscard]] bool find(uint64_t hash, const std::function<bool(uint32_t)> &visitor) const;
	/** Call visitor(entry) for all until it returns TRUE. */
	[[nodiscard]] bool find_all(const std::function<bool(uint32_t)> &visitor) const;

private:
	struct Item
	{
		uint64_t hash;
		uint32_t entry;
	};

	struct Slot
	{
		/** low half of the hash */
		uint32_t tag;
		uint32_t entry;
	};

	[[nodiscard]] size_t bucket_of(uint64_t hash) const;

	std::vector<Item> draft_;
	/** sorted by hash */
	std::vector<Slot> slots_;
	/** where the slots of each bucket begin, by the high bits of the hash, and the end */
	std::vector<uint32_t> buckets_;
	unsigned bucket_bits_ = 0;
};

/** Fixed once sealed. */
class NameIndex
{
public:
	/**
	 * An entry has an identity, which is not %any.
	 *
	 * @param type		ID type (RFC 7296 3.5)
	 */
	void add(uint32_t entry, unsigned type, Bytes identity);
	/** All are added. */
	void seal();

	/**
	 * Call visitor(entry) for the entries that might match a claimed identity, until it returns TRUE. An entry may come
	 * more than once.
	 *
	 * The cost does not grow with the number of identities, but for configured patterns that are more than a * at the
	 * head of a name, which are all yielded to claims of their kind. A claim that is a pattern itself gets all entries.
	 *
	 * @param relaxed	one distinguished name may have parts that the other one lacks: such a claim gets all entries
	 * @return			TRUE if the visitor has returned TRUE
	 */
	[[nodiscard]] bool find(unsigned type, Bytes claim, bool relaxed,
							const std::function<bool(uint32_t)> &visitor) const;

private:
	[[nodiscard]] bool find_text(Bytes claim, const std::function<bool(uint32_t)> &visitor) const;

	/** Longest domain behind a * that is found by its hash. */
	static constexpr size_t suffix_max = 255;

	/** every identity, by its octets; text also in lower case, a distinguished name also by its parts */
	HashIndex names_;
	/** text with a * at its head, by what follows */
	HashIndex suffixes_;
	/** which lengths these have */
	std::bitset<suffix_max + 1> suffix_lengths_;
	/** entries with other patterns */
	std::vector<uint32_t> text_patterns_;
	std::vector<uint32_t> dn_patterns_;
	std::vector<uint32_t> address_patterns_;
};

} // namespace btns
