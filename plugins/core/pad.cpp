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
	Lookup(const btns_claim_t &claim, std::span<const btns_candidate_t> candidates, Trace *trace)
		: claim_(claim), candidates_(candidates), trace_(trace)
	{}

	[[nodiscard]] Verdict decide() const
	{
		if (fails("ike-version", claim_.ike_version != 2, BTNS_REASON_IKEV1))
		{
			return is_named() ? without_flag(BTNS_CHOICE_NAMED, BTNS_REASON_IKEV1)
							  : without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_IKEV1);
		}
		if (fails("reserved-id", claim_.reserved_name, BTNS_REASON_RESERVED_NAME))
		{
			return nobody(BTNS_REASON_RESERVED_NAME);
		}
		if (claim_.role == BTNS_ROLE_INITIATOR && !offers_flagged())
		{
			// charon compares the responder with the one entry that is in use
			fails("flag", true, BTNS_REASON_NOT_FLAGGED);
			return without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NONE);
		}
		if (claim_.auth == BTNS_AUTH_NULL)
		{
			return null_peer();
		}
		if (fails("known-id", is_named(), BTNS_REASON_NAMED))
		{
			Verdict verdict = without_flag(BTNS_CHOICE_NAMED, BTNS_REASON_NAMED);
			if (verdict.order.empty())
			{
				verdict.reason = BTNS_REASON_NAMED;
			}
			return verdict;
		}
		if (fails("signature", claim_.auth != BTNS_AUTH_SIGNATURE, BTNS_REASON_NOT_SIGNATURE))
		{
			return without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_NOT_SIGNATURE);
		}
		return unnamed_signer();
	}

private:
	/** The peer says that nobody can know who it is: whatever else it says of that plays no part (RFC 7619 2.2). */
	[[nodiscard]] Verdict null_peer() const
	{
		if (fails("null", !claim_.nulls, BTNS_REASON_NULL_OFF))
		{
			return nobody(BTNS_REASON_NULL_OFF);
		}
		const auto offered = [](const auto &c) { return c.offered && c.flag == BTNS_FLAG_NULL; };
		if (fails("flag", std::ranges::none_of(candidates_, offered), BTNS_REASON_NULL_NOT_ADMITTED))
		{
			return nobody(BTNS_REASON_NULL_NOT_ADMITTED);
		}
		if (fails("rounds", claim_.rounds_done > 0, BTNS_REASON_MULTIPLE_ROUNDS))
		{
			return nobody(BTNS_REASON_MULTIPLE_ROUNDS);
		}
		if (!claim_.key_known)
		{
			return {BTNS_CHOICE_ASK_AGAIN, BTNS_REASON_NONE, {}};
		}
		if (fails("room", claim_.limit != BTNS_REASON_NONE, claim_.limit))
		{
			return nobody(claim_.limit);
		}
		Verdict verdict{BTNS_CHOICE_STRANGER, BTNS_REASON_NONE, {}};
		for (size_t i = 0; i < candidates_.size(); i++)
		{
			if (offered(candidates_[i]) && candidates_[i].usable)
			{
				verdict.order.push_back(i);
			}
		}
		const bool unusable = verdict.order.empty();
		return fails("entry", unusable, BTNS_REASON_ENTRY_UNUSABLE) ? nobody(BTNS_REASON_ENTRY_UNUSABLE) : verdict;
	}

	/** The peer signs, and claims nobody's identity: does a credential speak for it? */
	[[nodiscard]] Verdict unnamed_signer() const
	{
		if (!offers_to_keys())
		{
			const btns_reason_t reason = offers_flagged() ? BTNS_REASON_NOT_NULL : BTNS_REASON_NOT_FLAGGED;
			fails("flag", true, reason);
			Verdict verdict = without_flag(BTNS_CHOICE_CREDENTIALED, reason);
			if (verdict.order.empty() && claim_.vouched != BTNS_YES)
			{
				verdict.reason = reason;
			}
			return verdict;
		}
		fails("flag", false, BTNS_REASON_NONE);
		if (fails("credential", claim_.vouched == BTNS_YES, BTNS_REASON_VOUCHED))
		{
			return without_flag(BTNS_CHOICE_CREDENTIALED, BTNS_REASON_VOUCHED);
		}
		if (claim_.vouched != BTNS_NO || !claim_.key_known)
		{
			return {BTNS_CHOICE_ASK_AGAIN, BTNS_REASON_NONE, {}};
		}
		const btns_reason_t no_key = claim_.key_reason != BTNS_REASON_NONE ? claim_.key_reason : BTNS_REASON_NO_KEY;
		if (fails("key", claim_.fingerprint == nullptr, no_key))
		{
			return without_flag(BTNS_CHOICE_CREDENTIALED, no_key);
		}
		if (fails("rounds", claim_.rounds_done > 0, BTNS_REASON_MULTIPLE_ROUNDS))
		{
			return nobody(BTNS_REASON_MULTIPLE_ROUNDS);
		}
		if (fails("room", claim_.limit != BTNS_REASON_NONE, claim_.limit))
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
				if (candidates_[i].flag == flag && candidates_[i].usable &&
					admits_key(candidates_[i], claim_.fingerprint))
				{
					verdict.order.push_back(i);
				}
			}
		}
		const btns_reason_t reason = verdict.order.empty() ? why_no_stranger() : BTNS_REASON_NONE;
		return fails("entry", verdict.order.empty(), reason) ? nobody(reason) : verdict;
	}

	[[nodiscard]] btns_reason_t why_no_stranger() const
	{
		// none that admits the key is usable, else there were one
		if (std::ranges::any_of(
				candidates_, [this](const auto &c)
				{ return admits_key(c, claim_.fingerprint) || (c.offered && c.flag == BTNS_FLAG_BROKEN); }))
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

	/** Is any of them for peers with a key? */
	[[nodiscard]] bool offers_to_keys() const
	{
		return std::ranges::any_of(candidates_, [](const auto &c)
								   { return c.offered && is_flagged(c) && c.flag != BTNS_FLAG_NULL; });
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

	/** Note a step. @return its `obstacle` */
	bool fails(const char *step, bool obstacle, btns_reason_t reason) const
	{
		note(trace_, step, obstacle ? reason : BTNS_REASON_NONE);
		return obstacle;
	}

	const btns_claim_t &claim_;
	std::span<const btns_candidate_t> candidates_;
	Trace *trace_;
};

} // namespace

bool admits_key(const btns_candidate_t &candidate, const uint8_t *fingerprint)
{
	return candidate.offered && (candidate.flag == BTNS_FLAG_ANY ||
								 (candidate.flag == BTNS_FLAG_KEY && fingerprint != nullptr &&
								  std::ranges::equal(candidate.key, std::span(fingerprint, BTNS_FINGERPRINT_LEN))));
}

Verdict pad_lookup(const btns_claim_t &claim, std::span<const btns_candidate_t> candidates, Trace *trace)
{
	return Lookup(claim, candidates, trace).decide();
}

} // namespace btns
