/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file explain.h
 * What decisions looked at, in sentences an administrator can act on. Decides nothing.
 */
#pragma once

#include <span>
#include <string>
#include <vector>

#include "pad.h"
#include "pad_config.h"
#include "settings.h"
#include "side_table.h"

namespace btns
{

/** One step of an explanation. */
struct Sentence
{
	/** stable name, static storage */
	const char *step;
	bool passed;
	/** why not; NONE if passed, or if it is not the plugin that refuses */
	btns_reason_t reason;
	std::string text;
};

/** The facts of a look-up in the PAD, and what they are called. */
struct PadFacts
{
	const btns_claim_t &claim;
	std::span<const btns_candidate_t> candidates;
	/** of the candidates */
	std::span<const char *const> names;
	/** what knows the asserted identity, and what speaks for the peer; may be empty */
	std::string known_by;
	std::string vouched_by;
	/** the peer's key; type NONE if only its fingerprint is known */
	btns_key_t key;
};

/** Steps of a decision of pad_lookup(). */
std::vector<Sentence> explain_lookup(const PadFacts &facts, const Verdict &verdict, const Trace &trace,
									 const PadConfig &config);

/** Steps of a decision over a CHILD_SA. */
std::vector<Sentence> explain_child(const btns_child_t &child, const SupposedChild &supposed, const Context &context);

} // namespace btns
