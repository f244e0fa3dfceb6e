/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file pad.h
 * The PAD lookup (RFC 5386 2) as a pure function: which entries a peer may get.
 */
#pragma once

#include <span>
#include <vector>

#include "btns/core.h"
#include "trace.h"

namespace btns
{

struct Verdict
{
	btns_choice_t choice = BTNS_CHOICE_NONE;
	btns_reason_t reason = BTNS_REASON_NONE;
	/** indexes of the candidates to yield, in this order */
	std::vector<size_t> order;
};

/**
 * Decide. See btns_pad_lookup().
 *
 * @param trace	gets what was looked at, may be NULL
 */
Verdict pad_lookup(const btns_claim_t &claim, std::span<const btns_candidate_t> candidates, Trace *trace = nullptr);

/** Is the candidate offered, and does it take a key? Whether it is usable is another question. */
bool admits_key(const btns_candidate_t &candidate, const uint8_t *fingerprint);

} // namespace btns
