/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file pad.h
 * The PAD lookup (RFC 5386 2) as a pure function: which entries a peer may get.
 */
#pragma once

#include <span>
#include <vector>

#include "btns/core.h"

namespace btns
{

struct Verdict
{
	btns_choice_t choice = BTNS_CHOICE_NONE;
	btns_reason_t reason = BTNS_REASON_NONE;
	/** indexes of the candidates to yield, in this order */
	std::vector<size_t> order;
};

/** Decide. See btns_pad_lookup(). */
Verdict pad_lookup(const btns_claim_t &claim, std::span<const btns_candidate_t> candidates);

} // namespace btns
