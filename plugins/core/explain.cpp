/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "explain.h"

#include <array>
#include <string_view>

#include "child_policy.h"
#include "key_id.h"
#include "reason.h"

namespace btns
{

namespace
{

using namespace std::literals;

std::string key_id(const uint8_t *fingerprint)
{
	std::array<char, BTNS_KEY_ID_LEN> text{};
	write_key_id(std::span<const uint8_t, BTNS_FINGERPRINT_LEN>(fingerprint, BTNS_FINGERPRINT_LEN), text);
	return text.data();
}

std::string reason_sentence(btns_reason_t reason)
{
	return reason_text(reason).text;
}

/** "a", "a and b", "a, b and c" */
std::string enumerate(const std::vector<std::string> &words)
{
	std::string text;
	for (size_t i = 0; i < words.size(); i++)
	{
		text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
	}
	return text;
}

std::string flag_text(const btns_candidate_t &candidate)
{
	switch (candidate.flag)
	{
	case BTNS_FLAG_NONE:
		return "no flag";
	case BTNS_FLAG_ANY:
		return "groups = btns";
	case BTNS_FLAG_KEY:
		return "groups = " + key_id(candidate.key);
	case BTNS_FLAG_NULL:
	case BTNS_FLAG_KNOWN:
	case BTNS_FLAG_BROKEN:
		break;
	}
	return "a flag that admits nobody";
}

class LookupText
{
public:
	LookupText(const PadFacts &facts, const Verdict &verdict, const PadConfig &config)
		: facts_(facts), verdict_(verdict), config_(config)
	{}

	[[nodiscard]] Sentence addresses() const
	{
		const auto all = names([](const auto &) { return true; }, true);
		if (all.empty())
		{
			return {"addresses", false, BTNS_REASON_NOT_FLAGGED,
					"no connection fits these addresses and IDs, so charon refuses the peer: see local_addrs, "
					"remote_addrs, "
					"version and local.id of the connection that should"};
		}
		return {"addresses", true, BTNS_REASON_NONE, "for these addresses and IDs charon offers " + enumerate(all)};
	}

	[[nodiscard]] std::string text(const TraceStep &step) const
	{
		const std::string_view name = step.step;
		const bool passed = step.reason == BTNS_REASON_NONE;
		if (name == "reserved-id"sv)
		{
			return passed
					   ? "the asserted ID does not begin with btns:"
					   : "the asserted ID begins with btns:, and only the plugin gives such IDs: the peer has to call "
						 "itself something else";
		}
		if (name == "known-id"sv)
		{
			return passed ? "the asserted ID is nobody's: no connection without the flag and no shared secret knows it"
						  : "the asserted ID is known to " + or_else(facts_.known_by, "another connection or secret") +
								": the peer has to authenticate as that, or to call itself something else";
		}
		if (name == "signature"sv)
		{
			return passed ? "it authenticates with a digital signature"
						  : reason_sentence(step.reason) + ", so only "
														   "connections without the flag are for it";
		}
		if (name == "flag"sv)
		{
			return passed ? enumerate(flagged_names()) + (flagged_names().size() == 1 ? " is" : " are") +
								" for strangers there"
						  : "none of them has groups = btns, so nobody is admitted as a stranger there";
		}
		if (name == "credential"sv)
		{
			return passed ? "nothing that is loaded here speaks for it: no key, no certificate, no CA that it names"
						  : or_else(facts_.vouched_by, "a certificate, issuer or key that is loaded here") +
								" speaks for it, so it has to authenticate with that; what belongs to a stranger must "
								"not be "
								"loaded here";
		}
		if (name == "key"sv)
		{
			return passed ? key_text() : "there is no key that a stranger can have: " + reason_sentence(step.reason);
		}
		if (name == "room"sv)
		{
			return passed ? "there is room for it" : "there is no room for it: " + reason_sentence(step.reason);
		}
		if (name == "entry"sv)
		{
			return passed ? entry_text() : no_entry_text(step.reason);
		}
		return passed ? std::string(name) : reason_sentence(step.reason);
	}

	[[nodiscard]] Sentence outcome() const
	{
		switch (verdict_.choice)
		{
		case BTNS_CHOICE_STRANGER:
			return {"identity", true, BTNS_REASON_NONE,
					"once charon has verified its signature with this key it is " + key_id(facts_.claim.fingerprint) +
						" here, whatever it calls itself"};
		case BTNS_CHOICE_NAMED:
		case BTNS_CHOICE_CREDENTIALED:
			if (!verdict_.order.empty())
			{
				return {"authentication", true, BTNS_REASON_NONE,
						"it is no stranger: it has to authenticate as " + enumerate(chosen_names(" or ")) +
							" demands, as if the plugin were not there"};
			}
			return {"authentication", false, verdict_.reason,
					"no connection without the flag fits, so charon refuses it"};
		case BTNS_CHOICE_NONE:
		case BTNS_CHOICE_ASK_AGAIN:
			break;
		}
		return {"authentication", false, verdict_.reason, "it is refused: " + reason_sentence(verdict_.reason)};
	}

private:
	static std::string or_else(const std::string &text, const char *otherwise)
	{
		return text.empty() ? otherwise : text;
	}

	[[nodiscard]] std::string name(size_t i) const { return "connection '" + std::string(facts_.names[i]) + "'"; }

	template <typename Which>
	[[nodiscard]] std::vector<std::string> names(Which &&which, bool with_flag) const
	{
		std::vector<std::string> found;
		for (size_t i = 0; i < facts_.candidates.size(); i++)
		{
			if (facts_.candidates[i].offered && which(facts_.candidates[i]))
			{
				found.push_back(name(i) + (with_flag ? " (" + flag_text(facts_.candidates[i]) + ")" : ""));
			}
		}
		return found;
	}

	[[nodiscard]] std::vector<std::string> flagged_names() const
	{
		return names([](const auto &candidate) { return candidate.flag != BTNS_FLAG_NONE; }, false);
	}

	/** As one word for enumerate(): any of them will do. */
	[[nodiscard]] std::vector<std::string> chosen_names(const char *between) const
	{
		std::string text;
		for (const size_t i : verdict_.order)
		{
			text += (text.empty() ? "" : between) + name(i);
		}
		return {text};
	}

	[[nodiscard]] std::string key_text() const
	{
		const std::string id = key_id(facts_.claim.fingerprint);
		if (facts_.key.type == BTNS_KEY_NONE)
		{
			return "its key is " + id + "; kind and strength are not known from the fingerprint and not checked";
		}
		return std::string("its key is good: ") + btns_key_type_name(facts_.key.type) + ", " +
			   std::to_string(facts_.key.bits) + " bits, " + id;
	}

	[[nodiscard]] std::string entry_text() const
	{
		std::string text;
		for (const size_t i : verdict_.order)
		{
			const bool pinned = facts_.candidates[i].flag == BTNS_FLAG_KEY;
			text += (text.empty() ? "" : ", else ") + name(i) + (text.empty() ? " takes it" : "") +
					(pinned ? ", which names this key" : ", which is for every key");
		}
		return text;
	}

	[[nodiscard]] std::string no_entry_text(btns_reason_t reason) const
	{
		if (reason == BTNS_REASON_NOT_PINNED)
		{
			return enumerate(names([](const auto &candidate) { return candidate.flag == BTNS_FLAG_KEY; }, true)) +
				   (flagged_names().size() == 1 ? " is" : " are") +
				   " for another key: pin this one (groups = " + key_id(facts_.claim.fingerprint) +
				   ") if it is the right one";
		}
		if (reason != BTNS_REASON_ENTRY_UNUSABLE)
		{
			return reason_sentence(reason);
		}
		std::string text;
		for (size_t i = 0; i < facts_.candidates.size(); i++)
		{
			const btns_candidate_t &candidate = facts_.candidates[i];
			if (candidate.offered && candidate.flag != BTNS_FLAG_NONE && !candidate.usable &&
				(candidate.flag == BTNS_FLAG_BROKEN || admits_key(candidate, facts_.claim.fingerprint)))
			{
				text += (text.empty() ? "" : "; ") + name(i) +
						" has a configuration error and is never used: " + errors(facts_.names[i]);
			}
		}
		return text;
	}

	/** What the linter says of the connections of a name. */
	[[nodiscard]] std::string errors(std::string_view connection) const
	{
		std::string text;
		for (const auto &[i, findings] : config_.all_findings())
		{
			for (const Finding &finding : findings)
			{
				if (config_.entries().name(i) == connection && finding.severity == BTNS_SEVERITY_ERROR)
				{
					text += (text.empty() ? "" : "; ") + finding.text;
				}
			}
		}
		return text.empty() ? "see btns-list-pad" : text;
	}

	const PadFacts &facts_;
	const Verdict &verdict_;
	const PadConfig &config_;
};

std::string selectors_text(std::span<const btns_ts_t> selectors)
{
	std::vector<std::string> texts;
	for (const btns_ts_t &ts : selectors)
	{
		texts.push_back(to_text(ts));
	}
	return texts.empty() ? "nothing" : enumerate(texts);
}

/** Whose are the reserved addresses that a range overlaps? */
std::string who_reserves(const Range &range, uint32_t holder, const Context &context)
{
	for (size_t i = 0; i < context.pad.entries().size(); i++)
	{
		const PadEntry entry = context.pad.entries()[i];
		for (const Range &reserved : entry.reserves())
		{
			if (reserved.overlaps(range))
			{
				return "connection '" + entry.name + "' reserves " + to_text(reserved);
			}
		}
	}
	for (const Range &special : special_ranges())
	{
		if (special.overlaps(range))
		{
			return to_text(special) + " has a special meaning";
		}
	}
	if (context.settings.reserve.overlaps(range))
	{
		return "charon.plugins.btns.reserve has it";
	}
	if (holder != 0)
	{
		return "the authenticated peer of IKE_SA #" + std::to_string(holder) + " has it";
	}
	return "it is this host's own address";
}

std::string child_text(const TraceStep &step, const btns_child_t &child, const SupposedChild &supposed,
					   const Context &context)
{
	const std::string_view name = step.step;
	const bool passed = step.reason == BTNS_REASON_NONE;
	const std::string remote = selectors_text({child.remote, child.remote_count});
	if (name == "child-mode"sv)
	{
		return passed ? "the mode is the one that the connection demands"
					  : "the connection demands transport mode: the peer has to ask for it, too";
	}
	if (name == "child-selectors"sv)
	{
		const std::string both = "local " + selectors_text({child.local, child.local_count}) + ", remote " + remote;
		return both +
			   (passed ? ": exact prefixes, with ports that a mask can express" : ": " + reason_sentence(step.reason));
	}
	if (name == "child-reserved"sv)
	{
		return passed ? "nothing of " + remote + " is reserved"
					  : to_text(supposed.range.value_or(Range())) + " is not for strangers: " +
							who_reserves(supposed.range.value_or(Range()), supposed.holder, context);
	}
	if (name == "child-held"sv)
	{
		return passed ? "no other key holds any of it"
					  : to_text(supposed.range.value_or(Range())) + " is held by IKE_SA #" +
							std::to_string(supposed.holder) + ", a BTNS peer with another key, until that is gone";
	}
	if (name == "child-count"sv)
	{
		return passed ? "it may have " + std::to_string(context.settings.max_children) + " CHILD_SAs"
					  : reason_sentence(step.reason);
	}
	return passed ? std::string(name) : reason_sentence(step.reason);
}

/** Steps that say something only if they are an obstacle: they never are for who begins. */
bool is_silent(const TraceStep &step)
{
	const std::string_view name = step.step;
	return step.reason == BTNS_REASON_NONE &&
		   (name == "ike-version"sv || name == "rounds"sv || name == "child-configured"sv || name == "child-rekeyed"sv);
}

} // namespace

std::vector<Sentence> explain_lookup(const PadFacts &facts, const Verdict &verdict, const Trace &trace,
									 const PadConfig &config)
{
	const LookupText text(facts, verdict, config);
	std::vector<Sentence> sentences{text.addresses()};
	for (const TraceStep &step : trace)
	{
		if (!is_silent(step))
		{
			sentences.push_back({step.step, step.reason == BTNS_REASON_NONE, step.reason, text.text(step)});
		}
	}
	sentences.push_back(text.outcome());
	return sentences;
}

std::vector<Sentence> explain_child(const btns_child_t &child, const SupposedChild &supposed, const Context &context)
{
	std::vector<Sentence> sentences;
	for (const TraceStep &step : supposed.trace)
	{
		if (!is_silent(step))
		{
			sentences.push_back(
				{step.step, step.reason == BTNS_REASON_NONE, step.reason, child_text(step, child, supposed, context)});
		}
	}
	return sentences;
}

} // namespace btns
