/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "btns/core.h"

namespace
{

using namespace std::string_view_literals;

bool is_reserved(std::string_view name)
{
	return btns_is_reserved_name({reinterpret_cast<const uint8_t *>(name.data()), name.size()});
}

TEST(Names, the_prefix_is_reserved_in_any_case_and_after_blanks)
{
	for (const auto name : {"btns:"sv, "btns:sha256:00"sv, "BTNS:x"sv, "bTnS:"sv, " btns:"sv, "\t\r\n\v\f btns:"sv,
							"\0btns:"sv, "\0 \0btns:x"sv})
	{
		EXPECT_TRUE(is_reserved(name)) << name;
	}
}

TEST(Names, others_are_not_reserved)
{
	for (const auto name :
		 {""sv, "btns"sv, "btns;"sv, "xbtns:"sv, "bt ns:"sv, "alice@example.org"sv, " "sv, "\0"sv, "b\0tns:"sv,
		  "\xe2\x80\x83"
		  "btns:"sv})
	{
		EXPECT_FALSE(is_reserved(name)) << name;
	}
	EXPECT_FALSE(btns_is_reserved_name({nullptr, 0}));
	EXPECT_TRUE(btns_is_reserved_name({nullptr, 1})) << "fails closed";
}

TEST(Names, a_key_id_is_lower_case_hex_and_reserved)
{
	uint8_t fingerprint[BTNS_FINGERPRINT_LEN];
	for (unsigned i = 0; i < BTNS_FINGERPRINT_LEN; i++)
	{
		fingerprint[i] = static_cast<uint8_t>(0xa0 + i);
	}
	char id[BTNS_KEY_ID_LEN];
	btns_key_id(fingerprint, id);
	EXPECT_STREQ(id, "btns:sha256:a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
	EXPECT_TRUE(is_reserved(id));
}

TEST(Names, types_and_encodings_have_theirs)
{
	EXPECT_STREQ(btns_key_type_name(BTNS_KEY_RSA), "RSA");
	EXPECT_STREQ(btns_key_type_name(BTNS_KEY_ECDSA), "ECDSA");
	EXPECT_STREQ(btns_key_type_name(BTNS_KEY_ED25519), "Ed25519");
	EXPECT_STREQ(btns_key_type_name(BTNS_KEY_ED448), "Ed448");
	EXPECT_STREQ(btns_key_type_name(BTNS_KEY_NONE), "unknown");
	EXPECT_STREQ(btns_key_type_name(static_cast<btns_key_type_t>(7)), "unknown");
	EXPECT_STREQ(btns_encoding_name(4), "x509");
	EXPECT_STREQ(btns_encoding_name(11), "pkcs1");
	EXPECT_STREQ(btns_encoding_name(15), "spki");
	EXPECT_STREQ(btns_encoding_name(12), "unknown");
}

TEST(Names, reasons_have_a_code_of_their_own_and_a_sentence)
{
	std::set<std::string> codes;
	for (int i = 0; i < BTNS_REASON_COUNT; i++)
	{
		const auto reason = static_cast<btns_reason_t>(i);
		EXPECT_TRUE(codes.insert(btns_reason_code(reason)).second) << btns_reason_code(reason);
		EXPECT_STRNE(btns_reason_text(reason), "");
	}
	EXPECT_STREQ(btns_reason_code(BTNS_REASON_NONE), "none");
	EXPECT_STREQ(btns_reason_code(BTNS_REASON_RSA_ROCA), "rsa-roca");
	EXPECT_STREQ(btns_reason_code(BTNS_REASON_COUNT), "internal-error");
}

} // namespace
