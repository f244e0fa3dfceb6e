/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "pad.h"

#include <algorithm>

namespace btns
{

namespace
{

bool is_flagged(const btns_candidate_t &candidate)
{
	return candidate.flag != BTNS_FLAG_NONE;
}

class Lookup
{
public:
	Lookup(const btns_claim_t &claim, std::span<const btns_candidate_t> candidates)
		: claim_(claim), candidates_(candidates)
	{}

	[[nodiscard]] Verdict decide() const
	{
		if (claim_.ike_version != 2)
		{
			return is_named() ? without_flag(BTNS_CHOICE_NAMED, BTNS_REASON_IKEV1)
							  : without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_IKEV1);
		}
		if (claim_.reserved_name)
		{
			return nobody(BTNS_REASON_RESERVED_NAME);
		}
		if (claim_.role == BTNS_ROLE_INITIATOR && !offers_flagged())
		{
			// charon compares the responder with the one entry that is in use
			return without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NONE);
		}
		if (is_named())
		{
			Verdict verdict = without_flag(BTNS_CHOICE_NAMED, BTNS_REASON_NAMED);
			if (verdict.order.empty())
			{
				verdict.reason = BTNS_REASON_NAMED;
			}
			return verdict;
		}
		if (claim_.auth != BTNS_AUTH_SIGNATURE)
		{
			return without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NOT_SIGNATURE);
		}
		return unnamed_signer();
	}

private:
	/** The peer signs, and claims nobody's identity: does a credential speak for it? */
	[[nodiscard]] Verdict unnamed_signer() const
	{
		if (!offers_flagged())
		{
			Verdict verdict = without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NONE);
			if (verdict.order.empty() && claim_.vouched != BTNS_YES)
			{
				verdict.reason = BTNS_REASON_NOT_FLAGGED;
			}
			return verdict;
		}
		if (claim_.vouched == BTNS_YES)
		{
			return without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_VOUCHED);
		}
		if (claim_.vouched != BTNS_NO || !claim_.key_known)
		{
			return {BTNS_CHOICE_ASK_AGAIN, BTNS_REASON_NONE, {}};
		}
		if (claim_.fingerprint == nullptr)
		{
			return without_flag(BTNS_CHOICE_CREDENTIALED,
								claim_.key_reason != BTNS_REASON_NONE ? claim_.key_reason : BTNS_REASON_NO_KEY);
		}
		if (claim_.rounds_done > 0)
		{
			return nobody(BTNS_REASON_MULTIPLE_ROUNDS);
		}
		if (claim_.limit != BTNS_REASON_NONE)
		{
			return nobody(claim_.limit);
		}
		return stranger();
	}

	[[nodiscard]] Verdict stranger() const
	{
		Verdict verdict{BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {}};
		for (const btns_flag_t flag : {BTNS_FLAG_KEY, BTNS_FLAG_ANY})
		{
			for (size_t i = 0; i < candidates_.size(); i++)
			{
				if (candidates_[i].flag == flag && candidates_[i].usable && admits_key(candidates_[i]))
				{
					verdict.order.push_back(i);
				}
			}
		}
		return verdict.order.empty() ? nobody(why_no_stranger()) : verdict;
	}

	/** Is it offered, and does it take the key that was presented? */
	[[nodiscard]] bool admits_key(const btns_candidate_t &candidate) const
	{
		return candidate.offered &&
			   (candidate.flag == BTNS_FLAG_ANY ||
				(candidate.flag == BTNS_FLAG_KEY &&
				 std::ranges::equal(candidate.key, std::span(claim_.fingerprint, BTNS_FINGERPRINT_LEN))));
	}

	[[nodiscard]] btns_reason_t why_no_stranger() const
	{
		// none that admits the key is usable, else there were one
		if (std::ranges::any_of(candidates_, [this](const auto &c)
								{ return admits_key(c) || (c.offered && c.flag == BTNS_FLAG_BROKEN); }))
		{
			return BTNS_REASON_ENTRY_UNUSABLE;
		}
		const bool pinned =
			std::ranges::any_of(candidates_, [](const auto &c) { return c.offered && c.flag == BTNS_FLAG_KEY; });
		return pinned ? BTNS_REASON_NOT_PINNED : BTNS_REASON_NOT_FLAGGED;
	}

	/** Does the peer claim an identity that somebody here has? Offered or not: offers can be shaped by the peer. */
	[[nodiscard]] bool is_named() const
	{
		return claim_.named_by_secret || claim_.named_by_entry ||
			   std::ranges::any_of(candidates_,
								   [](const auto &c) { return !is_flagged(c) && c.match == BTNS_MATCH_SPECIFIC; });
	}

	[[nodiscard]] bool offers_flagged() const
	{
		return std::ranges::any_of(candidates_, [](const auto &c) { return c.offered && is_flagged(c); });
	}

	/** The entries for authenticated peers that charon offers. An initiator with a flagged one has none. */
	[[nodiscard]] Verdict without_flag(btns_choice_t choice, btns_reason_t why_withheld) const
	{
		const bool withheld = offers_flagged();
		if (withheld && claim_.role == BTNS_ROLE_INITIATOR)
		{
			return nobody(why_withheld);
		}
		Verdict verdict{choice, withheld ? why_withheld : BTNS_REASON_NONE, {}};
		for (size_t i = 0; i < candidates_.size(); i++)
		{
			if (candidates_[i].offered && !is_flagged(candidates_[i]))
			{
				verdict.order.push_back(i);
			}
		}
		return verdict;
	}

	static Verdict nobody(btns_reason_t reason) { return {BTNS_CHOICE_NONE, reason, {}}; }

	const btns_claim_t &claim_;
	std::span<const btns_candidate_t> candidates_;
};

} // namespace

Verdict pad_lookup(const btns_claim_t &claim, std::span<const btns_candidate_t> candidates)
{
	return Lookup(claim, candidates).decide();
}

} // namespace btns
