/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* btns_find_version(): first octet, the room for the answer; the rest, the executable. */
#include <cstring>
#include <string_view>
#include <vector>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using btns::fuzz::require;
	btns::fuzz::Input input(data, size);
	// on the heap, so that an octet too many is seen
	std::vector<char> out(input.below(24), 'x');
	const btns::fuzz::Bytes image = input.all();
	const btns_status_t status = btns_find_version(btns::fuzz::view(image), out.data(), out.size());
	if (out.empty())
	{
		require(status == BTNS_STATUS_INVALID, "no room is an error");
		return 0;
	}
	const std::string_view text(reinterpret_cast<const char *>(image.data()), image.size());
	const std::string version(out.data(), strnlen(out.data(), out.size()));
	require(version.size() < out.size(), "the answer ends with NUL");
	require((status == BTNS_STATUS_OK) == !version.empty(), "there is an answer if and only if it is OK");
	if (status == BTNS_STATUS_OK)
	{
		require(version.find_first_not_of("0123456789.drcbeta") == std::string::npos, "a version looks like one");
		require(text.find('\0' + version + '\0') != std::string_view::npos, "it is a string of the executable");
	}
	return 0;
}
