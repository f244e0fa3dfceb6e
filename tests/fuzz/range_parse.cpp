/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* btns_range_parse(): what is accepted begins before it ends, and its text is read as the same range. */
#include <cstring>

#include "address.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using btns::fuzz::require;
	const std::string text = btns::fuzz::Input(data, size).text();
	btns_range_t range;
	if (btns_range_parse(text.c_str(), &range) != BTNS_STATUS_OK)
	{
		require(range.family == 0, "no range is given out for what is none");
		return 0;
	}
	require(range.family == 4 || range.family == 6, "a range has a family");
	require(std::memcmp(range.from, range.to, range.family == 4 ? 4 : 16) <= 0, "a range begins before it ends");
	const auto known = btns::to_range(range);
	require(known && btns::parse_range(btns::to_text(*known)) == known, "the text of a range is the range");
	return 0;
}
