/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core_world.h"

namespace
{

using btns::test::addr;
using btns::test::Connection;
using btns::test::office;
using btns::test::World;
using List = std::vector<unsigned>;

constexpr unsigned spki = BTNS_ENCODING_SPKI;
constexpr unsigned pkcs1 = BTNS_ENCODING_PKCS1;
constexpr unsigned ec = BTNS_ENCODING_OPENIKED_EC;
constexpr unsigned spki_bit = BTNS_ENCODING_BIT_SPKI;
constexpr unsigned pkcs1_bit = BTNS_ENCODING_BIT_PKCS1;
constexpr unsigned ec_bit = BTNS_ENCODING_BIT_OPENIKED_EC;
constexpr unsigned x509_bit = BTNS_ENCODING_BIT_X509;

constexpr const char *here = "198.51.100.7";

void enable(World &world, unsigned encodings)
{
	btns_options_t options;
	btns_options_default(&options);
	options.keys.encodings = encodings;
	ASSERT_EQ(btns_core_configure(world, &options), BTNS_STATUS_OK);
}

List sent(World &world, uint32_t sa = 1)
{
	std::array<unsigned, BTNS_ENCODINGS_MAX> out{};
	const size_t count = btns_sa_encodings_to_send(world, sa, out.data());
	return {out.begin(), out.begin() + static_cast<ptrdiff_t>(count)};
}

List requests(World &world, btns_role_t role)
{
	std::array<unsigned, BTNS_ENCODINGS_MAX> out{};
	const size_t count = btns_encodings_to_request(world, role, out.data());
	return {out.begin(), out.begin() + static_cast<ptrdiff_t>(count)};
}

/** The peer is the responder and asks in IKE_SA_INIT. */
List sent_to_responder(World &world, unsigned requested)
{
	btns_init_t init{};
	init.source = addr(here);
	init.role = BTNS_ROLE_INITIATOR;
	init.requested = requested;
	EXPECT_EQ(btns_sa_init(world, 1, &init), BTNS_STATUS_OK);
	return sent(world);
}

void message(World &world, unsigned requested)
{
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_SIGNATURE;
	message.source = addr(here);
	message.requested = requested;
	EXPECT_EQ(btns_sa_message(world, 1, &message), BTNS_STATUS_OK);
}

/** The peer is the initiator and asks in IKE_AUTH. */
List sent_to_initiator(World &world, unsigned requested)
{
	world.init(1, here);
	message(world, requested);
	return sent(world);
}

TEST(CertEncodings, have_bits)
{
	EXPECT_EQ(btns_encoding_bit(BTNS_ENCODING_X509), x509_bit);
	EXPECT_EQ(btns_encoding_bit(pkcs1), pkcs1_bit);
	EXPECT_EQ(btns_encoding_bit(spki), spki_bit);
	EXPECT_EQ(btns_encoding_bit(ec), ec_bit);
	for (const unsigned other : {0U, 1U, 12U, 16U, 31U, 32U, 200U, 202U, 255U, ~0U})
	{
		EXPECT_EQ(btns_encoding_bit(other), 0U) << other;
	}
	EXPECT_STREQ(btns_encoding_name(ec), "openiked-ec");
}

TEST(CertEncodings, openikeds_is_off_by_default)
{
	btns_options_t options;
	btns_options_default(&options);
	EXPECT_EQ(options.keys.encodings, x509_bit | pkcs1_bit | spki_bit);
}

TEST(CertEncodings, the_older_one_comes_first_for_who_looks_at_the_first_only)
{
	World world;
	EXPECT_EQ(sent_to_responder(world, 0), (List{pkcs1, spki}));
	EXPECT_EQ(sent_to_initiator(world, 0), (List{pkcs1, spki}));
	EXPECT_EQ(sent(world, 7), (List{pkcs1, spki})) << "nothing is known of it";
}

TEST(CertEncodings, who_asks_for_older_ones_only_gets_no_other)
{
	World world;
	for (const unsigned asked : {pkcs1_bit, ec_bit, pkcs1_bit | ec_bit})
	{
		EXPECT_EQ(sent_to_responder(world, asked), List{pkcs1});
		EXPECT_EQ(sent_to_initiator(world, asked), List{pkcs1});
		EXPECT_EQ(sent_to_initiator(world, asked | spki_bit), (List{pkcs1, spki}));
	}
	enable(world, spki_bit);
	EXPECT_EQ(sent_to_responder(world, pkcs1_bit), List{});
	EXPECT_EQ(sent_to_responder(world, spki_bit), List{spki});
}

TEST(CertEncodings, openikeds_is_sent_if_it_is_on_and_asked_for)
{
	World world;
	enable(world, spki_bit | pkcs1_bit | ec_bit);
	EXPECT_EQ(sent_to_responder(world, 0), (List{pkcs1, spki}));
	EXPECT_EQ(sent_to_responder(world, ec_bit), (List{pkcs1, ec}));
	EXPECT_EQ(sent_to_responder(world, pkcs1_bit), (List{pkcs1, ec})) << "it asks for the kind of its own key";
	EXPECT_EQ(sent_to_responder(world, ec_bit | spki_bit), (List{pkcs1, spki}));
}

TEST(CertEncodings, a_certificate_is_no_request_for_a_raw_key)
{
	World world;
	EXPECT_EQ(sent_to_initiator(world, x509_bit), (List{pkcs1, spki}));
}

TEST(CertEncodings, what_a_responder_asks_for_in_ike_auth_changes_nothing)
{
	World world;
	EXPECT_EQ(sent_to_responder(world, pkcs1_bit), List{pkcs1});
	message(world, 0);
	EXPECT_EQ(sent(world), List{pkcs1});
}

TEST(CertEncodings, a_new_ike_sa_with_the_same_number_asks_anew)
{
	World world;
	EXPECT_EQ(sent_to_initiator(world, pkcs1_bit), List{pkcs1});
	EXPECT_EQ(sent_to_initiator(world, 0), (List{pkcs1, spki}));
}

TEST(CertEncodings, an_initiator_asks_for_what_is_accepted)
{
	World world;
	EXPECT_EQ(requests(world, BTNS_ROLE_INITIATOR), (List{spki, pkcs1}));
	enable(world, spki_bit | x509_bit);
	EXPECT_EQ(requests(world, BTNS_ROLE_INITIATOR), List{spki});
	enable(world, pkcs1_bit | ec_bit);
	EXPECT_EQ(requests(world, BTNS_ROLE_INITIATOR), (List{pkcs1, ec}));
	enable(world, x509_bit);
	EXPECT_EQ(requests(world, BTNS_ROLE_INITIATOR), List{});
}

TEST(CertEncodings, a_responder_asks_if_it_admits_strangers)
{
	World world(std::vector<Connection>{});
	EXPECT_EQ(requests(world, BTNS_ROLE_RESPONDER), List{}) << "nothing is configured";
	world.configure({office()});
	EXPECT_EQ(requests(world, BTNS_ROLE_RESPONDER), List{});
	Connection null;
	null.groups = {"btns:null"};
	world.configure({office(), null});
	EXPECT_EQ(requests(world, BTNS_ROLE_RESPONDER), List{}) << "those have no key";
	Connection unusable;
	unusable.rounds = 2;
	world.configure({office(), unusable});
	EXPECT_EQ(requests(world, BTNS_ROLE_RESPONDER), List{}) << "it admits nobody";
	world.configure({office(), Connection()});
	EXPECT_EQ(requests(world, BTNS_ROLE_RESPONDER), (List{spki, pkcs1}));
	Connection pinned;
	pinned.groups = {"btns:sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"};
	world.configure({office(), pinned});
	EXPECT_EQ(requests(world, BTNS_ROLE_RESPONDER), (List{spki, pkcs1}));
}

/** OpenIKED does not go on if the last request is one that it does not know. */
TEST(CertEncodings, a_responder_never_asks_for_the_new_one_last)
{
	World world;
	world.configure({Connection()});
	for (unsigned which = 0; which < 16; which++)
	{
		const unsigned enabled = ((which & 1) != 0 ? spki_bit : 0) | ((which & 2) != 0 ? pkcs1_bit : 0) |
								 ((which & 4) != 0 ? ec_bit : 0) | ((which & 8) != 0 ? x509_bit : 0);
		enable(world, enabled);
		const List list = requests(world, BTNS_ROLE_RESPONDER);
		EXPECT_TRUE(list.empty() || list.back() != spki) << which;
		for (const unsigned encoding : list)
		{
			EXPECT_NE(btns_encoding_bit(encoding) & enabled, 0U) << which;
		}
	}
}

TEST(CertEncodings, invalid_arguments_yield_none)
{
	World world;
	std::array<unsigned, BTNS_ENCODINGS_MAX> out{};
	EXPECT_EQ(btns_sa_encodings_to_send(nullptr, 1, out.data()), 0U);
	EXPECT_EQ(btns_sa_encodings_to_send(world, 1, nullptr), 0U);
	EXPECT_EQ(btns_encodings_to_request(nullptr, BTNS_ROLE_INITIATOR, out.data()), 0U);
	EXPECT_EQ(btns_encodings_to_request(world, BTNS_ROLE_INITIATOR, nullptr), 0U);
}

} // namespace
