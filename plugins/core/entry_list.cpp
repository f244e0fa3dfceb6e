/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "entry_list.h"

#include <algorithm>
#include <stdexcept>

#include "cursor.h"

namespace btns
{

namespace
{

/** How a range is written: as one address, or with its end. */
enum Form : uint8_t
{
	host4,
	range4,
	host6,
	range6,
};

class Packer
{
public:
	explicit Packer(std::vector<uint8_t> &out) : out_(out) {}

	void octet(unsigned value) { out_.push_back(static_cast<uint8_t>(value)); }

	/** Seven bits in each octet, the lowest ones first; all but the last one have the highest bit. */
	void number(size_t value)
	{
		for (; value > 0x7f; value >>= 7)
		{
			octet(static_cast<unsigned>(value & 0x7f) | 0x80);
		}
		octet(static_cast<unsigned>(value));
	}

	void text(std::string_view text)
	{
		number(text.size());
		out_.insert(out_.end(), text.begin(), text.end());
	}

	void texts(const std::vector<std::string> &list)
	{
		number(list.size());
		for (const std::string &item : list)
		{
			text(item);
		}
	}

	void ranges(const std::vector<Range> &list)
	{
		number(list.size());
		for (const Range &range : list)
		{
			const bool host = range.first == range.last;
			octet((range.family == 4 ? host4 : host6) + (host ? 0U : 1U));
			address(range.family, range.first);
			if (!host)
			{
				address(range.family, range.last);
			}
		}
	}

	void octets(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

private:
	void address(unsigned family, AddressValue value)
	{
		for (unsigned bits = family == 4 ? 32 : 128; bits > 0; bits -= 8)
		{
			octet(static_cast<unsigned>(value >> (bits - 8)) & 0xff);
		}
	}

	std::vector<uint8_t> &out_;
};

/** Reads what a Packer has written. */
class Unpacker
{
public:
	explicit Unpacker(Bytes bytes) : cursor_(bytes) {}

	unsigned octet() { return octets(1)[0]; }

	size_t number()
	{
		size_t value = 0;
		for (unsigned shift = 0;; shift += 7)
		{
			const size_t next = octet();
			value |= (next & 0x7f) << shift;
			if (next <= 0x7f)
			{
				return value;
			}
		}
	}

	std::string_view text()
	{
		const Bytes bytes = octets(number());
		// NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): octets as characters
		return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
	}

	std::vector<std::string> texts()
	{
		std::vector<std::string> list(number());
		std::ranges::generate(list, [this] { return std::string(text()); });
		return list;
	}

	std::vector<Range> ranges()
	{
		std::vector<Range> list(number());
		for (Range &range : list)
		{
			const unsigned form = octet();
			range.family = form == host4 || form == range4 ? 4 : 6;
			range.first = address(range.family);
			range.last = form == host4 || form == host6 ? range.first : address(range.family);
		}
		return list;
	}

	Bytes octets(size_t count)
	{
		const auto taken = cursor_.take(count);
		if (!taken)
		{
			throw std::logic_error("an entry ends too early");
		}
		return *taken;
	}

private:
	AddressValue address(unsigned family)
	{
		AddressValue value = 0;
		for (const uint8_t byte : octets(family == 4 ? 4 : 16))
		{
			value = value << 8 | byte;
		}
		return value;
	}

	Cursor cursor_;
};

Flag unpack_flag(Unpacker &unpacker)
{
	Flag flag{static_cast<btns_flag_t>(unpacker.octet()), {}};
	if (flag.kind == BTNS_FLAG_KEY)
	{
		std::ranges::copy(unpacker.octets(flag.key.size()), flag.key.begin());
	}
	return flag;
}

} // namespace

void EntryList::append(const PadEntry &entry)
{
	const size_t begin = packed_.size();
	try
	{
		Packer packer(packed_);
		packer.text(entry.name);
		packer.octet(entry.flag.kind);
		if (entry.flag.kind == BTNS_FLAG_KEY)
		{
			packer.octets(entry.flag.key);
		}
		packer.number(entry.ike_version);
		packer.octet((entry.mobike ? 1U : 0U) | (entry.any_remote ? 2U : 0U) | (entry.local_null ? 4U : 0U));
		packer.octet(entry.local_auth);
		packer.number(entry.local_rounds);
		packer.number(entry.rounds.size());
		for (const PadEntry::Round &round : entry.rounds)
		{
			packer.octet(round.auth);
			packer.octet((round.any_id ? 1U : 0U) | (round.cacerts ? 2U : 0U) | (round.certs ? 4U : 0U));
			packer.texts(round.groups);
		}
		packer.texts(entry.pools);
		packer.ranges(entry.local_ts);
		packer.ranges(entry.remote_ts);
		packer.ranges(entry.addrs);
		offsets_.push_back(begin);
	}
	catch (...)
	{
		packed_.resize(begin);
		throw;
	}
}

void EntryList::seal()
{
	packed_.shrink_to_fit();
	offsets_.shrink_to_fit();
}

PadEntry EntryList::operator[](size_t i) const
{
	Unpacker unpacker(Bytes(packed_).subspan(offsets_[i]));
	PadEntry entry;
	entry.name = unpacker.text();
	entry.flag = unpack_flag(unpacker);
	entry.ike_version = static_cast<unsigned>(unpacker.number());
	const unsigned bits = unpacker.octet();
	entry.mobike = (bits & 1) != 0;
	entry.any_remote = (bits & 2) != 0;
	entry.local_null = (bits & 4) != 0;
	entry.local_auth = static_cast<btns_class_t>(unpacker.octet());
	entry.local_rounds = unpacker.number();
	entry.rounds.resize(unpacker.number());
	for (PadEntry::Round &round : entry.rounds)
	{
		round.auth = static_cast<btns_class_t>(unpacker.octet());
		const unsigned asks = unpacker.octet();
		round.any_id = (asks & 1) != 0;
		round.cacerts = (asks & 2) != 0;
		round.certs = (asks & 4) != 0;
		round.groups = unpacker.texts();
	}
	entry.pools = unpacker.texts();
	entry.local_ts = unpacker.ranges();
	entry.remote_ts = unpacker.ranges();
	entry.addrs = unpacker.ranges();
	return entry;
}

std::string_view EntryList::name(size_t i) const
{
	return Unpacker(Bytes(packed_).subspan(offsets_[i])).text();
}

Flag EntryList::flag(size_t i) const
{
	Unpacker unpacker(Bytes(packed_).subspan(offsets_[i]));
	unpacker.text();
	return unpack_flag(unpacker);
}

} // namespace btns
