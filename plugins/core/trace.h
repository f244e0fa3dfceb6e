/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file trace.h
 * What a decision looked at, in order: for whoever wants to have it explained.
 */
#pragma once

#include <vector>

#include "btns/core.h"

namespace btns
{

/** One thing that a decision looked at. */
struct TraceStep
{
	/** stable name, static storage */
	const char *step;
	/** NONE if that is no obstacle */
	btns_reason_t reason;
};

using Trace = std::vector<TraceStep>;

/**
 * Note a step.
 *
 * @param trace	NULL for nobody
 * @return		TRUE if it is an obstacle
 */
inline bool note(Trace *trace, const char *step, btns_reason_t reason)
{
	if (trace != nullptr)
	{
		trace->push_back({step, reason});
	}
	return reason != BTNS_REASON_NONE;
}

} // namespace btns
