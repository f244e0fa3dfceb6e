/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* btns_is_reserved_name(), against a reading of its description that is as plain as can be. */
#include <algorithm>
#include <cctype>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::string text(reinterpret_cast<const char *>(data), size);
	const bool reserved = btns_is_reserved_name({data, size});

	text.erase(0, std::min(text.find_first_not_of(std::string("\0\t\n\v\f\r ", 7)), text.size()));
	text.resize(std::min(text.size(), size_t{5}));
	std::ranges::transform(text, text.begin(), [](unsigned char c) { return c < 0x80 ? std::tolower(c) : c; });
	btns::fuzz::require(reserved == (text == "btns:"), "names that begin with btns: are reserved, others are not");
	return 0;
}
