/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file cursor.h
 * The bounds-checked reader that everything hostile goes through.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace btns
{

/** Octets that belong to somebody else. */
using Bytes = std::span<const uint8_t>;

/**
 * Reads octets from front to back and never past the end.
 *
 * A read that does not fit yields nothing and consumes nothing. Views point into the octets given to the constructor.
 * Numbers are big endian, as on the wire.
 */
class Cursor
{
public:
	explicit Cursor(Bytes bytes) : rest_(bytes) {}

	[[nodiscard]] bool at_end() const { return rest_.empty(); }
	/** What was not read yet. */
	[[nodiscard]] Bytes rest() const { return rest_; }

	/** The next octet, which stays unread. */
	[[nodiscard]] std::optional<uint8_t> peek() const
	{
		if (rest_.empty())
		{
			return std::nullopt;
		}
		return rest_.front();
	}

	/** The next count octets. */
	[[nodiscard]] std::optional<Bytes> take(size_t count)
	{
		if (count > rest_.size())
		{
			return std::nullopt;
		}
		const Bytes taken = rest_.first(count);
		rest_ = rest_.subspan(count);
		return taken;
	}

	/** A big endian number of count octets, at most 8. */
	[[nodiscard]] std::optional<uint64_t> number(size_t count)
	{
		if (count > sizeof(uint64_t))
		{
			return std::nullopt;
		}
		const auto octets = take(count);
		if (!octets)
		{
			return std::nullopt;
		}
		uint64_t value = 0;
		for (const uint8_t octet : *octets)
		{
			value = value << 8 | octet;
		}
		return value;
	}

private:
	Bytes rest_;
};

} // namespace btns
