/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "one_thread.h"
#include "pad.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace
{

constexpr std::array<uint8_t, BTNS_FINGERPRINT_LEN> peer_key{1, 2, 3};

btns_candidate_t unflagged(btns_match_t match, bool offered = true)
{
	btns_candidate_t candidate{};
	candidate.match = match;
	candidate.offered = offered;
	return candidate;
}

btns_candidate_t flagged(btns_flag_t flag, bool usable = true, bool offered = true, bool own_key = true)
{
	btns_candidate_t candidate{};
	candidate.flag = flag;
	candidate.usable = usable;
	candidate.match = BTNS_MATCH_ANY;
	candidate.offered = offered;
	if (flag == BTNS_FLAG_KEY && own_key)
	{
		std::ranges::copy(peer_key, candidate.key);
	}
	return candidate;
}

/** A stranger that has done everything right. */
btns_claim_t stranger()
{
	btns_claim_t claim{};
	claim.role = BTNS_ROLE_RESPONDER;
	claim.ike_version = 2;
	claim.auth = BTNS_AUTH_SIGNATURE;
	claim.vouched = BTNS_NO;
	claim.key_known = true;
	claim.fingerprint = peer_key.data();
	return claim;
}

std::string show(const btns_claim_t &claim, const std::vector<btns_candidate_t> &candidates,
				 const btns::Verdict &verdict)
{
	std::ostringstream out;
	out << "role " << claim.role << " version " << claim.ike_version << " auth " << claim.auth << " reserved "
		<< claim.reserved_name << " secret " << claim.named_by_secret << " entry " << claim.named_by_entry
		<< " vouched " << claim.vouched << " key_known " << claim.key_known << " key " << (claim.fingerprint != nullptr)
		<< " rounds " << claim.rounds_done << " limit " << claim.limit << " nulls " << claim.nulls << '\n';
	for (const auto &c : candidates)
	{
		out << "  flag " << c.flag << " usable " << c.usable << " match " << c.match << " offered " << c.offered
			<< " own key " << (c.key[0] == peer_key[0]) << '\n';
	}
	out << "  -> choice " << verdict.choice << " reason " << btns_reason_code(verdict.reason) << " order";
	for (const size_t i : verdict.order)
	{
		out << ' ' << i;
	}
	return out.str();
}

/** What must hold of every verdict, said without looking at how the verdict is found. */
class Oracle
{
public:
	Oracle(const btns_claim_t &claim, const std::vector<btns_candidate_t> &candidates, const btns::Verdict &verdict)
		: claim_(claim), candidates_(candidates), verdict_(verdict)
	{}

	/** The rule that is broken, empty if none is. */
	[[nodiscard]] std::string broken_rule() const
	{
		for (const auto &[holds, rule] : rules())
		{
			if (!holds)
			{
				return rule;
			}
		}
		return {};
	}

private:
	[[nodiscard]] std::vector<std::pair<bool, const char *>> rules() const
	{
		const bool initiator = claim_.role == BTNS_ROLE_INITIATOR;
		const bool version2 = claim_.ike_version == 2;
		const bool offers_flag = has([](const auto &c) { return c.offered && c.flag != BTNS_FLAG_NONE; });
		const bool nobody = is_null() && version2 && !(initiator && !offers_flag);
		const bool named =
			claim_.named_by_secret || claim_.named_by_entry ||
			has([](const auto &c) { return c.flag == BTNS_FLAG_NONE && c.match == BTNS_MATCH_SPECIFIC; });
		const bool signature = claim_.auth == BTNS_AUTH_SIGNATURE;
		const bool refused_name = version2 && claim_.reserved_name;
		const bool within_limits = claim_.key_known && claim_.rounds_done == 0 && claim_.limit == BTNS_REASON_NONE;
		const bool admissible =
			version2 && !claim_.reserved_name && within_limits &&
			(nobody ? claim_.nulls : !named && signature && claim_.vouched == BTNS_NO && claim_.fingerprint != nullptr);
		const bool has_entry = has([this](const auto &c) { return admits(c); });
		const bool yields_flagged = yields([](const auto &c) { return c.flag != BTNS_FLAG_NONE; });
		const bool yields_unflagged = yields([](const auto &c) { return c.flag == BTNS_FLAG_NONE; });
		const bool stranger = verdict_.choice == BTNS_CHOICE_STRANGER;
		const bool again = verdict_.choice == BTNS_CHOICE_ASK_AGAIN;
		const bool none = verdict_.choice == BTNS_CHOICE_NONE;

		return {
			{in_range(), "only offered candidates are yielded, each once"},
			{!(yields_flagged && yields_unflagged), "never both kinds"},
			{!yields_flagged || stranger, "flagged entries are for strangers only"},
			{!stranger || (yields_flagged && !yields_unflagged), "a stranger gets flagged entries"},
			{!nobody || !yields_unflagged || refused_name, "nobody gets an entry that is for somebody"},
			{nobody || !named || !yields_flagged, "who claims a known identity never gets a flagged entry"},
			{!yields_flagged || admissible, "a stranger signs, has a key, is unknown and within the caps"},
			{!yields_flagged || !yields([this](const auto &c) { return !admits(c); }),
			 "a flagged entry that is yielded is usable and admits the key, or nobody"},
			{keys_before_wildcard(), "pinned keys come before the wildcard"},
			{!(admissible && has_entry) || stranger, "a stranger that may come in does"},
			{!stranger || verdict_.reason == BTNS_REASON_NONE, "no reason to refuse a stranger that is let in"},
			{!again || ((nobody || (!named && signature)) && offers_flag && verdict_.order.empty()),
			 "looking things up is only for unnamed signers that could be strangers"},
			{!again || claim_.vouched == BTNS_UNKNOWN || !claim_.key_known, "nobody asks for what is known"},
			{!none || (verdict_.order.empty() && verdict_.reason != BTNS_REASON_NONE), "an empty list has a reason"},
			{!offers_flag || stranger || again || verdict_.reason != BTNS_REASON_NONE,
			 "flagged entries are withheld for a reason"},
			{initiator || refused_name || nobody ||
				 yields_all_offered([](const auto &c)
									{ return c.flag == BTNS_FLAG_NONE && c.match == BTNS_MATCH_SPECIFIC; }),
			 "an entry that names the peer is never withheld from it"},
			{initiator || refused_name || nobody || !(named || !signature || claim_.vouched == BTNS_YES || !version2) ||
				 (yields_all_offered([](const auto &c) { return c.flag == BTNS_FLAG_NONE; }) && !again),
			 "a peer that authenticates gets what charon offers it"},
			{stranger || std::ranges::is_sorted(verdict_.order), "charon's order is kept"},
			{!refused_name || (none && verdict_.reason == BTNS_REASON_RESERVED_NAME), "reserved names are refused"},
			{!initiator || !offers_flag || stranger || again || none, "a flagged initiator meets a stranger or nobody"},
			{!initiator || offers_flag || refused_name || verdict_.order.size() == 1,
			 "the entry of an authenticating initiator is untouched"},
		};
	}

	[[nodiscard]] bool is_null() const { return claim_.auth == BTNS_AUTH_NULL; }

	[[nodiscard]] bool admits(const btns_candidate_t &c) const
	{
		if (is_null())
		{
			return c.offered && c.usable && c.flag == BTNS_FLAG_NULL;
		}
		return c.offered && c.usable &&
			   (c.flag == BTNS_FLAG_ANY || (c.flag == BTNS_FLAG_KEY && c.key[0] == peer_key[0]));
	}

	template <typename Predicate>
	[[nodiscard]] bool has(Predicate &&predicate) const
	{
		return std::ranges::any_of(candidates_, predicate);
	}

	template <typename Predicate>
	[[nodiscard]] bool yields(Predicate &&predicate) const
	{
		return std::ranges::any_of(verdict_.order, [&](size_t i) { return predicate(candidates_.at(i)); });
	}

	template <typename Predicate>
	[[nodiscard]] bool yields_all_offered(Predicate &&predicate) const
	{
		for (size_t i = 0; i < candidates_.size(); i++)
		{
			if (candidates_[i].offered && predicate(candidates_[i]) &&
				std::ranges::find(verdict_.order, i) == verdict_.order.end())
			{
				return false;
			}
		}
		return true;
	}

	[[nodiscard]] bool in_range() const
	{
		for (size_t i = 0; i < verdict_.order.size(); i++)
		{
			const size_t index = verdict_.order[i];
			if (index >= candidates_.size() || !candidates_[index].offered ||
				std::ranges::count(verdict_.order, index) != 1)
			{
				return false;
			}
		}
		return true;
	}

	[[nodiscard]] bool keys_before_wildcard() const
	{
		bool wildcard = false;
		for (const size_t i : verdict_.order)
		{
			if (wildcard && candidates_.at(i).flag == BTNS_FLAG_KEY)
			{
				return false;
			}
			wildcard = wildcard || candidates_.at(i).flag == BTNS_FLAG_ANY;
		}
		return true;
	}

	const btns_claim_t &claim_;
	const std::vector<btns_candidate_t> &candidates_;
	const btns::Verdict &verdict_;
};

std::vector<btns_candidate_t> all_candidates()
{
	std::vector<btns_candidate_t> all;
	for (const bool offered : {false, true})
	{
		for (const auto match : {BTNS_MATCH_NONE, BTNS_MATCH_ANY, BTNS_MATCH_SPECIFIC})
		{
			all.push_back(unflagged(match, offered));
		}
		for (const bool usable : {false, true})
		{
			all.push_back(flagged(BTNS_FLAG_ANY, usable, offered));
			all.push_back(flagged(BTNS_FLAG_KEY, usable, offered, true));
			all.push_back(flagged(BTNS_FLAG_KEY, usable, offered, false));
		}
		all.push_back(flagged(BTNS_FLAG_NULL, false, offered));
		all.push_back(flagged(BTNS_FLAG_NULL, true, offered));
		for (const auto flag : {BTNS_FLAG_KNOWN, BTNS_FLAG_BROKEN})
		{
			// usable is never set for these; it must not matter
			all.push_back(flagged(flag, true, offered));
		}
	}
	return all;
}

std::vector<btns_claim_t> all_claims()
{
	std::vector<btns_claim_t> all;
	for (unsigned bits = 0; bits < 256; bits++)
	{
		for (const auto auth : {BTNS_AUTH_EAP, BTNS_AUTH_SIGNATURE, BTNS_AUTH_PSK, BTNS_AUTH_NULL, BTNS_AUTH_OTHER})
		{
			if (auth != BTNS_AUTH_NULL && (bits & 128) != 0)
			{
				continue; // whether there is NULL authentication makes no difference
			}
			for (const auto vouched : {BTNS_UNKNOWN, BTNS_NO, BTNS_YES})
			{
				for (const unsigned key : {0U, 1U, 2U})
				{
					btns_claim_t claim{};
					claim.role = (bits & 1) != 0 ? BTNS_ROLE_INITIATOR : BTNS_ROLE_RESPONDER;
					claim.ike_version = (bits & 2) != 0 ? 1 : 2;
					claim.reserved_name = (bits & 4) != 0;
					claim.named_by_secret = (bits & 8) != 0;
					claim.rounds_done = (bits & 16) != 0 ? 1 : 0;
					claim.limit = (bits & 32) != 0 ? BTNS_REASON_MAX_PEERS : BTNS_REASON_NONE;
					claim.named_by_entry = (bits & 64) != 0;
					claim.nulls = (bits & 128) != 0;
					claim.auth = auth;
					claim.vouched = vouched;
					claim.key_known = key > 0;
					claim.key_reason = key == 1 ? BTNS_REASON_RSA_SHORT : BTNS_REASON_NONE;
					claim.fingerprint = key == 2 ? peer_key.data() : nullptr;
					all.push_back(claim);
				}
			}
		}
	}
	return all;
}

/** What is wrong with what a decision notes, empty if nothing is. */
std::string wrong_in_trace(const btns_claim_t &claim, const std::vector<btns_candidate_t> &list,
						   const btns::Verdict &verdict)
{
	btns::Trace trace;
	const auto again = btns::pad_lookup(claim, list, &trace);
	if (again.choice != verdict.choice || again.reason != verdict.reason || again.order != verdict.order)
	{
		return "who notes decides otherwise";
	}
	const auto is_obstacle = [](const btns::TraceStep &step) { return step.reason != BTNS_REASON_NONE; };
	const auto obstacles = std::ranges::count_if(trace, is_obstacle);
	const bool open = verdict.choice == BTNS_CHOICE_STRANGER || verdict.choice == BTNS_CHOICE_ASK_AGAIN;
	if (obstacles != (open ? 0 : 1) || (!open && !is_obstacle(trace.back())))
	{
		return "it ends at the first obstacle, and only there";
	}
	if (!open && verdict.reason != BTNS_REASON_NONE && trace.back().reason != verdict.reason)
	{
		return "the obstacle is the reason";
	}
	return {};
}

void check_all(const std::vector<std::vector<btns_candidate_t>> &lists)
{
	size_t verdicts = 0;
	for (const btns_claim_t &claim : all_claims())
	{
		for (const auto &list : lists)
		{
			const auto offered = std::ranges::count_if(list, [](const auto &c) { return c.offered; });
			if (claim.role == BTNS_ROLE_INITIATOR && offered != 1)
			{
				continue;
			}
			const auto verdict = btns::pad_lookup(claim, list);
			const std::string rule = Oracle(claim, list, verdict).broken_rule();
			ASSERT_EQ(rule, "") << show(claim, list, verdict);
			ASSERT_EQ(wrong_in_trace(claim, list, verdict), "") << show(claim, list, verdict);
			verdicts++;
		}
	}
	testing::Test::RecordProperty("verdicts", std::to_string(verdicts));
	EXPECT_GT(verdicts, lists.size());
}

TEST(Pad, every_claim_with_one_entry_or_none)
{
	std::vector<std::vector<btns_candidate_t>> lists{{}};
	for (const auto &a : all_candidates())
	{
		lists.push_back({a});
	}
	check_all(lists);
}

TEST(Pad, ON_ONE_THREAD(every_claim_with_every_two_entries))
{
	std::vector<std::vector<btns_candidate_t>> lists;
	for (const auto &a : all_candidates())
	{
		for (const auto &b : all_candidates())
		{
			lists.push_back({a, b});
		}
	}
	check_all(lists);
}

TEST(Pad, ON_ONE_THREAD(mixtures_of_many_entries))
{
	const auto all = all_candidates();
	std::vector<std::vector<btns_candidate_t>> lists;
	// a fixed sequence that wanders through the mixtures
	for (size_t seed = 1; seed <= 200; seed++)
	{
		std::vector<btns_candidate_t> list;
		size_t state = seed;
		for (size_t i = 0; i < 3 + seed % 5; i++)
		{
			state = (state * 6364136223846793005ULL + 1442695040888963407ULL);
			list.push_back(all[(state >> 33) % all.size()]);
		}
		lists.push_back(list);
	}
	check_all(lists);
}

struct Row
{
	const char *what;
	btns_claim_t claim;
	std::vector<btns_candidate_t> candidates;
	btns_choice_t choice;
	btns_reason_t reason;
	std::vector<size_t> order;
};

template <typename Change>
btns_claim_t but(Change &&change)
{
	btns_claim_t claim = stranger();
	change(claim);
	return claim;
}

TEST(Pad, the_table)
{
	const auto any = flagged(BTNS_FLAG_ANY);
	const auto pinned = flagged(BTNS_FLAG_KEY);
	const auto other_pin = flagged(BTNS_FLAG_KEY, true, true, false);
	const auto everybody = unflagged(BTNS_MATCH_ANY);
	const auto alice = unflagged(BTNS_MATCH_SPECIFIC);
	const auto alice_elsewhere = unflagged(BTNS_MATCH_SPECIFIC, false);
	const auto initiator = [](btns_claim_t &c) { c.role = BTNS_ROLE_INITIATOR; };
	const auto unknown = [](btns_claim_t &c) { c.vouched = BTNS_UNKNOWN; };
	const auto nulls = flagged(BTNS_FLAG_NULL);
	const auto nobody = [](btns_claim_t &c)
	{
		c.auth = BTNS_AUTH_NULL;
		c.nulls = true;
		c.vouched = BTNS_UNKNOWN;
		c.fingerprint = nullptr;
	};
	const std::vector<Row> rows{
		{"a stranger", stranger(), {any}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {0}},
		{"a stranger beside %any", stranger(), {everybody, any}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {1}},
		{"specific keys first", stranger(), {any, other_pin, pinned}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {2, 0}},
		{"another key is pinned", stranger(), {other_pin}, BTNS_CHOICE_NONE, BTNS_REASON_NOT_PINNED, {}},
		{"not usable", stranger(), {flagged(BTNS_FLAG_ANY, false)}, BTNS_CHOICE_NONE, BTNS_REASON_ENTRY_UNUSABLE, {}},
		{"broken", stranger(), {flagged(BTNS_FLAG_BROKEN, false)}, BTNS_CHOICE_NONE, BTNS_REASON_ENTRY_UNUSABLE, {}},
		{"for NULL only", stranger(), {nulls}, BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NOT_NULL, {}},
		{"for NULL and for keys", stranger(), {nulls, any}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {1}},
		{"nobody", but(nobody), {everybody, any, nulls, pinned}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {2}},
		{"nobody says that it is alice", but(nobody), {alice, nulls}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {1}},
		{"nobody, and only keys are admitted",
		 but(nobody),
		 {everybody, any},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_NULL_NOT_ADMITTED,
		 {}},
		{"nobody, without the plugin",
		 but([&](auto &c) { nobody(c), c.nulls = false; }),
		 {everybody, nulls},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_NULL_OFF,
		 {}},
		{"nobody, and the entry has an error",
		 but(nobody),
		 {flagged(BTNS_FLAG_NULL, false)},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_ENTRY_UNUSABLE,
		 {}},
		{"nobody in a second round",
		 but([&](auto &c) { nobody(c), c.rounds_done = 1; }),
		 {nulls},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_MULTIPLE_ROUNDS,
		 {}},
		{"too many are nobody",
		 but([&](auto &c) { nobody(c), c.limit = BTNS_REASON_MAX_NULL_PEERS; }),
		 {nulls},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_MAX_NULL_PEERS,
		 {}},
		{"an initiator that wants a key meets nobody",
		 but([&](auto &c) { nobody(c), initiator(c); }),
		 {any},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_NULL_NOT_ADMITTED,
		 {}},
		{"an initiator that wants nobody meets a key",
		 but(initiator),
		 {nulls},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_NOT_NULL,
		 {}},
		{"no flag at all", stranger(), {}, BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NOT_FLAGGED, {}},
		{"no flag is cheap", but(unknown), {everybody}, BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NONE, {0}},
		{"alice", but(unknown), {alice, everybody, any}, BTNS_CHOICE_NAMED, BTNS_REASON_NAMED, {0, 1}},
		{"alice, from elsewhere", but(unknown), {alice_elsewhere, any}, BTNS_CHOICE_NAMED, BTNS_REASON_NAMED, {}},
		{"an entry names her that is no candidate",
		 but([](auto &c) { c.named_by_entry = true; }),
		 {everybody, any},
		 BTNS_CHOICE_NAMED,
		 BTNS_REASON_NAMED,
		 {0}},
		{"a secret names her",
		 but([](auto &c) { c.named_by_secret = true; }),
		 {everybody, any},
		 BTNS_CHOICE_NAMED,
		 BTNS_REASON_NAMED,
		 {0}},
		{"vouched",
		 but([](auto &c) { c.vouched = BTNS_YES; }),
		 {everybody, any},
		 BTNS_CHOICE_CREDENTIALED,
		 BTNS_REASON_VOUCHED,
		 {0}},
		{"look it up", but(unknown), {everybody, any}, BTNS_CHOICE_ASK_AGAIN, BTNS_REASON_NONE, {}},
		{"look at the key",
		 but([](auto &c) { c.key_known = false; }),
		 {any},
		 BTNS_CHOICE_ASK_AGAIN,
		 BTNS_REASON_NONE,
		 {}},
		{"PSK",
		 but([](auto &c) { c.auth = BTNS_AUTH_PSK; }),
		 {everybody, any},
		 BTNS_CHOICE_CREDENTIALED,
		 BTNS_REASON_NOT_SIGNATURE,
		 {0}},
		{"a bad key",
		 but([](auto &c) { c.fingerprint = nullptr, c.key_reason = BTNS_REASON_RSA_ROCA; }),
		 {everybody, any},
		 BTNS_CHOICE_CREDENTIALED,
		 BTNS_REASON_RSA_ROCA,
		 {0}},
		{"full",
		 but([](auto &c) { c.limit = BTNS_REASON_MAX_PEERS; }),
		 {any},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_MAX_PEERS,
		 {}},
		{"second round",
		 but([](auto &c) { c.rounds_done = 1; }),
		 {any},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_MULTIPLE_ROUNDS,
		 {}},
		{"IKEv1", but([](auto &c) { c.ike_version = 1; }), {alice, any}, BTNS_CHOICE_NAMED, BTNS_REASON_IKEV1, {0}},
		{"reserved",
		 but([](auto &c) { c.reserved_name = true; }),
		 {everybody, any},
		 BTNS_CHOICE_NONE,
		 BTNS_REASON_RESERVED_NAME,
		 {}},
		{"initiator", but(initiator), {any}, BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {0}},
		{"initiator meets alice", but(initiator), {any, alice_elsewhere}, BTNS_CHOICE_NONE, BTNS_REASON_NAMED, {}},
		{"initiator without flag",
		 but(initiator),
		 {everybody, alice_elsewhere},
		 BTNS_CHOICE_CREDENTIALED,
		 BTNS_REASON_NONE,
		 {0}},
	};
	for (const Row &row : rows)
	{
		const auto verdict = btns::pad_lookup(row.claim, row.candidates);
		EXPECT_EQ(verdict.choice, row.choice) << row.what;
		EXPECT_EQ(verdict.reason, row.reason) << row.what;
		EXPECT_EQ(verdict.order, row.order) << row.what;
	}
}

TEST(Pad, invalid_arguments_yield_nobody)
{
	const btns_claim_t claim = stranger();
	const btns_candidate_t candidate = flagged(BTNS_FLAG_ANY);
	size_t order = 0;
	btns_verdict_t verdict{BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, 1};
	EXPECT_EQ(btns_pad_lookup(nullptr, &candidate, 1, &order, &verdict), BTNS_STATUS_INVALID);
	EXPECT_EQ(verdict.choice, BTNS_CHOICE_NONE);
	EXPECT_EQ(verdict.count, 0U);
	EXPECT_EQ(verdict.reason, BTNS_REASON_INTERNAL);
	EXPECT_EQ(btns_pad_lookup(&claim, nullptr, 1, &order, &verdict), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_pad_lookup(&claim, &candidate, 1, nullptr, &verdict), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_pad_lookup(&claim, &candidate, 1, &order, nullptr), BTNS_STATUS_INVALID);
	EXPECT_EQ(btns_pad_lookup(&claim, &candidate, 1, &order, &verdict), BTNS_STATUS_OK);
	EXPECT_EQ(verdict.choice, BTNS_CHOICE_STRANGER);
	EXPECT_EQ(verdict.count, 1U);
}

} // namespace
