/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_index.h"

#include <bit>

namespace btns
{

namespace
{

/** A part of a flow. */
enum Part
{
	local,
	remote,
	protocol,
	local_port,
	remote_port,
	parts,
};

using Compare = std::strong_ordering (*)(const LatchRecord &, const LatchRecord &);

/** By these parts, the first one first; then by id, since flows whose local end is not known may be the same. */
template <auto... members>
std::strong_ordering compare(const LatchRecord &a, const LatchRecord &b)
{
	std::strong_ordering result = std::strong_ordering::equal;
	static_cast<void>((((result = a.*members <=> b.*members) != 0) || ...));
	return result != 0 ? result : a.id <=> b.id;
}

struct Order
{
	std::array<Part, parts> by;
	Compare compare;
};

using Record = LatchRecord;

constexpr std::array<Order, 4> orders{{
	{{remote, local, protocol, remote_port, local_port},
	 compare<&Record::remote, &Record::local, &Record::protocol, &Record::remote_port, &Record::local_port>},
	{{local, remote, protocol, local_port, remote_port},
	 compare<&Record::local, &Record::remote, &Record::protocol, &Record::local_port, &Record::remote_port>},
	{{protocol, local_port, local, remote, remote_port},
	 compare<&Record::protocol, &Record::local_port, &Record::local, &Record::remote, &Record::remote_port>},
	{{protocol, remote_port, local, remote, local_port},
	 compare<&Record::protocol, &Record::remote_port, &Record::local, &Record::remote, &Record::local_port>},
}};

/** Somebody who makes many addresses have the same makes searches slower, by a look at each. */
uint16_t hash_of(const ShortAddress &address)
{
	return static_cast<uint16_t>((address.bits * 0x9e3779b1U) >> 16);
}

uint16_t hash_of(const WideAddress &address)
{
	return static_cast<uint16_t>(((address.high ^ (address.low * 0x9e3779b97f4a7c15U)) * 0xc2b2ae3d27d4eb4fU) >> 48);
}

/** Never 0. */
uint8_t hash_of(uint16_t port)
{
	return static_cast<uint8_t>(1 + port % 255);
}

/** How many bits two numbers have in common from the left. */
unsigned common_bits(unsigned width, uint64_t a, uint64_t b)
{
	return width - static_cast<unsigned>(std::bit_width(a ^ b));
}

unsigned common_bits(const ShortAddress &a, const ShortAddress &b)
{
	return common_bits(32, a.bits, b.bits);
}

unsigned common_bits(const WideAddress &a, const WideAddress &b)
{
	return a.high != b.high ? common_bits(64, a.high, b.high) : 64 + common_bits(64, a.low, b.low);
}

/** How many bits of the order's keys are given by what an SA takes. A protocol need not be: there are few. */
template <typename Packed>
unsigned given_bits(const Order &order, const LatchBox<Packed> &sa)
{
	unsigned given = 0;
	for (const Part part : order.by)
	{
		unsigned width = 8 * sizeof(Packed);
		unsigned bits = 0;
		switch (part)
		{
		case local:
			bits = common_bits(sa.local_first, sa.local_last);
			break;
		case remote:
			bits = common_bits(sa.remote_first, sa.remote_last);
			break;
		case local_port:
			bits = common_bits(width = 16, sa.local_port_first, sa.local_port_last);
			break;
		case remote_port:
			bits = common_bits(width = 16, sa.remote_port_first, sa.remote_port_last);
			break;
		default:
			bits = common_bits(width = 8, sa.protocol_first, sa.protocol_last);
			break;
		}
		given += bits;
		if (bits < width && part != protocol)
		{
			break;
		}
	}
	return given;
}

template <typename Packed>
LatchBox<Packed> box_of(const LatchRecord &record)
{
	LatchBox<Packed> box;
	box.hold = record.hold();
	if (record.local_family != 0)
	{
		box.local_first = box.local_last = Packed(record.local.value());
	}
	else
	{
		box.local_first = Packed();
		box.local_last = Packed(~AddressValue{0});
	}
	box.remote_first = box.remote_last = Packed(record.remote.value());
	box.local_port_first = record.local_port;
	box.local_port_last = record.local_port != 0 ? record.local_port : 0xffff;
	box.remote_port_first = box.remote_port_last = record.remote_port;
	box.protocol_first = box.protocol_last = record.protocol;
	return box;
}

uint32_t both(uint32_t a, uint32_t b)
{
	if (a == 0 || a == b)
	{
		return b;
	}
	return b == 0 ? a : LatchHold::several;
}

} // namespace

void LatchHold::add(const LatchHold &other)
{
	peer = both(peer, other.peer);
	kind = both(kind, other.kind);
	suite = both(suite, other.suite);
	key = both(key, other.key);
}

LatchHold LatchRecord::hold() const
{
	LatchHold hold;
	if (dead)
	{
		return hold;
	}
	if (peer != 0)
	{
		hold.peer = peer;
		hold.kind = kind;
		hold.suite = suite;
	}
	else
	{
		hold.key = key;
	}
	return hold;
}

template <typename Packed>
void LatchBox<Packed>::add(const LatchBox &other)
{
	hold.add(other.hold);
	local_first = std::min(local_first, other.local_first);
	local_last = std::max(local_last, other.local_last);
	remote_first = std::min(remote_first, other.remote_first);
	remote_last = std::max(remote_last, other.remote_last);
	local_port_first = std::min(local_port_first, other.local_port_first);
	local_port_last = std::max(local_port_last, other.local_port_last);
	remote_port_first = std::min(remote_port_first, other.remote_port_first);
	remote_port_last = std::max(remote_port_last, other.remote_port_last);
	protocol_first = std::min(protocol_first, other.protocol_first);
	protocol_last = std::max(protocol_last, other.protocol_last);
}

template <typename Packed>
LatchBox<Packed> LatchIndex<Packed>::Keeper::operator()(const Entry &entry) const
{
	const LatchRecord &record = (*records)[entry.number];
	const LatchHold hold = record.hold();
	// with what has no conflict with anything a node is not found
	return hold.peer == 0 && hold.key == 0 ? Box() : box_of<Packed>(record);
}

template <typename Packed>
LatchIndex<Packed>::LatchIndex(const LatchRecords &records)
	: records_(records), trees_{Tree({&records}), Tree({&records}), Tree({&records}), Tree({&records})}
{
	static_assert(orders.size() == order_count);
}

template <typename Packed>
auto LatchIndex<Packed>::in_order(size_t order, const LatchRecord &record) const
{
	return [compare = orders[order].compare, &records = records_, &record](const Entry &entry)
	{ return compare(records[entry.number], record); };
}

template <typename Packed>
typename LatchIndex<Packed>::Entry LatchIndex<Packed>::entry_of(uint32_t number) const
{
	const LatchRecord &record = records_[number];
	return {number, hash_of(Packed(record.remote.value())),
			record.local_port != 0 ? hash_of(record.local_port) : uint8_t{0}, hash_of(record.remote_port)};
}

template <typename Packed>
void LatchIndex<Packed>::make_room(const LatchRecord &record)
{
	for (size_t i = 0; i < order_count; i++)
	{
		trees_[i].make_room(in_order(i, record));
	}
}

template <typename Packed>
void LatchIndex<Packed>::put(uint32_t number) noexcept
{
	for (size_t i = 0; i < order_count; i++)
	{
		trees_[i].put(entry_of(number), in_order(i, records_[number]));
	}
}

template <typename Packed>
void LatchIndex<Packed>::remove(uint32_t number) noexcept
{
	for (size_t i = 0; i < order_count; i++)
	{
		trees_[i].remove(in_order(i, records_[number]));
	}
}

template <typename Packed>
void LatchIndex<Packed>::replace(uint32_t other, uint32_t number) noexcept
{
	for (size_t i = 0; i < order_count; i++)
	{
		trees_[i].replace(entry_of(number), in_order(i, records_[other]));
	}
}

template <typename Packed>
void LatchIndex<Packed>::refresh(uint32_t number) noexcept
{
	for (size_t i = 0; i < order_count; i++)
	{
		trees_[i].refresh(in_order(i, records_[number]));
	}
}

template <typename Packed>
std::optional<uint32_t> LatchIndex<Packed>::find(const LatchRecord &record) const
{
	LatchRecord least = record;
	least.id = 0;
	std::optional<uint32_t> found;
	trees_[0].scan(in_order(0, least),
				   [&](const Entry &entry)
				   {
					   LatchRecord other = records_[entry.number];
					   other.id = 0;
					   if (orders[0].compare(other, least) == 0)
					   {
						   found = entry.number;
					   }
					   return false;
				   });
	return found;
}

template <typename Packed>
template <typename Hit>
bool LatchIndex<Packed>::try_order(const Tree &tree, const Box &sa, size_t most, Hit &&hit) const
{
	const bool is_one_remote = sa.remote_first == sa.remote_last;
	const bool is_one_local_port = sa.local_port_first == sa.local_port_last;
	const bool is_one_remote_port = sa.remote_port_first == sa.remote_port_last;
	const uint16_t remote = hash_of(sa.remote_first);
	const uint8_t local_port = hash_of(sa.local_port_first);
	const uint8_t remote_port = hash_of(sa.remote_port_first);
	const auto may_be = [&](const Entry &entry)
	{
		return (!is_one_remote || entry.remote == remote) &&
			   (!is_one_local_port || entry.local_port == local_port || entry.local_port == 0) &&
			   (!is_one_remote_port || entry.remote_port == remote_port);
	};
	size_t steps = 0;
	const auto may_go_on = [&] { return ++steps <= most; };
	const auto look = [&](const Entry &entry)
	{
		const LatchRecord &record = records_[entry.number];
		return !record.hold().conflicts(sa.hold) || !box_of<Packed>(record).meets(sa) || hit(entry.number);
	};
	tree.search([&](const Box &box) { return may_go_on() && box.hold.conflicts(sa.hold) && box.meets(sa); },
				[&](std::span<const Entry> entries)
				{
					for (const Entry &entry : entries)
					{
						if (may_be(entry))
						{
							// they are anywhere in memory: it is better to wait for all at once
							__builtin_prefetch(&records_[entry.number]);
							__builtin_prefetch(&records_[entry.number].key);
						}
					}
					return std::all_of(entries.begin(), entries.end(),
									   [&](const Entry &entry)
									   { return !may_be(entry) || (may_go_on() && look(entry)); });
				});
	return steps <= most;
}

/** The order with the most of its key given goes first; none gets many more steps than the one that has the answer. */
template <typename Packed>
template <typename Begin, typename Hit>
void LatchIndex<Packed>::take_turns(const Box &sa, Begin &&begin, Hit &&hit) const
{
	std::array<size_t, order_count> turn{};
	std::array<unsigned, order_count> given{};
	for (size_t i = 0; i < order_count; i++)
	{
		given[i] = given_bits(orders[i], sa);
		turn[i] = i;
	}
	std::sort(turn.begin(), turn.end(),
			  [&](size_t a, size_t b) { return given[a] != given[b] ? given[a] > given[b] : a < b; });
	for (size_t most = 256;; most *= 4)
	{
		for (const size_t i : turn)
		{
			begin();
			if (try_order(trees_[i], sa, most, hit))
			{
				return;
			}
		}
	}
}

template <typename Packed>
void LatchIndex<Packed>::collect(const Box &sa, std::vector<uint32_t> &found) const
{
	const size_t before = found.size();
	try
	{
		take_turns(
			sa, [&] { found.resize(before); },
			[&](uint32_t number)
			{
				found.push_back(number);
				return true;
			});
	}
	catch (...)
	{
		found.resize(before);
		throw;
	}
}

template <typename Packed>
bool LatchIndex<Packed>::any(const Box &sa) const
{
	bool is_there = false;
	take_turns(
		sa, [] {}, [&](uint32_t /*number*/) { return !(is_there = true); });
	return is_there;
}

template class LatchIndex<ShortAddress>;
template class LatchIndex<WideAddress>;

} // namespace btns
