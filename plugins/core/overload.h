/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file overload.h
 * Who goes first when charon nears charon.ikesa_limit, which counts everybody's IKE_SAs.
 */
#pragma once

#include <algorithm>

namespace btns
{

/** IKE_SAs that strangers leave to others. */
inline unsigned kept_for_others(unsigned ikesa_limit)
{
	return std::min(ikesa_limit, std::max(ikesa_limit / 4, 2U));
}

/** May no stranger come any more? @param ikesa_limit	0 for no limit */
inline bool is_crowded(unsigned ike_sas, unsigned ikesa_limit)
{
	return ikesa_limit != 0 && ike_sas > ikesa_limit - kept_for_others(ikesa_limit);
}

/** How many strangers have to go: none until half of what is kept for others is in use. */
inline unsigned count_to_shed(unsigned ike_sas, unsigned ikesa_limit)
{
	const unsigned kept = kept_for_others(ikesa_limit);
	return ikesa_limit != 0 && ike_sas > ikesa_limit - (kept + 1) / 2 ? ike_sas - (ikesa_limit - kept) : 0;
}

} // namespace btns
