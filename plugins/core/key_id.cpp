/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "key_id.h"

#include <algorithm>

namespace btns
{

namespace
{

/** Not isspace(): the locale must not decide. */
bool is_blank(uint8_t octet)
{
	return octet == 0 || octet == ' ' || (octet >= '\t' && octet <= '\r');
}

uint8_t to_lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? static_cast<uint8_t>(octet - 'A' + 'a') : octet;
}

} // namespace

void write_key_id(std::span<const uint8_t, BTNS_FINGERPRINT_LEN> fingerprint, std::span<char, BTNS_KEY_ID_LEN> out)
{
	static constexpr std::string_view digits = "0123456789abcdef";
	static_assert(key_id_prefix.size() + 2 * BTNS_FINGERPRINT_LEN + 1 == BTNS_KEY_ID_LEN);
	auto next = std::ranges::copy(key_id_prefix, out.begin()).out;
	for (const uint8_t octet : fingerprint)
	{
		*next++ = digits[octet >> 4];
		*next++ = digits[octet & 0x0f];
	}
	*next = '\0';
}

std::string null_id(uint64_t spi_i, uint64_t spi_r)
{
	std::string text(null_id_prefix);
	for (const uint64_t spi : {spi_i, spi_r})
	{
		text += text.size() > null_id_prefix.size() ? "-" : "";
		for (int shift = 60; shift >= 0; shift -= 4)
		{
			text += "0123456789abcdef"[spi >> shift & 0x0f];
		}
	}
	return text;
}

bool is_reserved_name(Bytes id)
{
	const auto start = std::ranges::find_if_not(id, is_blank);
	const Bytes name(start, id.end());
	return name.size() >= reserved_prefix.size() &&
		   std::ranges::equal(name.first(reserved_prefix.size()), reserved_prefix, {}, to_lower);
}

} // namespace btns
