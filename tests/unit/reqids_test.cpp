/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "btns/core.h"

namespace
{

btns_reqid_holder_t stranger(std::string_view identity)
{
	return {BTNS_HOLDER_STRANGER, {reinterpret_cast<const uint8_t *>(identity.data()), identity.size()}};
}

const btns_reqid_holder_t alice{BTNS_HOLDER_AUTHENTICATED, {}};
const btns_reqid_holder_t trap{BTNS_HOLDER_TRAP, {}};
const btns_reqid_holder_t mallory = stranger("btns:sha256:aa");
const btns_reqid_holder_t trudy = stranger("btns:sha256:bb");

class Reqids : public testing::Test
{
protected:
	struct Destroy
	{
		void operator()(btns_reqids_t *reqids) const { btns_reqids_destroy(reqids); }
	};

	[[nodiscard]] bool may(uint32_t reqid, const btns_reqid_holder_t &holder, bool own_trap = true) const
	{
		return btns_reqids_may_share(reqids.get(), reqid, &holder, own_trap);
	}
	void take(uint32_t reqid, const btns_reqid_holder_t &holder)
	{
		ASSERT_EQ(btns_reqids_take(reqids.get(), reqid, &holder), BTNS_STATUS_OK);
	}
	void release(uint32_t reqid, const btns_reqid_holder_t &holder)
	{
		btns_reqids_release(reqids.get(), reqid, &holder);
	}

	std::unique_ptr<btns_reqids_t, Destroy> reqids{btns_reqids_create()};
};

TEST_F(Reqids, who_asks_first_gets_it)
{
	for (const btns_reqid_holder_t &holder : {alice, trap, mallory})
	{
		EXPECT_TRUE(may(1, holder));
	}
}

TEST_F(Reqids, a_stranger_shares_none_with_anybody_else)
{
	take(1, mallory);
	EXPECT_TRUE(may(1, mallory));
	EXPECT_FALSE(may(1, trudy));
	EXPECT_FALSE(may(1, alice));
	EXPECT_TRUE(may(2, alice));

	take(2, alice);
	EXPECT_TRUE(may(2, alice)) << "charon decides how authenticated peers share";
	EXPECT_FALSE(may(2, mallory));
}

TEST_F(Reqids, one_of_several_holders_is_enough)
{
	take(1, mallory);
	take(1, alice);
	EXPECT_FALSE(may(1, alice));
	EXPECT_FALSE(may(1, mallory));
	release(1, alice);
	EXPECT_TRUE(may(1, mallory));
}

TEST_F(Reqids, a_trap_is_shared_with_its_own_connection)
{
	take(1, trap);
	for (const btns_reqid_holder_t &holder : {alice, mallory})
	{
		EXPECT_TRUE(may(1, holder, true));
		EXPECT_FALSE(may(1, holder, false));
	}
	take(1, mallory);
	EXPECT_FALSE(may(1, trudy, true));
}

TEST_F(Reqids, it_is_free_once_given_back_as_often_as_taken)
{
	take(1, mallory);
	take(1, mallory);
	release(1, mallory);
	EXPECT_FALSE(may(1, alice));
	release(1, mallory);
	EXPECT_TRUE(may(1, alice));
	release(1, mallory);
	EXPECT_TRUE(may(1, alice));
}

TEST_F(Reqids, somebody_else_may_give_it_back)
{
	take(1, mallory);
	release(1, alice);
	EXPECT_TRUE(may(1, alice));
}

TEST_F(Reqids, what_charon_finds_by_selectors_is_not_shared_either)
{
	take(1, alice);
	EXPECT_EQ(btns_reqids_take(reqids.get(), 1, &mallory), BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_reqids_take(reqids.get(), 1, &alice), BTNS_STATUS_OK);
	take(2, trap);
	take(2, mallory);
	EXPECT_EQ(btns_reqids_take(reqids.get(), 2, &trudy), BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_reqids_take(reqids.get(), 2, &alice), BTNS_STATUS_OK) << "strangers at her selectors are evicted";
}

TEST_F(Reqids, when_track_was_lost_strangers_get_none_that_they_ask_for)
{
	take(1, mallory);
	btns_fault("btns_reqids_take", 1);
	EXPECT_EQ(btns_reqids_take(reqids.get(), 2, &alice), BTNS_STATUS_NOMEM);
	btns_fault(nullptr, 0);
	EXPECT_FALSE(may(2, mallory));
	EXPECT_FALSE(may(1, mallory));
	EXPECT_TRUE(may(2, alice));
	take(3, mallory);
}

TEST_F(Reqids, a_stranger_that_is_not_noted_has_to_give_it_back)
{
	btns_fault("btns_reqids_take", 1);
	EXPECT_EQ(btns_reqids_take(reqids.get(), 1, &mallory), BTNS_STATUS_NOMEM);
	btns_fault(nullptr, 0);
	EXPECT_TRUE(may(1, mallory));
	EXPECT_TRUE(may(1, alice));
}

TEST_F(Reqids, a_failure_is_a_no)
{
	btns_fault("btns_reqids_may_share", 1);
	EXPECT_FALSE(may(1, mallory));
	btns_fault(nullptr, 0);
	EXPECT_FALSE(btns_reqids_may_share(nullptr, 1, &mallory, true));
	EXPECT_EQ(btns_reqids_take(nullptr, 1, &mallory), BTNS_STATUS_INVALID);
}

} // namespace
