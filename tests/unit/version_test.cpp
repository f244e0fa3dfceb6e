/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "btns/core.h"

namespace
{

using namespace std::string_view_literals;

/** The version, or "-" if there is none. */
std::string find(std::string_view image)
{
	char out[32] = "unwritten";
	const auto status =
		btns_find_version({reinterpret_cast<const uint8_t *>(image.data()), image.size()}, out, sizeof(out));
	if (status != BTNS_STATUS_OK)
	{
		EXPECT_STREQ(out, "");
		return "-";
	}
	return out;
}

TEST(Version, is_found_among_other_strings)
{
	EXPECT_EQ(find("\x7f"
				   "ELF\0charon\0"
				   "5.9.8\0charon-systemd\0"sv),
			  "5.9.8");
	EXPECT_EQ(find("\0"
				   "6.0.1\0"sv),
			  "6.0.1");
	EXPECT_EQ(find("\0"
				   "6.1.0dr2\0"sv),
			  "6.1.0dr2");
	EXPECT_EQ(find("\0"
				   "6.0.2rc1\0"sv),
			  "6.0.2rc1");
	EXPECT_EQ(find("\0"
				   "6.0.0beta6\0"sv),
			  "6.0.0beta6");
	EXPECT_EQ(find("\0"
				   "5.9.14\0\0"
				   "5.9.14\0"sv),
			  "5.9.14")
		<< "twice the same";
}

TEST(Version, other_strings_are_none)
{
	for (const auto image : {""sv,
							 "\0"sv,
							 "5.9.8"sv,
							 "\0"
							 "5.9.8"sv,
							 "5.9.8\0"sv,
							 "\0"
							 "5.9\0"sv,
							 "\0"
							 "5.9.8.1\0"sv,
							 "\0"
							 "v5.9.8\0"sv,
							 "\0"
							 "5.9.8 \0"sv,
							 "\0"
							 "strongSwan 5.9.8\0"sv,
							 "\0"
							 "GLIBC_2.3.4\0"sv,
							 "\0"
							 "3.0.17\0"sv,
							 "\0"
							 "1.2.3\0"sv,
							 "\0"
							 "10.0.1\0"sv,
							 "\0"
							 "5.09.8\0"sv,
							 "\0"
							 "127.0.0.1\0"sv,
							 "\0"
							 "5.9.8x\0"sv,
							 "\0"
							 "5.9.8dr\0"sv,
							 "\0"
							 "5..8\0"sv,
							 "\0"
							 "5.9.\0"sv,
							 "\0"
							 "5.9.1234\0"sv})
	{
		EXPECT_EQ(find(image), "-") << image;
	}
}

TEST(Version, two_different_ones_are_none)
{
	EXPECT_EQ(find("\0"
				   "5.9.8\0charon\0"
				   "6.0.1\0"sv),
			  "-");
}

TEST(Version, does_not_overrun_the_callers_buffer)
{
	const auto image = "\0"
					   "5.9.8\0"sv;
	const btns_bytes_t bytes{reinterpret_cast<const uint8_t *>(image.data()), image.size()};
	char out[6] = "xxxxx";
	EXPECT_EQ(btns_find_version(bytes, out, 5), BTNS_STATUS_INVALID);
	EXPECT_STREQ(out, "");
	EXPECT_EQ(btns_find_version(bytes, out, 6), BTNS_STATUS_OK);
	EXPECT_STREQ(out, "5.9.8");
	EXPECT_EQ(btns_find_version(bytes, out, 0), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_find_version(bytes, nullptr, 6), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_find_version({nullptr, 6}, out, 6), BTNS_STATUS_INVALID);
}

} // namespace
