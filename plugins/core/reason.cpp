/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "reason.h"

#include <array>

namespace btns
{

namespace
{

constexpr std::array<ReasonText, BTNS_REASON_COUNT> reasons{{
	{"none", "there was no reason to refuse"},
#define BTNS_REASON(name, code, text) {code, text},
#include "btns/reasons.def"
#undef BTNS_REASON
}};

} // namespace

const ReasonText &reason_text(btns_reason_t reason)
{
	const auto index = static_cast<size_t>(reason);
	return index < reasons.size() ? reasons[index] : reasons[BTNS_REASON_INTERNAL];
}

} // namespace btns
