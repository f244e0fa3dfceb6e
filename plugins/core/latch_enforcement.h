/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_enforcement.h
 * Are latches enforced? Always, but in a build that shows that tests can tell: -Dlatch_enforcement=false, which is
 * never installed. There latches are made, listed and closed as ever, and hold nothing.
 */
#pragma once

namespace btns
{

#ifdef BTNS_LATCHES_UNENFORCED
constexpr bool latches_enforced = false;
#else
constexpr bool latches_enforced = true;
#endif

} // namespace btns
