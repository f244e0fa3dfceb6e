/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_database.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "core_world.h"
#include "failing_new.h"
#include "one_thread.h"
#include "policy.h"

namespace
{

using btns::Address;
using btns::Congruence;
using btns::Fingerprint;
using btns::Flow;
using btns::LatchAlert;
using btns::LatchChange;
using btns::LatchDatabase;
using btns::LatchDisposition;
using btns::LatchError;
using btns::LatchId;
using btns::LatchInfo;
using btns::LatchOwner;
using btns::LatchReason;
using btns::LatchRequest;
using btns::LatchSa;
using btns::LatchState;
using btns::LatchTuple;
using btns::test::addr;
using btns::test::FailingNew;
using btns::test::ts;

constexpr uint8_t tcp = 6;
constexpr uint8_t udp = 17;
constexpr uint8_t icmp = 1;
constexpr LatchOwner owner = 7;
constexpr LatchOwner other_owner = 8;

Fingerprint digest(unsigned number)
{
	Fingerprint value{};
	value[0] = static_cast<uint8_t>(number);
	value[31] = static_cast<uint8_t>(number >> 8);
	return value;
}

/** An SA of peer 1, as our only identity. */
Congruence of_peer(unsigned peer, const std::string &suite = "")
{
	return {digest(peer), digest(100), BTNS_MODE_TRANSPORT, true, true, suite};
}

Address address(const std::string &text)
{
	return text.empty() ? Address{} : *btns::to_address(addr(text));
}

LatchTuple flow(const std::string &local, uint16_t local_port, const std::string &remote, uint16_t remote_port,
				uint8_t protocol = tcp)
{
	return {protocol, address(local), address(remote), local_port, remote_port};
}

LatchTuple listening(const std::string &local, uint16_t port, uint8_t protocol = tcp)
{
	return flow(local, port, "", 0, protocol);
}

bool same(const LatchTuple &a, const LatchTuple &b)
{
	return a.protocol == b.protocol && a.local == b.local && a.remote == b.remote && a.local_port == b.local_port &&
		   a.remote_port == b.remote_port;
}

btns_ts_t of(uint8_t protocol, btns_ts_t selector)
{
	selector.protocol = protocol;
	return selector;
}

/** An SA with what it points to. */
struct Sa
{
	[[nodiscard]] LatchSa view() const { return {child, reqid, local, remote, &congruence, key ? &*key : nullptr}; }
	operator LatchSa() const { return view(); }

	uint32_t child = 1;
	uint32_t reqid = 0;
	std::vector<btns_ts_t> local{ts("192.0.2.1")};
	std::vector<btns_ts_t> remote{ts("192.0.2.2")};
	Congruence congruence = of_peer(2);
	std::optional<Fingerprint> key;
};

Sa sa_of(unsigned peer, uint32_t child = 1)
{
	Sa sa;
	sa.child = child;
	sa.congruence = of_peer(peer);
	return sa;
}

using Ids = std::vector<LatchId>;

const LatchRequest waiting = []
{
	LatchRequest request;
	request.disposition = LatchDisposition::wait;
	return request;
}();

const LatchTuple a_flow = flow("192.0.2.1", 32800, "192.0.2.2", 4000);
const LatchTuple a_listener = listening("192.0.2.1", 32800);

class LatchStates : public testing::Test
{
protected:
	LatchState state(LatchId id)
	{
		const auto info = db.inquire(id);
		return info ? info->state : LatchState::closed;
	}

	LatchReason reason(LatchId id) { return db.inquire(id)->reason; }

	/** The next alert is this one. */
	void expect_alert(LatchId id, LatchState state, LatchReason reason, LatchId born = 0, LatchOwner whose = owner)
	{
		const auto alert = db.take_alert(whose);
		ASSERT_TRUE(alert);
		EXPECT_EQ(alert->owner, whose);
		EXPECT_EQ(alert->latch, id);
		EXPECT_EQ(alert->state, state);
		EXPECT_EQ(alert->reason, reason);
		EXPECT_EQ(alert->born, born);
	}

	void expect_silence()
	{
		EXPECT_FALSE(db.take_alert(owner));
		EXPECT_FALSE(db.take_alert(other_owner));
		EXPECT_EQ(db.next_alerted(), 0U);
	}

	LatchId larval(const LatchRequest &request = {}, const LatchTuple &tuple = a_flow)
	{
		const auto made = db.create(tuple, owner, request);
		EXPECT_EQ(made.error, LatchError::none);
		EXPECT_EQ(state(made.id), LatchState::larval);
		return made.id;
	}

	/** With peer 1 and reqid 5; nothing is left to hear. */
	LatchId established(const LatchRequest &request = {}, const LatchTuple &tuple = a_flow, unsigned peer = 1)
	{
		const LatchId id = larval(request, tuple);
		EXPECT_EQ(db.establish(id, of_peer(peer), 5, true), LatchError::none);
		return id;
	}

	LatchDatabase db;
};

/* every arrow of figure 1, and those of section 2.2 and of LARVAL */

TEST_F(LatchStates, born_in_listener)
{
	const auto made = db.listen(a_listener, owner, {});
	ASSERT_EQ(made.error, LatchError::none);
	EXPECT_EQ(state(made.id), LatchState::listener);
	EXPECT_EQ(db.inquire(made.id)->owner, owner);
	EXPECT_TRUE(same(db.inquire(made.id)->tuple, a_listener));
	expect_silence();
}

TEST_F(LatchStates, from_listener_to_closed_by_release)
{
	const LatchId id = db.listen(a_listener, owner, {}).id;
	EXPECT_EQ(db.close(id, LatchReason::released), LatchError::none);
	EXPECT_EQ(state(id), LatchState::closed);
	expect_silence();
}

TEST_F(LatchStates, from_listener_to_closed_by_the_administrator)
{
	const LatchId id = db.listen(a_listener, owner, {}).id;
	EXPECT_EQ(db.close(id, LatchReason::administrator), LatchError::none);
	expect_alert(id, LatchState::closed, LatchReason::administrator);
	expect_silence();
}

TEST_F(LatchStates, a_listener_goes_nowhere_else)
{
	const LatchId id = db.listen(a_listener, owner, {}).id;
	EXPECT_EQ(db.establish(id, of_peer(1), 5), LatchError::no_such);
	EXPECT_EQ(db.born_broken(id, LatchReason::conflict), LatchError::no_such);
	EXPECT_EQ(db.bound(id, a_flow), LatchError::no_such);
	EXPECT_FALSE(db.has_conflict(sa_of(2)));
	EXPECT_TRUE(db.sa_coming(sa_of(2)).empty());
	EXPECT_TRUE(db.peer_dead(digest(1)).empty());
	EXPECT_EQ(state(id), LatchState::listener);
	expect_silence();
}

TEST_F(LatchStates, from_listener_a_connection_is_born_and_established)
{
	const LatchId listener = db.listen(a_listener, owner, {}).id;
	const LatchId born = db.create(a_flow, other_owner, {}, listener).id;
	expect_alert(listener, LatchState::listener, LatchReason::none, born);
	EXPECT_EQ(state(born), LatchState::larval);
	EXPECT_EQ(db.inquire(born)->listener, listener);
	EXPECT_EQ(db.inquire(born)->owner, other_owner);
	EXPECT_EQ(db.establish(born, of_peer(1), 5), LatchError::none);
	EXPECT_EQ(state(born), LatchState::established);
	EXPECT_EQ(state(listener), LatchState::listener);
	expect_alert(born, LatchState::established, LatchReason::none, 0, other_owner);
	expect_silence();
	EXPECT_EQ(db.close(listener, LatchReason::released), LatchError::none);
	EXPECT_EQ(state(born), LatchState::established) << "it outlives its listener";
}

TEST_F(LatchStates, from_listener_a_connection_is_born_broken)
{
	const LatchId listener = db.listen(a_listener, owner, {}).id;
	const LatchId born = db.create(a_flow, owner, {}, listener).id;
	expect_alert(listener, LatchState::listener, LatchReason::none, born);
	EXPECT_EQ(db.born_broken(born, LatchReason::conflict), LatchError::none);
	EXPECT_EQ(state(born), LatchState::broken);
	expect_alert(born, LatchState::broken, LatchReason::conflict);
	expect_silence();
}

TEST_F(LatchStates, nothing_is_born_of_what_is_no_listener)
{
	const LatchId id = established();
	const LatchTuple tuple = flow("192.0.2.1", 1, "192.0.2.2", 2);
	EXPECT_EQ(db.create(tuple, owner, {}, id).error, LatchError::no_such);
	EXPECT_EQ(db.create(tuple, owner, {}, id + 1).error, LatchError::no_such);
	EXPECT_EQ(db.size(), 1U);
}

TEST_F(LatchStates, from_larval_to_established)
{
	const LatchId id = larval();
	EXPECT_EQ(db.establish(id, of_peer(1, "AES/"), 5), LatchError::none);
	EXPECT_EQ(state(id), LatchState::established);
	const LatchInfo info = *db.inquire(id);
	EXPECT_EQ(info.congruence, of_peer(1, "AES/"));
	EXPECT_EQ(info.reqid, 5U);
	EXPECT_EQ(info.reason, LatchReason::none);
	expect_alert(id, LatchState::established, LatchReason::none);
	expect_silence();
}

TEST_F(LatchStates, from_larval_to_established_and_the_owner_knows)
{
	EXPECT_EQ(db.establish(larval(), of_peer(1), 5, true), LatchError::none);
	expect_silence();
}

TEST_F(LatchStates, from_larval_to_broken)
{
	const LatchId id = larval();
	EXPECT_EQ(db.born_broken(id, LatchReason::not_established), LatchError::none);
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_FALSE(db.inquire(id)->congruence);
	expect_alert(id, LatchState::broken, LatchReason::not_established);
	EXPECT_EQ(db.born_broken(id, LatchReason::conflict), LatchError::no_such);
	EXPECT_EQ(db.establish(id, of_peer(1), 5), LatchError::no_such) << "it does not wait";
	expect_silence();
}

TEST_F(LatchStates, from_larval_to_broken_by_an_sa_of_another_key)
{
	LatchRequest request;
	request.peer_key = digest(11);
	const LatchId id = larval(request);
	Sa sa = sa_of(1);
	sa.key = digest(11);
	EXPECT_FALSE(db.has_conflict(sa));
	sa.key = digest(12);
	EXPECT_TRUE(db.has_conflict(sa));
	sa.key.reset();
	EXPECT_EQ(db.conflicts(sa), Ids{id});
	EXPECT_EQ(db.sa_coming(sa), Ids{id});
	EXPECT_EQ(state(id), LatchState::broken);
	expect_alert(id, LatchState::broken, LatchReason::conflict);
}

TEST_F(LatchStates, larval_conflicts_with_nothing_if_no_key_is_asked_for)
{
	const LatchId id = larval();
	EXPECT_FALSE(db.has_conflict(sa_of(1)));
	EXPECT_TRUE(db.sa_coming(sa_of(2)).empty());
	EXPECT_EQ(state(id), LatchState::larval);
	expect_silence();
}

TEST_F(LatchStates, from_larval_to_closed)
{
	const LatchId id = larval();
	EXPECT_EQ(db.close(id, LatchReason::not_established), LatchError::none);
	EXPECT_EQ(state(id), LatchState::closed);
	expect_alert(id, LatchState::closed, LatchReason::not_established);
	expect_silence();
}

TEST_F(LatchStates, from_established_to_broken_by_a_conflict)
{
	const LatchId id = established();
	EXPECT_EQ(db.conflicts(sa_of(2)), Ids{id});
	EXPECT_EQ(state(id), LatchState::established) << "asking changes nothing";
	EXPECT_EQ(db.sa_coming(sa_of(2)), Ids{id});
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_EQ(reason(id), LatchReason::conflict);
	EXPECT_EQ(db.inquire(id)->congruence, of_peer(1)) << "what was latched stays";
	expect_alert(id, LatchState::broken, LatchReason::conflict);
	EXPECT_TRUE(db.sa_coming(sa_of(3, 2)).empty()) << "it is broken already";
	expect_silence();
}

TEST_F(LatchStates, from_established_to_broken_by_dpd)
{
	const LatchId id = established();
	const LatchId other = established({}, flow("192.0.2.1", 1, "192.0.2.3", 2), 3);
	EXPECT_TRUE(db.peer_dead(digest(2)).empty());
	EXPECT_EQ(db.peer_dead(digest(1)), Ids{id});
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_EQ(reason(id), LatchReason::peer_dead);
	EXPECT_EQ(state(other), LatchState::established);
	expect_alert(id, LatchState::broken, LatchReason::peer_dead);
	EXPECT_TRUE(db.peer_dead(digest(1)).empty());
	expect_silence();
}

TEST_F(LatchStates, from_established_to_closed)
{
	LatchId id = established();
	EXPECT_EQ(db.close(id, LatchReason::released), LatchError::none);
	EXPECT_EQ(state(id), LatchState::closed);
	expect_silence();
	id = established();
	EXPECT_EQ(db.close(id, LatchReason::socket_gone), LatchError::none);
	expect_alert(id, LatchState::closed, LatchReason::socket_gone);
	id = established();
	EXPECT_EQ(db.close(id, LatchReason::administrator), LatchError::none);
	expect_alert(id, LatchState::closed, LatchReason::administrator);
	expect_silence();
}

TEST_F(LatchStates, from_broken_to_established_when_the_conflict_is_cleared)
{
	const LatchId id = established(waiting);
	EXPECT_EQ(db.sa_coming(sa_of(2)), Ids{id});
	expect_alert(id, LatchState::broken, LatchReason::conflict);
	EXPECT_TRUE(db.sa_gone(99).empty());
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_EQ(db.sa_gone(1), Ids{id});
	EXPECT_EQ(state(id), LatchState::established);
	EXPECT_EQ(reason(id), LatchReason::cleared);
	EXPECT_EQ(db.inquire(id)->congruence, of_peer(1));
	expect_alert(id, LatchState::established, LatchReason::cleared);
	EXPECT_TRUE(db.sa_gone(1).empty());
	expect_silence();
}

TEST_F(LatchStates, broken_until_all_conflicting_sas_have_gone)
{
	const LatchId id = established(waiting);
	db.sa_coming(sa_of(2, 1));
	EXPECT_TRUE(db.has_conflict(sa_of(3, 2))) << "a broken one that waits is not to wait longer";
	EXPECT_TRUE(db.sa_coming(sa_of(3, 2)).empty());
	EXPECT_TRUE(db.sa_coming(sa_of(2, 1)).empty()) << "twice is once";
	EXPECT_TRUE(db.sa_gone(1).empty());
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_EQ(db.sa_gone(2), Ids{id});
	EXPECT_EQ(state(id), LatchState::established);
	EXPECT_EQ(db.sa_coming(sa_of(2, 3)), Ids{id}) << "and again";
}

TEST_F(LatchStates, broken_stays_so_if_it_does_not_wait)
{
	const LatchId id = established();
	db.sa_coming(sa_of(2));
	EXPECT_TRUE(db.sa_gone(1).empty());
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_EQ(db.close(id, LatchReason::conflict), LatchError::none);
	expect_alert(id, LatchState::broken, LatchReason::conflict);
	expect_alert(id, LatchState::closed, LatchReason::conflict);
	expect_silence();
}

TEST_F(LatchStates, broken_by_dpd_stays_so_for_good)
{
	const LatchId id = established(waiting);
	db.sa_coming(sa_of(2));
	expect_alert(id, LatchState::broken, LatchReason::conflict);
	EXPECT_TRUE(db.peer_dead(digest(1)).empty()) << "its packets are stopped already";
	expect_alert(id, LatchState::broken, LatchReason::peer_dead);
	EXPECT_TRUE(db.sa_gone(1).empty());
	EXPECT_EQ(state(id), LatchState::broken);
	EXPECT_FALSE(db.has_conflict(sa_of(3, 2))) << "nothing can harm it any more";
	Sa sa = sa_of(3, 2);
	sa.reqid = 5;
	EXPECT_FALSE(db.has_conflict(sa));
	EXPECT_EQ(db.establish(id, of_peer(1), 5), LatchError::no_such);
	expect_silence();
}

TEST_F(LatchStates, born_broken_is_established_when_nothing_is_in_its_way)
{
	LatchRequest request = waiting;
	request.peer_key = digest(11);
	const LatchId id = larval(request);
	Sa sa = sa_of(2);
	sa.key = digest(12);
	EXPECT_EQ(db.sa_coming(sa), Ids{id});
	expect_alert(id, LatchState::broken, LatchReason::conflict);
	EXPECT_EQ(db.establish(id, of_peer(1), 5), LatchError::no_such) << "the SA is still there";
	EXPECT_TRUE(db.sa_gone(1).empty());
	EXPECT_EQ(state(id), LatchState::broken) << "nothing is latched yet";
	EXPECT_EQ(db.establish(id, of_peer(1), 5), LatchError::none);
	EXPECT_EQ(state(id), LatchState::established);
	expect_alert(id, LatchState::established, LatchReason::cleared);
	expect_silence();
}

TEST_F(LatchStates, from_broken_to_closed)
{
	const LatchId id = established(waiting);
	db.sa_coming(sa_of(2));
	EXPECT_EQ(db.close(id, LatchReason::released), LatchError::none);
	EXPECT_EQ(state(id), LatchState::closed);
	EXPECT_TRUE(db.sa_gone(1).empty());
	expect_alert(id, LatchState::broken, LatchReason::conflict);
	expect_silence();
}

TEST_F(LatchStates, closed_is_final_and_its_id_is_not_used_again)
{
	const LatchId id = established();
	db.close(id, LatchReason::released);
	EXPECT_EQ(db.establish(id, of_peer(1), 5), LatchError::no_such);
	EXPECT_EQ(db.born_broken(id, LatchReason::conflict), LatchError::no_such);
	EXPECT_EQ(db.bound(id, a_flow), LatchError::no_such);
	EXPECT_EQ(db.close(id, LatchReason::administrator), LatchError::no_such);
	EXPECT_FALSE(db.inquire(id));
	EXPECT_FALSE(db.has_conflict(sa_of(2)));
	EXPECT_TRUE(db.sa_coming(sa_of(2)).empty());
	EXPECT_TRUE(db.peer_dead(digest(1)).empty());
	EXPECT_EQ(db.find(a_flow), 0U);
	EXPECT_NE(established(), id);
	expect_silence();
}

TEST_F(LatchStates, parameters_are_latched_once)
{
	const LatchId id = established(waiting);
	EXPECT_EQ(db.establish(id, of_peer(2), 6), LatchError::no_such);
	EXPECT_EQ(db.bound(id, a_flow), LatchError::no_such);
	db.sa_coming(sa_of(2));
	EXPECT_EQ(db.establish(id, of_peer(2), 6), LatchError::no_such) << "nor by who has broken it";
	db.sa_gone(1);
	EXPECT_EQ(db.inquire(id)->congruence, of_peer(1));
	EXPECT_EQ(db.inquire(id)->reqid, 5U);
}

/* tuples */

TEST_F(LatchStates, one_latch_for_a_flow)
{
	const LatchId id = larval();
	EXPECT_EQ(db.create(a_flow, other_owner, {}).error, LatchError::exists);
	EXPECT_EQ(db.find(a_flow), id);
	EXPECT_EQ(db.find(flow("192.0.2.1", 32800, "192.0.2.2", 4000, udp)), 0U);
	EXPECT_EQ(db.find(flow("192.0.2.2", 4000, "192.0.2.1", 32800)), 0U);
	db.establish(id, of_peer(1), 5);
	EXPECT_EQ(db.create(a_flow, owner, {}).error, LatchError::exists);
	db.sa_coming(sa_of(2));
	EXPECT_EQ(db.create(a_flow, owner, {}).error, LatchError::exists);
	db.close(id, LatchReason::released);
	EXPECT_EQ(db.create(a_flow, owner, {}).error, LatchError::none);
}

TEST_F(LatchStates, one_listener_for_a_tuple)
{
	const LatchId id = db.listen(listening("192.0.2.1", 80), owner, {}).id;
	EXPECT_EQ(db.listen(listening("192.0.2.1", 80), other_owner, {}).error, LatchError::exists);
	const LatchId any4 = db.listen(listening("0.0.0.0", 80), owner, {}).id;
	const LatchId any = db.listen(listening("", 80), owner, {}).id;
	const LatchId over_udp = db.listen(listening("192.0.2.1", 80, udp), owner, {}).id;
	EXPECT_EQ(std::set<LatchId>({id, any4, any, over_udp}).size(), 4U);
	EXPECT_EQ(db.find_listener(flow("192.0.2.1", 80, "192.0.2.2", 1)), id);
	EXPECT_EQ(db.find_listener(flow("192.0.2.9", 80, "192.0.2.2", 1)), any4);
	EXPECT_EQ(db.find_listener(flow("2001:db8::1", 80, "2001:db8::2", 1)), any);
	EXPECT_EQ(db.find_listener(flow("192.0.2.1", 80, "192.0.2.2", 1, udp)), over_udp);
	EXPECT_EQ(db.find_listener(flow("192.0.2.1", 81, "192.0.2.2", 1)), 0U);
	db.close(id, LatchReason::released);
	EXPECT_EQ(db.find_listener(flow("192.0.2.1", 80, "192.0.2.2", 1)), any4);
}

TEST_F(LatchStates, the_local_end_may_be_known_later)
{
	const LatchId first = larval({}, flow("", 0, "192.0.2.2", 4000));
	const LatchId second = larval({}, flow("", 0, "192.0.2.2", 4000));
	const LatchId third = larval({}, flow("0.0.0.0", 32801, "192.0.2.2", 4000));
	EXPECT_EQ(db.establish(first, of_peer(1), 5), LatchError::no_such) << "of no flow yet";
	EXPECT_EQ(db.bound(first, flow("192.0.2.1", 32800, "192.0.2.3", 4000)), LatchError::invalid) << "another peer";
	EXPECT_EQ(db.bound(first, flow("192.0.2.1", 0, "192.0.2.2", 4000)), LatchError::invalid);
	EXPECT_EQ(db.bound(first, a_flow), LatchError::none);
	EXPECT_EQ(db.bound(first, a_flow), LatchError::none) << "twice is once";
	EXPECT_EQ(db.find(a_flow), first);
	EXPECT_EQ(db.bound(first, flow("192.0.2.1", 1, "192.0.2.2", 4000)), LatchError::invalid) << "it is bound";
	EXPECT_EQ(db.bound(second, a_flow), LatchError::exists);
	EXPECT_EQ(db.bound(third, a_flow), LatchError::invalid) << "of another port";
	EXPECT_EQ(db.bound(third, flow("192.0.2.1", 32801, "192.0.2.2", 4000)), LatchError::none);
	EXPECT_EQ(db.establish(first, of_peer(1), 5), LatchError::none);
	EXPECT_TRUE(db.has_conflict(sa_of(2)));
}

TEST_F(LatchStates, an_sa_may_cover_what_is_not_bound_yet)
{
	LatchRequest request;
	request.peer_key = digest(11);
	const LatchId id = larval(request, flow("", 0, "192.0.2.2", 4000));
	Sa sa;
	sa.local = {ts("192.0.2.77", 22, 22)};
	EXPECT_EQ(db.conflicts(sa), Ids{id});
	db.bound(id, a_flow);
	EXPECT_FALSE(db.has_conflict(sa));
}

TEST_F(LatchStates, what_is_no_tuple_is_refused)
{
	const LatchTuple none;
	EXPECT_EQ(db.create(none, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.listen(none, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create(a_listener, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.listen(a_flow, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create(flow("192.0.2.1", 1, "192.0.2.2", 0), owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create(flow("192.0.2.1", 1, "192.0.2.2", 1, 0), owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create(flow("192.0.2.1", 1, "2001:db8::1", 1), owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create({tcp, {4, 1}, {4, btns::AddressValue{1} << 32}, 1, 1}, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create({tcp, {4, 1}, {5, 1}, 1, 1}, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create({tcp, {0, 1}, {4, 1}, 1, 1}, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.create({tcp, {260, 1}, {260, 1}, 1, 1}, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.listen({tcp, {6, 1}, {0, 1}, 1, 0}, owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.listen(listening("192.0.2.1", 0), owner, {}).error, LatchError::invalid);
	EXPECT_EQ(db.find(none), 0U);
	EXPECT_EQ(db.find_listener(none), 0U);
	EXPECT_EQ(db.find_listener({tcp, {260, 1}, {4, 1}, 1, 1}), 0U);
	EXPECT_EQ(db.size(), 0U);
}

TEST_F(LatchStates, tells_what_was_asked_for)
{
	LatchRequest request;
	request.confidentiality = false;
	request.auth = btns::LatchAuth::authenticated;
	request.disposition = LatchDisposition::wait;
	request.narrow = true;
	request.mode = BTNS_MODE_TUNNEL;
	request.peer_key = digest(11);
	request.timeout = 77;
	const LatchTuple tuple = flow("2001:db8::1", 1, "2001:db8::2", 2, udp);
	const LatchInfo info = *db.inquire(larval(request, tuple));
	EXPECT_TRUE(same(info.tuple, tuple));
	EXPECT_FALSE(info.request.confidentiality);
	EXPECT_EQ(info.request.auth, btns::LatchAuth::authenticated);
	EXPECT_EQ(info.request.disposition, LatchDisposition::wait);
	EXPECT_TRUE(info.request.narrow);
	EXPECT_EQ(info.request.mode, BTNS_MODE_TUNNEL);
	EXPECT_EQ(info.request.peer_key, digest(11));
	EXPECT_EQ(info.request.timeout, 77U);
	EXPECT_FALSE(info.congruence);
}

/* conflicts: RFC 5660 2.3 */

TEST_F(LatchStates, what_is_congruent_does_not_conflict)
{
	const LatchId id = established();
	Sa sa = sa_of(1);
	EXPECT_FALSE(db.has_conflict(sa));
	sa.congruence.suite = "AES/";
	EXPECT_FALSE(db.has_conflict(sa)) << "of any suite";
	sa.reqid = 5;
	EXPECT_FALSE(db.has_conflict(sa));
	EXPECT_TRUE(db.sa_coming(sa).empty());
	EXPECT_TRUE(db.sa_gone(1).empty()) << "rekeyed, expired";
	EXPECT_EQ(state(id), LatchState::established);
}

TEST_F(LatchStates, each_parameter_conflicts)
{
	const LatchId id = established();
	const auto conflicts = [&](void (*change)(Congruence &))
	{
		Sa sa = sa_of(1);
		change(sa.congruence);
		EXPECT_EQ(db.has_conflict(sa), db.conflicts(sa) == Ids{id});
		return db.has_conflict(sa);
	};
	EXPECT_TRUE(conflicts([](Congruence &sa) { sa.peer = digest(2); }));
	EXPECT_TRUE(conflicts([](Congruence &sa) { sa.local = digest(101); }));
	EXPECT_TRUE(conflicts([](Congruence &sa) { sa.mode = BTNS_MODE_TUNNEL; }));
	EXPECT_TRUE(conflicts([](Congruence &sa) { sa.confidentiality = false; }));
	EXPECT_TRUE(conflicts([](Congruence &sa) { sa.integrity = false; }));
	EXPECT_FALSE(conflicts([](Congruence &) {}));
	Sa sa = sa_of(1);
	LatchSa nobody = sa.view();
	nobody.congruence = nullptr;
	EXPECT_TRUE(db.has_conflict(nobody));
}

TEST_F(LatchStates, a_latched_suite_conflicts_with_all_others)
{
	const LatchId id = larval();
	db.establish(id, of_peer(1, "AES/"), 5);
	Sa sa = sa_of(1);
	sa.congruence.suite = "AES/";
	EXPECT_FALSE(db.has_conflict(sa));
	sa.congruence.suite = "CHACHA/";
	EXPECT_TRUE(db.has_conflict(sa));
	sa.congruence.suite = "";
	EXPECT_TRUE(db.has_conflict(sa)) << "who knows which";
}

TEST_F(LatchStates, the_latched_reqid_conflicts_whatever_is_covered)
{
	const LatchId id = established();
	Sa sa = sa_of(2);
	sa.remote = {ts("198.51.100.1")};
	EXPECT_FALSE(db.has_conflict(sa));
	sa.reqid = 5;
	EXPECT_EQ(db.conflicts(sa), Ids{id});
	EXPECT_TRUE(db.has_conflict(sa));
	sa.congruence = of_peer(1);
	EXPECT_FALSE(db.has_conflict(sa));
	sa.congruence = of_peer(2);
	sa.local.clear();
	EXPECT_EQ(db.sa_coming(sa), Ids{id});
}

TEST_F(LatchStates, selectors_cover_what_the_kernels_policy_takes)
{
	established();
	const auto covered = [&](const btns_ts_t &local, const btns_ts_t &remote)
	{
		Sa sa;
		sa.local = {local};
		sa.remote = {remote};
		return db.has_conflict(sa);
	};
	EXPECT_TRUE(covered(ts("0.0.0.0/0"), ts("0.0.0.0/0")));
	EXPECT_TRUE(covered(ts("192.0.2.1"), ts("192.0.2.2")));
	EXPECT_FALSE(covered(ts("192.0.2.2"), ts("192.0.2.1")));
	EXPECT_FALSE(covered(ts("192.0.2.1"), ts("192.0.2.3")));
	EXPECT_FALSE(covered(ts("::/0"), ts("::/0")));
	EXPECT_FALSE(covered(ts("0.0.0.0/0"), ts("::/0")));
	EXPECT_TRUE(covered(ts("192.0.2.1"), ts("192.0.2.3-192.0.2.4"))) << "that is 192.0.2.0/29 to the kernel";
	EXPECT_FALSE(covered(ts("192.0.2.1"), ts("192.0.2.8-192.0.2.9")));
	EXPECT_TRUE(covered(ts("192.0.2.1", 32800, 32800), ts("192.0.2.2", 4000, 4000)));
	EXPECT_FALSE(covered(ts("192.0.2.1", 32801, 32801), ts("192.0.2.2")));
	EXPECT_FALSE(covered(ts("192.0.2.1"), ts("192.0.2.2", 4001, 4001)));
	EXPECT_TRUE(covered(ts("192.0.2.1"), ts("192.0.2.2", 4001, 4064))) << "that is any port to the kernel";
	EXPECT_TRUE(covered(of(tcp, ts("192.0.2.1")), ts("192.0.2.2")));
	EXPECT_FALSE(covered(of(udp, ts("192.0.2.1")), ts("192.0.2.2")));
	EXPECT_FALSE(covered(of(tcp, ts("192.0.2.1")), of(udp, ts("192.0.2.2")))) << "there is no such policy";
	EXPECT_FALSE(covered(btns_ts_t{}, btns_ts_t{}));
}

TEST_F(LatchStates, any_pair_of_selectors_counts)
{
	const LatchId id = established();
	Sa sa;
	sa.local = {ts("198.51.100.1"), ts("192.0.2.1")};
	sa.remote = {ts("192.0.2.0/24"), ts("192.0.2.2"), ts("198.51.100.2")};
	EXPECT_EQ(db.conflicts(sa), Ids{id}) << "once";
	sa.remote = {ts("198.51.100.2")};
	EXPECT_FALSE(db.has_conflict(sa));
	sa.remote.clear();
	EXPECT_FALSE(db.has_conflict(sa));
}

TEST_F(LatchStates, has_conflict_needs_no_memory)
{
	LatchRequest request;
	request.peer_key = digest(11);
	for (uint16_t i = 1; i <= 2000; i++)
	{
		established({}, flow("192.0.2.1", i, "192.0.2.2", 4000), 1 + i % 2);
		larval(request, flow("192.0.2.1", i, "192.0.2.3", 4000));
	}
	Sa sa = sa_of(1);
	sa.local = {ts("0.0.0.0/0"), ts("192.0.2.1", 1999, 1999)};
	const FailingNew no_more(0);
	const bool is_there = db.has_conflict(sa);
	EXPECT_TRUE(is_there);
}

/* owners, alerts, limits */

TEST_F(LatchStates, owners_are_told_in_turn)
{
	const LatchId mine = larval();
	const LatchId yours = db.create(flow("192.0.2.1", 1, "192.0.2.2", 2), other_owner, {}).id;
	db.establish(mine, of_peer(1), 5);
	db.establish(yours, of_peer(1), 5);
	db.sa_coming(sa_of(2));
	const LatchOwner first = db.next_alerted();
	const LatchOwner second = db.next_alerted();
	EXPECT_EQ(std::set<LatchOwner>({first, second}), std::set<LatchOwner>({owner, other_owner}));
	EXPECT_EQ(db.next_alerted(), first);
	db.take_alert(owner);
	db.take_alert(owner);
	EXPECT_EQ(db.next_alerted(), other_owner);
	EXPECT_EQ(db.next_alerted(), other_owner);
	db.take_alert(other_owner);
	db.take_alert(other_owner);
	expect_silence();
}

TEST_F(LatchStates, nobody_is_not_told)
{
	const LatchId id = db.create(a_flow, 0, {}).id;
	db.establish(id, of_peer(1), 5);
	EXPECT_EQ(db.sa_coming(sa_of(2)), Ids{id});
	EXPECT_FALSE(db.take_alert(0));
	db.close(id, LatchReason::administrator);
	expect_silence();
}

TEST_F(LatchStates, nothing_is_left_of_an_owner)
{
	const LatchId listener = db.listen(a_listener, owner, {}).id;
	const LatchId id = established(waiting);
	const LatchId yours = db.create(flow("192.0.2.1", 1, "192.0.2.2", 2), other_owner, {}).id;
	db.sa_coming(sa_of(2));
	const auto closed = db.owner_gone(owner);
	ASSERT_EQ(closed.size(), 2U);
	EXPECT_EQ(closed[0].id, listener);
	EXPECT_EQ(closed[0].state, LatchState::listener) << "as it was";
	EXPECT_EQ(closed[1].id, id);
	EXPECT_EQ(closed[1].state, LatchState::broken);
	EXPECT_EQ(closed[1].congruence, of_peer(1));
	EXPECT_TRUE(same(closed[1].tuple, a_flow));
	EXPECT_EQ(db.size(), 1U);
	EXPECT_EQ(state(yours), LatchState::larval);
	EXPECT_TRUE(db.owner_gone(owner).empty());
	EXPECT_TRUE(db.sa_gone(1).empty());
	expect_silence();
}

TEST_F(LatchStates, all_are_closed_in_the_end)
{
	const LatchId listener = db.listen(a_listener, owner, {}).id;
	const LatchId id = established();
	const auto closed = db.close_all(LatchReason::shutdown);
	ASSERT_EQ(closed.size(), 2U);
	EXPECT_EQ(closed[1].state, LatchState::established) << "as it was";
	EXPECT_EQ(db.size(), 0U);
	expect_alert(listener, LatchState::closed, LatchReason::shutdown);
	expect_alert(id, LatchState::closed, LatchReason::shutdown);
	expect_silence();
	EXPECT_TRUE(db.close_all(LatchReason::shutdown).empty());
}

TEST_F(LatchStates, lists_in_order)
{
	Ids ids;
	for (uint16_t i = 1; i <= 100; i++)
	{
		ids.push_back(larval({}, flow("192.0.2.1", i, "192.0.2.2", 4000)));
	}
	EXPECT_EQ(db.list(0, 1000), ids);
	EXPECT_EQ(db.list(ids[10], 5), Ids(ids.begin() + 10, ids.begin() + 15));
	EXPECT_EQ(db.list(ids.back() + 1, 5), Ids());
	EXPECT_EQ(db.list(0, 0), Ids());
	db.close(ids[0], LatchReason::released);
	EXPECT_EQ(db.list(ids[0], 1), Ids{ids[1]});
}

TEST(LatchLimits, of_the_database_and_of_an_owner)
{
	LatchDatabase db({3, 2, 100});
	EXPECT_EQ(db.listen(listening("192.0.2.1", 1), owner, {}).error, LatchError::none);
	const LatchId id = db.create(flow("192.0.2.1", 1, "192.0.2.2", 1), owner, {}).id;
	EXPECT_EQ(db.create(flow("192.0.2.1", 2, "192.0.2.2", 1), owner, {}).error, LatchError::full);
	EXPECT_EQ(db.create(flow("192.0.2.1", 2, "192.0.2.2", 1), other_owner, {}).error, LatchError::none);
	EXPECT_EQ(db.listen(listening("192.0.2.1", 2), other_owner, {}).error, LatchError::full);
	db.close(id, LatchReason::released);
	EXPECT_EQ(db.create(flow("192.0.2.1", 3, "192.0.2.2", 1), owner, {}).error, LatchError::none);
	LatchDatabase none({1, 0, 100});
	EXPECT_EQ(none.create(a_flow, owner, {}).error, LatchError::full);
}

TEST(LatchLimits, an_owner_that_does_not_listen_hears_the_latest_of_each_latch)
{
	LatchDatabase db({100, 100, 4});
	const LatchId listener = db.listen(a_listener, owner, {}).id;
	std::vector<LatchId> ids;
	for (uint16_t i = 1; i <= 3; i++)
	{
		ids.push_back(db.create(flow("192.0.2.1", i, "192.0.2.2", 4000), owner, waiting, listener).id);
		db.establish(ids.back(), of_peer(1), 5, true);
	}
	for (unsigned i = 0; i < 100; i++)
	{
		EXPECT_EQ(db.sa_coming(sa_of(2)).size(), 3U);
		EXPECT_EQ(db.sa_gone(1).size(), 3U);
	}
	db.create(flow("192.0.2.1", 9, "192.0.2.2", 4000), owner, waiting, listener);
	db.sa_coming(sa_of(2));
	std::vector<LatchAlert> alerts;
	while (const auto alert = db.take_alert(owner))
	{
		alerts.push_back(*alert);
	}
	ASSERT_EQ(alerts.size(), 6U) << "three births, of the fourth one of these has to do, and one for each";
	std::map<LatchId, LatchAlert> last;
	for (const LatchAlert &alert : alerts)
	{
		last[alert.latch] = alert;
	}
	for (const LatchId id : ids)
	{
		EXPECT_EQ(last[id].state, LatchState::broken) << "the latest, and BROKEN is always told";
	}
}

TEST(LatchLimits, an_owner_that_never_listens_gets_no_more)
{
	LatchDatabase db({1000, 5, 10});
	LatchError error = LatchError::none;
	unsigned made = 0;
	for (; error == LatchError::none && made < 1000; made++)
	{
		const auto result = db.create(a_flow, owner, {});
		error = result.error;
		db.close(result.id, LatchReason::not_established);
	}
	EXPECT_EQ(error, LatchError::full);
	EXPECT_EQ(made, 16U);
	EXPECT_EQ(db.create(a_flow, other_owner, {}).error, LatchError::none) << "others do";
	unsigned alerts = 0;
	for (; db.take_alert(owner); alerts++)
	{}
	EXPECT_EQ(alerts, 15U);
	EXPECT_EQ(db.listen(a_listener, owner, {}).error, LatchError::none);
}

/* long sequences of events, against a model that is nothing but lists */

struct ModelLatch
{
	LatchInfo info;
	bool is_dead = false;
	std::set<uint32_t> breaks;
};

struct Model
{
	using Latches = std::vector<ModelLatch>;

	static bool is_whole(const LatchTuple &tuple) { return tuple.local.family != 0 && tuple.local_port != 0; }

	/** What is not known yet may be covered by anything. */
	static bool covers(const Sa &sa, const LatchTuple &tuple)
	{
		for (const btns_ts_t &local : sa.local)
		{
			for (const btns_ts_t &remote : sa.remote)
			{
				Flow flow = tuple;
				flow.local_port = tuple.local_port != 0 ? tuple.local_port : local.from_port;
				if (tuple.local.family == 0)
				{
					const auto range = btns::to_range(local);
					flow.local = {range->family, range->first};
				}
				if (flow.local.family == flow.remote.family &&
					btns::fit_policy(local, remote, flow, btns::PolicyKind::protect, 0))
				{
					return true;
				}
			}
		}
		return false;
	}

	static bool conflict(const ModelLatch &latch, const Sa &sa)
	{
		const LatchInfo &info = latch.info;
		if (info.state == LatchState::listener || latch.is_dead)
		{
			return false;
		}
		if (!info.congruence)
		{
			return covers(sa, info.tuple) && info.request.peer_key && info.request.peer_key != sa.key;
		}
		Congruence other = sa.congruence;
		if (info.congruence->suite.empty())
		{
			other.suite.clear();
		}
		return info.congruence != other && (covers(sa, info.tuple) || (sa.reqid != 0 && sa.reqid == info.reqid));
	}

	static bool waits(const ModelLatch &latch)
	{
		return latch.info.request.disposition == LatchDisposition::wait && !latch.is_dead;
	}

	ModelLatch *find(LatchId id)
	{
		const auto found =
			std::find_if(latches.begin(), latches.end(), [&](const ModelLatch &latch) { return latch.info.id == id; });
		return found == latches.end() ? nullptr : &*found;
	}

	LatchId find(const LatchTuple &tuple) const
	{
		for (const ModelLatch &latch : latches)
		{
			if (latch.info.state != LatchState::listener && is_whole(tuple) && same(latch.info.tuple, tuple))
			{
				return latch.info.id;
			}
		}
		return 0;
	}

	LatchId find_listener(LatchTuple tuple) const
	{
		tuple.remote = {};
		tuple.remote_port = 0;
		for (const Address &local : {tuple.local, Address{tuple.local.family, 0}, Address{}})
		{
			tuple.local = local;
			for (const ModelLatch &latch : latches)
			{
				if (latch.info.state == LatchState::listener && same(latch.info.tuple, tuple))
				{
					return latch.info.id;
				}
			}
		}
		return 0;
	}

	void tell(const ModelLatch &latch, LatchId born = 0)
	{
		tell(latch.info.owner, {latch.info.owner, latch.info.id, latch.info.state, latch.info.reason, born});
	}

	void tell(LatchOwner whose, const LatchAlert &alert)
	{
		if (whose == 0)
		{
			return;
		}
		auto &queue = alerts[whose];
		const auto waiting = std::find_if(queue.rbegin(), queue.rend(),
										  [&](const LatchAlert &other) { return other.latch == alert.latch; });
		if (queue.size() < limits.alerts_per_owner || waiting == queue.rend())
		{
			queue.push_back(alert);
		}
		else if (alert.born == 0)
		{
			*waiting = alert;
		}
	}

	LatchError room(LatchOwner whose)
	{
		const auto own = std::count_if(latches.begin(), latches.end(),
									   [&](const ModelLatch &latch) { return latch.info.owner == whose; });
		return latches.size() >= limits.latches || static_cast<size_t>(own) >= limits.per_owner ||
					   alerts[whose].size() >= limits.alerts_per_owner + limits.per_owner
				   ? LatchError::full
				   : LatchError::none;
	}

	LatchError add(const LatchTuple &tuple, LatchOwner whose, const LatchRequest &request, LatchState state,
				   LatchId listener)
	{
		ModelLatch *parent = listener != 0 ? find(listener) : nullptr;
		if (listener != 0 && (parent == nullptr || parent->info.state != LatchState::listener))
		{
			return LatchError::no_such;
		}
		for (const ModelLatch &other : latches)
		{
			if (same(other.info.tuple, tuple) && (state == LatchState::listener || is_whole(tuple)))
			{
				return LatchError::exists;
			}
		}
		if (const LatchError error = room(whose); error != LatchError::none)
		{
			return error;
		}
		ModelLatch latch;
		latch.info.id = next++;
		latch.info.owner = whose;
		latch.info.listener = listener;
		latch.info.tuple = tuple;
		latch.info.state = state;
		latch.info.request = request;
		if (parent != nullptr)
		{
			tell(*parent, latch.info.id);
		}
		latches.push_back(latch);
		return LatchError::none;
	}

	LatchError bound(LatchId id, const LatchTuple &tuple)
	{
		ModelLatch *latch = find(id);
		if (latch == nullptr || latch->info.state != LatchState::larval)
		{
			return LatchError::no_such;
		}
		const LatchTuple &known = latch->info.tuple;
		LatchTuple expected = known;
		expected.local = known.local.family != 0 ? known.local : tuple.local;
		expected.local_port = known.local_port != 0 ? known.local_port : tuple.local_port;
		if (!is_whole(tuple) || !same(expected, tuple) || tuple.local.family != tuple.remote.family)
		{
			return LatchError::invalid;
		}
		if (const LatchId other = find(tuple); other != 0 && other != id)
		{
			return LatchError::exists;
		}
		latch->info.tuple = tuple;
		return LatchError::none;
	}

	LatchError establish(LatchId id, const Congruence &congruence, uint32_t reqid, bool heard)
	{
		ModelLatch *latch = find(id);
		if (latch == nullptr || !is_whole(latch->info.tuple))
		{
			return LatchError::no_such;
		}
		const bool is_free = latch->info.state == LatchState::broken && !latch->info.congruence && waits(*latch) &&
							 latch->breaks.empty();
		if (latch->info.state != LatchState::larval && !is_free)
		{
			return LatchError::no_such;
		}
		latch->info.state = LatchState::established;
		latch->info.reason = is_free ? LatchReason::cleared : LatchReason::none;
		latch->info.congruence = congruence;
		latch->info.reqid = reqid;
		if (!heard)
		{
			tell(*latch);
		}
		return LatchError::none;
	}

	LatchError born_broken(LatchId id, LatchReason reason)
	{
		ModelLatch *latch = find(id);
		if (latch == nullptr || latch->info.state != LatchState::larval)
		{
			return LatchError::no_such;
		}
		latch->info.state = LatchState::broken;
		latch->info.reason = reason;
		tell(*latch);
		return LatchError::none;
	}

	Ids conflicts(const Sa &sa) const
	{
		Ids ids;
		for (const ModelLatch &latch : latches)
		{
			if (conflict(latch, sa))
			{
				ids.push_back(latch.info.id);
			}
		}
		return ids;
	}

	Ids sa_coming(const Sa &sa)
	{
		Ids ids;
		for (ModelLatch &latch : latches)
		{
			if (!conflict(latch, sa))
			{
				continue;
			}
			if (waits(latch))
			{
				latch.breaks.insert(sa.child);
			}
			if (latch.info.state != LatchState::broken)
			{
				latch.info.state = LatchState::broken;
				latch.info.reason = LatchReason::conflict;
				tell(latch);
				ids.push_back(latch.info.id);
			}
		}
		return ids;
	}

	Ids sa_gone(uint32_t child)
	{
		Ids ids;
		for (ModelLatch &latch : latches)
		{
			if (latch.breaks.erase(child) == 1 && latch.breaks.empty() && latch.info.congruence)
			{
				latch.info.state = LatchState::established;
				latch.info.reason = LatchReason::cleared;
				tell(latch);
				ids.push_back(latch.info.id);
			}
		}
		return ids;
	}

	Ids peer_dead(const Fingerprint &peer)
	{
		Ids ids;
		for (ModelLatch &latch : latches)
		{
			if (!latch.info.congruence || latch.info.congruence->peer != peer || latch.is_dead)
			{
				continue;
			}
			if (latch.info.state == LatchState::established)
			{
				ids.push_back(latch.info.id);
			}
			latch.info.state = LatchState::broken;
			latch.info.reason = LatchReason::peer_dead;
			latch.is_dead = true;
			latch.breaks.clear();
			tell(latch);
		}
		return ids;
	}

	LatchError close(LatchId id, LatchReason reason)
	{
		ModelLatch *latch = find(id);
		if (latch == nullptr)
		{
			return LatchError::no_such;
		}
		latch->info.state = LatchState::closed;
		latch->info.reason = reason;
		if (reason != LatchReason::released)
		{
			tell(*latch);
		}
		std::erase_if(latches, [&](const ModelLatch &other) { return other.info.id == id; });
		return LatchError::none;
	}

	Ids owner_gone(LatchOwner whose)
	{
		Ids ids;
		std::erase_if(latches,
					  [&](const ModelLatch &latch)
					  {
						  if (latch.info.owner == whose)
						  {
							  ids.push_back(latch.info.id);
						  }
						  return latch.info.owner == whose;
					  });
		alerts[whose].clear();
		return ids;
	}

	LatchDatabase::Limits limits;
	LatchId next = 1;
	Latches latches;
	std::map<LatchOwner, std::deque<LatchAlert>> alerts;
};

bool same(const LatchInfo &a, const LatchInfo &b)
{
	return a.id == b.id && a.owner == b.owner && a.listener == b.listener && same(a.tuple, b.tuple) &&
		   a.state == b.state && a.reason == b.reason && a.congruence == b.congruence && a.reqid == b.reqid &&
		   a.request.disposition == b.request.disposition && a.request.peer_key == b.request.peer_key;
}

bool same(const std::optional<LatchAlert> &a, const LatchAlert &b)
{
	return a && a->owner == b.owner && a->latch == b.latch && a->state == b.state && a->reason == b.reason &&
		   a->born == b.born;
}

Ids ids_of(const std::vector<LatchInfo> &infos)
{
	Ids ids;
	for (const LatchInfo &info : infos)
	{
		ids.push_back(info.id);
	}
	return ids;
}

/** Random events, which memory that runs out now and then may not disturb. */
class Events
{
public:
	Events(unsigned seed, const LatchDatabase::Limits &limits, unsigned spread)
		: random_(seed), spread_(spread), db_(limits)
	{
		model_.limits = limits;
		// it is called when there may be no memory
		changes_.reserve(100000);
		db_.observe(
			[this](const LatchChange &change)
			{
				ASSERT_LT(changes_.size(), changes_.capacity());
				changes_.push_back(change);
			});
	}

	void step()
	{
		switch (pick(30))
		{
		case 0:
			close();
			break;
		case 1:
		case 2:
			listen();
			break;
		case 3:
		case 4:
			born_broken();
			break;
		case 5:
		case 6:
		case 7:
			sa_coming();
			break;
		case 8:
		case 9:
		case 10:
			sa_gone();
			break;
		case 11:
			peer_dead();
			break;
		case 12:
		case 13:
		case 14:
			take_alerts();
			break;
		case 15:
		case 16:
		case 17:
			bound();
			break;
		case 18:
		case 19:
		case 20:
		case 21:
			establish();
			break;
		case 22:
			if (pick(50) == 0)
			{
				owner_gone();
			}
			break;
		case 23:
			if (pick(500) == 0)
			{
				close_all();
			}
			break;
		default:
			create();
			break;
		}
	}

	/** What can be asked at any time. */
	void look()
	{
		const Sa sa = any_sa();
		const Ids expected = model_.conflicts(sa);
		ASSERT_EQ(db_.conflicts(sa), expected);
		ASSERT_EQ(db_.has_conflict(sa), !expected.empty());
		const LatchTuple tuple = any_tuple();
		ASSERT_EQ(db_.find(tuple), model_.find(tuple));
		ASSERT_EQ(db_.find_listener(tuple), model_.find_listener(tuple));
		ASSERT_EQ(db_.size(), model_.latches.size());
	}

	/** All that there is. */
	void compare()
	{
		for (const LatchChange &change : changes_)
		{
			seen_[change.id] = change.state;
			if (change.state == LatchState::closed)
			{
				seen_.erase(change.id);
			}
		}
		changes_.clear();
		Ids all;
		for (const ModelLatch &latch : model_.latches)
		{
			all.push_back(latch.info.id);
			const auto info = db_.inquire(latch.info.id);
			ASSERT_TRUE(info && same(*info, latch.info)) << latch.info.id;
			const auto seen = seen_.find(latch.info.id);
			ASSERT_TRUE(seen != seen_.end() && seen->second == info->state) << "who watches sees another state";
		}
		ASSERT_EQ(seen_.size(), all.size());
		ASSERT_EQ(db_.list(0, all.size() + 1), all);
	}

	void finish()
	{
		close_all();
		take_alerts();
		for (const LatchOwner whose : {1U, 2U, 3U, 4U})
		{
			ASSERT_FALSE(db_.take_alert(whose));
		}
		ASSERT_EQ(db_.next_alerted(), 0U);
		ASSERT_EQ(db_.size(), 0U);
	}

	[[nodiscard]] size_t size() const { return db_.size(); }
	[[nodiscard]] size_t failures() const { return failures_; }

	unsigned pick(unsigned count) { return std::uniform_int_distribution<unsigned>(0, count - 1)(random_); }

private:
	/** Do something, perhaps with too little memory first: then nothing has happened. */
	template <typename Action>
	auto may_fail(Action &&action)
	{
		if (pick(3) == 0)
		{
			const size_t working = pick(12);
			bool failed = false;
			try
			{
				const FailingNew failing(working);
				return action();
			}
			catch (const std::bad_alloc &)
			{
				failed = true;
			}
			failures_ += failed ? 1 : 0;
			look();
			compare();
		}
		return action();
	}

	Address any_address(unsigned family)
	{
		return family == 4 ? Address{4, 0xc0000200 + 1 + pick(spread_)}
						   : Address{6, (btns::AddressValue{0x20010db8} << 96) + 1 + pick(spread_)};
	}

	uint16_t any_port() { return static_cast<uint16_t>(1 + pick(spread_)); }
	uint8_t any_protocol() { return pick(2) == 0 ? tcp : udp; }
	LatchOwner any_owner() { return pick(5); }
	unsigned any_family() { return pick(2) == 0 ? 4 : 6; }

	LatchTuple any_tuple()
	{
		const unsigned family = any_family();
		LatchTuple tuple{any_protocol(), any_address(family), any_address(family), any_port(), any_port()};
		if (pick(4) == 0)
		{
			tuple.local_port = 0;
		}
		if (pick(6) == 0)
		{
			tuple.local = {};
		}
		return tuple;
	}

	LatchTuple any_listener()
	{
		LatchTuple tuple = any_tuple();
		tuple.remote = {};
		tuple.remote_port = 0;
		tuple.local_port = any_port();
		if (pick(3) == 0)
		{
			tuple.local.value = 0;
		}
		return tuple;
	}

	LatchId any_latch()
	{
		const auto &latches = model_.latches;
		return latches.empty() || pick(20) == 0 ? pick(static_cast<unsigned>(model_.next + 1))
												: latches[pick(static_cast<unsigned>(latches.size()))].info.id;
	}

	Congruence any_congruence()
	{
		Congruence congruence = of_peer(1 + pick(4));
		congruence.local = digest(100 + (pick(5) == 0 ? 1 : 0));
		congruence.mode = pick(5) == 0 ? BTNS_MODE_TUNNEL : BTNS_MODE_TRANSPORT;
		congruence.confidentiality = pick(8) != 0;
		congruence.suite = pick(3) == 0 ? "" : "suite" + std::to_string(pick(2)) + " which is a long name";
		return congruence;
	}

	LatchRequest any_request()
	{
		LatchRequest request;
		request.disposition = pick(2) == 0 ? LatchDisposition::reset : LatchDisposition::wait;
		if (pick(2) == 0)
		{
			request.peer_key = digest(200 + pick(3));
		}
		return request;
	}

	btns_ts_t any_selector(unsigned family)
	{
		btns::Range range;
		const Address address = any_address(family);
		switch (pick(4))
		{
		case 0:
			range = btns::prefix_of(address, pick(family == 4 ? 33 : 129));
			break;
		case 1:
			range = {family, address.value, address.value + pick(spread_)};
			break;
		default:
			range = btns::host_range(address);
			break;
		}
		btns_ts_t selector = btns::to_selector(range);
		if (pick(3) == 0)
		{
			selector.from_port = any_port();
			selector.to_port = static_cast<uint16_t>(selector.from_port + (pick(2) == 0 ? 0 : pick(spread_)));
		}
		selector.protocol = pick(3) == 0 ? any_protocol() : uint8_t{0};
		return selector;
	}

	Sa any_sa()
	{
		Sa sa;
		sa.child = pick(8);
		sa.reqid = pick(4);
		sa.congruence = any_congruence();
		if (pick(2) == 0)
		{
			sa.key = digest(200 + pick(4));
		}
		sa.local.clear();
		sa.remote.clear();
		const unsigned family = any_family();
		for (unsigned i = pick(3); i < 3; i++)
		{
			sa.local.push_back(any_selector(pick(8) == 0 ? 10 - family : family));
		}
		for (unsigned i = pick(3); i < 3; i++)
		{
			sa.remote.push_back(any_selector(family));
		}
		return sa;
	}

	void listen()
	{
		const LatchTuple tuple = any_listener();
		const LatchOwner whose = any_owner();
		const LatchRequest request = any_request();
		const auto made = may_fail([&] { return db_.listen(tuple, whose, request); });
		expect_made(made, model_.add(tuple, whose, request, LatchState::listener, 0));
	}

	void create()
	{
		const LatchTuple tuple = any_tuple();
		const LatchOwner whose = any_owner();
		const LatchRequest request = any_request();
		const LatchId listener = pick(2) == 0 ? 0 : pick(3) == 0 ? any_latch() : model_.find_listener(tuple);
		const auto made = may_fail([&] { return db_.create(tuple, whose, request, listener); });
		expect_made(made, model_.add(tuple, whose, request, LatchState::larval, listener));
	}

	void expect_made(const LatchDatabase::Made &made, LatchError expected)
	{
		ASSERT_EQ(made.error, expected);
		ASSERT_EQ(made.id, expected == LatchError::none ? model_.next - 1 : 0);
	}

	void bound()
	{
		const LatchId id = any_latch();
		LatchTuple tuple = any_tuple();
		if (const ModelLatch *latch = model_.find(id); latch != nullptr && pick(8) != 0)
		{
			const LatchTuple &known = latch->info.tuple;
			tuple = known;
			tuple.local = known.local.family != 0 ? known.local : any_address(known.remote.family == 4 ? 4 : 6);
			tuple.local_port = known.local_port != 0 ? known.local_port : any_port();
		}
		const LatchError error = may_fail([&] { return db_.bound(id, tuple); });
		ASSERT_EQ(error, model_.bound(id, tuple));
	}

	void establish()
	{
		const LatchId id = any_latch();
		const Congruence congruence = any_congruence();
		const uint32_t reqid = pick(4);
		const bool heard = pick(2) == 0;
		const LatchError error = may_fail([&] { return db_.establish(id, congruence, reqid, heard); });
		ASSERT_EQ(error, model_.establish(id, congruence, reqid, heard));
	}

	void born_broken()
	{
		const LatchId id = any_latch();
		const LatchError error = may_fail([&] { return db_.born_broken(id, LatchReason::not_established); });
		ASSERT_EQ(error, model_.born_broken(id, LatchReason::not_established));
	}

	void sa_coming()
	{
		const Sa sa = any_sa();
		const Ids ids = may_fail([&] { return db_.sa_coming(sa); });
		ASSERT_EQ(ids, model_.sa_coming(sa));
	}

	void sa_gone()
	{
		const uint32_t child = pick(8);
		const Ids ids = may_fail([&] { return db_.sa_gone(child); });
		ASSERT_EQ(ids, model_.sa_gone(child));
	}

	void peer_dead()
	{
		const Fingerprint peer = digest(1 + pick(20));
		const Ids ids = may_fail([&] { return db_.peer_dead(peer); });
		ASSERT_EQ(ids, model_.peer_dead(peer));
	}

	void close()
	{
		const LatchId id = any_latch();
		const LatchReason reason = std::array{LatchReason::released, LatchReason::socket_gone,
											  LatchReason::administrator, LatchReason::conflict}[pick(4)];
		const LatchError error = may_fail([&] { return db_.close(id, reason); });
		ASSERT_EQ(error, model_.close(id, reason));
	}

	void owner_gone()
	{
		const LatchOwner whose = any_owner();
		const auto infos = may_fail([&] { return db_.owner_gone(whose); });
		ASSERT_EQ(ids_of(infos), model_.owner_gone(whose));
	}

	void close_all()
	{
		const auto infos = may_fail([&] { return db_.close_all(LatchReason::shutdown); });
		ASSERT_EQ(infos.size(), model_.latches.size());
		for (const LatchInfo &info : infos)
		{
			ASSERT_EQ(info.id, model_.latches.front().info.id);
			ASSERT_TRUE(same(info, model_.latches.front().info));
			model_.close(info.id, LatchReason::shutdown);
		}
	}

	void take_alerts()
	{
		for (auto &[whose, queue] : model_.alerts)
		{
			for (unsigned i = pick(4); i > 0 || db_.size() == 0; i--)
			{
				if (queue.empty())
				{
					ASSERT_FALSE(db_.take_alert(whose));
					break;
				}
				ASSERT_TRUE(same(db_.take_alert(whose), queue.front())) << whose;
				queue.pop_front();
			}
		}
		const LatchOwner next = db_.next_alerted();
		const bool is_silent = std::all_of(model_.alerts.begin(), model_.alerts.end(),
										   [](const auto &item) { return item.second.empty(); });
		ASSERT_EQ(next == 0, is_silent);
		ASSERT_TRUE(next == 0 || !model_.alerts[next].empty());
	}

	std::mt19937 random_;
	unsigned spread_;
	LatchDatabase db_;
	Model model_;
	/** by who watches: what was told, and what that comes to */
	std::vector<LatchChange> changes_;
	std::map<LatchId, LatchState> seen_;
	size_t failures_ = 0;
};

class LatchEvents : public testing::TestWithParam<unsigned>
{};

TEST_P(LatchEvents, ON_ONE_THREAD(agree_with_a_model))
{
	Events events(GetParam(), {60, 25, 30}, 4);
	size_t most = 0;
	for (unsigned i = 0; i < 15000; i++)
	{
		SCOPED_TRACE(i);
		events.step();
		events.look();
		events.compare();
		most = std::max(most, events.size());
		ASSERT_FALSE(HasFailure());
	}
	EXPECT_EQ(most, 60U);
	EXPECT_GT(events.failures(), 200U);
	events.finish();
}

INSTANTIATE_TEST_SUITE_P(Seeds, LatchEvents, testing::Range(1U, 7U));

TEST(LatchDatabase, ON_ONE_THREAD(agrees_with_a_model_when_there_are_many))
{
	Events events(11, {4000, 2000, 3000}, 40);
	size_t most = 0;
	for (unsigned i = 0; i < 60000; i++)
	{
		SCOPED_TRACE(i);
		events.step();
		if (i % 16 == 0)
		{
			events.look();
		}
		if (i % 1024 == 0)
		{
			events.compare();
		}
		most = std::max(most, events.size());
		ASSERT_FALSE(testing::Test::HasFailure());
	}
	EXPECT_GT(most, 1000U);
	events.finish();
}

TEST(PolicySelector, takes_what_the_policy_takes)
{
	std::mt19937 random(5);
	const auto pick = [&](unsigned count) { return std::uniform_int_distribution<unsigned>(0, count - 1)(random); };
	const auto selector = [&]
	{
		const uint32_t first = pick(64);
		const uint32_t last = first + (pick(2) == 0 ? 0 : pick(64));
		btns_ts_t ts = btns::to_selector({4, first, last});
		ts.from_port = static_cast<uint16_t>(pick(64));
		ts.to_port = static_cast<uint16_t>(pick(2) == 0 ? ts.from_port : pick(64));
		ts.protocol = std::array<uint8_t, 4>{0, 0, tcp, icmp}[pick(4)];
		return ts;
	};
	unsigned taken = 0;
	for (unsigned i = 0; i < 100000; i++)
	{
		const btns_ts_t local = selector();
		const btns_ts_t remote = selector();
		const Flow flow{pick(2) == 0 ? tcp : icmp,
						{4, pick(128)},
						{4, pick(128)},
						static_cast<uint16_t>(pick(64)),
						static_cast<uint16_t>(pick(64))};
		const auto policy = btns::policy_selector(local, remote);
		const bool takes = policy && (policy->protocol == 0 || policy->protocol == flow.protocol) &&
						   policy->local.contains(btns::host_range(flow.local)) &&
						   policy->remote.contains(btns::host_range(flow.remote)) &&
						   policy->local_port_first <= flow.local_port && flow.local_port <= policy->local_port_last &&
						   policy->remote_port_first <= flow.remote_port &&
						   flow.remote_port <= policy->remote_port_last;
		ASSERT_EQ(takes, btns::fit_policy(local, remote, flow, btns::PolicyKind::protect, 0).has_value());
		taken += takes ? 1 : 0;
	}
	EXPECT_GT(taken, 1000U);
	EXPECT_FALSE(btns::policy_selector(ts("0.0.0.0/0"), ts("::/0")));
	EXPECT_FALSE(btns::policy_selector(btns_ts_t{}, btns_ts_t{}));
}

} // namespace
