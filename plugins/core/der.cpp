/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "der.h"

#include <array>

namespace btns::der
{

namespace
{

constexpr uint8_t tag_number_mask = 0x1f;
constexpr uint8_t long_form = 0x80;
constexpr size_t max_length_octets = 3;

/** X.690 8.1.3 and 10.1: definite, shortest form. */
std::optional<size_t> read_length(Cursor &cursor)
{
	const auto first = cursor.number(1);
	if (!first)
	{
		return std::nullopt;
	}
	if (*first < long_form)
	{
		return *first;
	}
	const size_t octets = *first & ~uint64_t{long_form};
	if (octets == 0 || octets > max_length_octets)
	{
		return std::nullopt;
	}
	const auto length = cursor.number(octets);
	if (!length || *length < long_form || *length >> (8 * (octets - 1)) == 0)
	{
		return std::nullopt;
	}
	return *length;
}

void append(std::vector<uint8_t> &out, Bytes bytes)
{
	out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_length(std::vector<uint8_t> &out, size_t length)
{
	if (length < long_form)
	{
		out.push_back(static_cast<uint8_t>(length));
		return;
	}
	size_t octets = 1;
	while (length >> (8 * octets) != 0)
	{
		octets++;
	}
	out.push_back(static_cast<uint8_t>(long_form | octets));
	while (octets-- > 0)
	{
		out.push_back(static_cast<uint8_t>(length >> (8 * octets)));
	}
}

} // namespace

std::optional<Element> read(Cursor &cursor)
{
	Cursor ahead = cursor;
	const auto tag = ahead.number(1);
	if (!tag || (*tag & tag_number_mask) == tag_number_mask)
	{
		return std::nullopt;
	}
	const auto length = read_length(ahead);
	if (!length)
	{
		return std::nullopt;
	}
	const auto content = ahead.take(*length);
	if (!content)
	{
		return std::nullopt;
	}
	const Bytes whole = cursor.rest().first(cursor.rest().size() - ahead.rest().size());
	cursor = ahead;
	return Element{static_cast<uint8_t>(*tag), *content, whole};
}

std::optional<Bytes> read(Cursor &cursor, uint8_t tag)
{
	if (cursor.peek() != tag)
	{
		return std::nullopt;
	}
	const auto element = read(cursor);
	if (!element)
	{
		return std::nullopt;
	}
	return element->content;
}

Result<Bytes> read_outer_sequence(Bytes der, btns_reason_t malformed)
{
	Cursor outside(der);
	const auto sequence = read(outside, tag_sequence);
	if (!sequence)
	{
		return malformed;
	}
	if (!outside.at_end())
	{
		return BTNS_REASON_KEY_TRAILING;
	}
	return *sequence;
}

std::optional<Bytes> read_positive(Cursor &cursor)
{
	const auto content = read(cursor, tag_integer);
	if (!content || content->empty())
	{
		return std::nullopt;
	}
	const auto negative = [](uint8_t octet) { return (octet & 0x80) != 0; };
	const uint8_t first = content->front();
	if (first != 0)
	{
		return negative(first) ? std::nullopt : content;
	}
	if (content->size() < 2 || !negative((*content)[1]))
	{
		return std::nullopt;
	}
	return content->subspan(1);
}

std::optional<Bytes> read_octet_aligned_bits(Cursor &cursor)
{
	const auto content = read(cursor, tag_bit_string);
	if (!content || content->empty() || content->front() != 0)
	{
		return std::nullopt;
	}
	return content->subspan(1);
}

std::vector<uint8_t> write(uint8_t tag, std::initializer_list<Bytes> parts)
{
	size_t length = 0;
	for (const Bytes part : parts)
	{
		length += part.size();
	}
	std::vector<uint8_t> out;
	out.reserve(length + 2 + sizeof(length));
	out.push_back(tag);
	append_length(out, length);
	for (const Bytes part : parts)
	{
		append(out, part);
	}
	return out;
}

std::vector<uint8_t> write_positive(Bytes magnitude)
{
	static constexpr std::array<uint8_t, 1> sign{0};
	const bool needs_sign = !magnitude.empty() && (magnitude.front() & 0x80) != 0;
	return write(tag_integer, {Bytes(sign).first(needs_sign ? 1 : 0), magnitude});
}

std::vector<uint8_t> write_octet_aligned_bits(Bytes octets)
{
	static constexpr std::array<uint8_t, 1> unused_bits{0};
	return write(tag_bit_string, {unused_bits, octets});
}

} // namespace btns::der
