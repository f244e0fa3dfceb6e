/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_index.h
 * Latches by their flows: which of them does an SA cover and is not congruent to?
 *
 * Each order of the flows' parts is good for some selectors and bad for others, so there are four, and they take turns
 * until one has the answer. What a node of a tree has below it is summed up by what all latches there have in
 * common: a part of it in which all are congruent to the SA is not looked at, however large it is.
 */
#pragma once

#include <limits>

#include "block_tree.h"
#include "latch.h"
#include "packed_address.h"

namespace btns
{

struct LatchOwnerRecord;

/** What an SA has to have in common with a latch, in numbers that were given to the values; 0 for nothing. */
struct LatchHold
{
	/** of several latches: not all the same */
	static constexpr uint32_t several = std::numeric_limits<uint32_t>::max();
	/** of an SA: none that any latch has */
	static constexpr uint32_t foreign = several - 1;

	uint32_t peer = 0;
	/** mode, type of protection and local identity */
	uint32_t kind = 0;
	/** 0 if any will do */
	uint32_t suite = 0;
	/** before there is a peer: the key that it must have */
	uint32_t key = 0;

	/** Make this what several latches are held to. */
	void add(const LatchHold &other);
	/** Does a latch conflict with an SA, or at least one of several? @param sa	what the SA has */
	[[nodiscard]] bool conflicts(const LatchHold &sa) const
	{
		return (peer != 0 && (peer != sa.peer || kind != sa.kind || (suite != 0 && suite != sa.suite))) ||
			   (key != 0 && key != sa.key);
	}
};

/** A latch as it is kept. Small: there may be many. */
struct LatchRecord
{
	[[nodiscard]] LatchHold hold() const;

	/** 0 if not known yet, or any */
	WideAddress local;
	WideAddress remote;
	LatchId id = 0;
	LatchOwnerRecord *owner = nullptr;
	LatchId listener = 0;
	/** 0 if not known yet */
	uint16_t local_port = 0;
	uint16_t remote_port = 0;
	uint8_t protocol = 0;
	uint8_t local_family = 0;
	uint8_t remote_family = 0;
	LatchState state = LatchState::larval;
	LatchReason reason = LatchReason::none;
	LatchAuth auth = LatchAuth::any;
	LatchDisposition disposition = LatchDisposition::reset;
	/** btns_mode_t that was asked for */
	uint8_t mode = 0;
	bool confidentiality = true;
	bool narrow = false;
	/** BROKEN for good */
	bool dead = false;
	/** milliseconds */
	uint32_t timeout = 0;
	/** numbers as in LatchHold; peer is 0 until it was established */
	uint32_t peer = 0;
	uint32_t kind = 0;
	uint32_t suite = 0;
	uint32_t key = 0;
	uint32_t reqid = 0;
	/** number of the latest alert */
	uint32_t alert = 0;
};

using LatchRecords = Slab<LatchRecord, &LatchRecord::alert>;

/** What flows of latches have in common, and what selectors of an SA take: inclusive ranges. Empty at first. */
template <typename Packed>
struct LatchBox
{
	void add(const LatchBox &other);
	[[nodiscard]] bool meets(const LatchBox &other) const
	{
		return remote_first <= other.remote_last && other.remote_first <= remote_last &&
			   local_first <= other.local_last && other.local_first <= local_last &&
			   local_port_first <= other.local_port_last && other.local_port_first <= local_port_last &&
			   remote_port_first <= other.remote_port_last && other.remote_port_first <= remote_port_last &&
			   protocol_first <= other.protocol_last && other.protocol_first <= protocol_last;
	}

	LatchHold hold;
	Packed local_first{~AddressValue{0}};
	Packed local_last;
	Packed remote_first{~AddressValue{0}};
	Packed remote_last;
	uint16_t local_port_first = 0xffff;
	uint16_t local_port_last = 0;
	uint16_t remote_port_first = 0xffff;
	uint16_t remote_port_last = 0;
	uint8_t protocol_first = 0xff;
	uint8_t protocol_last = 0;
};

/** Latches of one family, by the numbers of their records. @tparam Packed	an address of the family */
template <typename Packed>
class LatchIndex
{
public:
	using Box = LatchBox<Packed>;

	explicit LatchIndex(const LatchRecords &records);

	/** The next put() of a record like this needs no memory, if nothing else happens before. Strong exception
	 * guarantee. */
	void make_room(const LatchRecord &record);
	void put(uint32_t number) noexcept;
	void remove(uint32_t number) noexcept;
	/** Have a record in the place of another one that has all the same in it. */
	void replace(uint32_t other, uint32_t number) noexcept;
	/** What it is held to is something else now. */
	void refresh(uint32_t number) noexcept;

	/** The one with the flow of a record; nothing if there is none. */
	[[nodiscard]] std::optional<uint32_t> find(const LatchRecord &record) const;

	/** Append those that conflict with an SA which takes what is in a box; its `hold` is what the SA has. Latches whose
	 * local end is not known yet may have any. Strong exception guarantee. */
	void collect(const Box &sa, std::vector<uint32_t> &found) const;
	/** Is there one? */
	[[nodiscard]] bool any(const Box &sa) const;

private:
	static constexpr size_t order_count = 4;

	/** What tells most records that are not looked for without a look at them: a few bits of each part. */
	struct Entry
	{
		uint32_t number = 0;
		uint16_t remote = 0;
		/** 0 if it is not known yet */
		uint8_t local_port = 0;
		uint8_t remote_port = 0;
	};

	struct Keeper
	{
		Box operator()(const Entry &entry) const;
		const LatchRecords *records;
	};
	using Tree = BlockTree<Entry, Keeper>;

	[[nodiscard]] auto in_order(size_t order, const LatchRecord &record) const;
	[[nodiscard]] Entry entry_of(uint32_t number) const;

	/** Tell all that conflict, in one order. FALSE if that takes more steps than it may. */
	template <typename Hit>
	bool try_order(const Tree &tree, const Box &sa, size_t most, Hit &&hit) const;
	template <typename Begin, typename Hit>
	void take_turns(const Box &sa, Begin &&begin, Hit &&hit) const;

	const LatchRecords &records_;
	std::array<Tree, order_count> trees_;
};

extern template class LatchIndex<ShortAddress>;
extern template class LatchIndex<WideAddress>;

} // namespace btns
