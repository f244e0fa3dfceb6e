/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file reason.h
 * What the reasons of reasons.def are called.
 */
#pragma once

#include "btns/core.h"

namespace btns
{

/** Code and sentence of a reason; those of an internal error for a number that is none. Static storage. */
struct ReasonText
{
	const char *code;
	const char *text;
};

const ReasonText &reason_text(btns_reason_t reason);

} // namespace btns
