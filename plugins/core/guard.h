/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file guard.h
 * The one place where a C++ exception meets the C ABI.
 */
#pragma once

#include <cxxabi.h>

#include <new>
#include <utility>

#include "btns/core.h"

#ifndef BTNS_GUARDED
#error "what includes this is compiled with fault injection and without: it belongs to guarded_sources in meson.build"
#endif

namespace btns
{

#ifdef BTNS_FAULTS
/** Throws std::bad_alloc if the named function was told to fail. */
void fault_point(const char *function);
#else
inline void fault_point(const char *) {}
#endif

/**
 * Run a function of the core and map what it throws to a status.
 *
 * pthread cancellation unwinds through here as abi::__forced_unwind: it has to go on, so this function is not noexcept
 * and neither is anything of the ABI.
 *
 * @param function	name in core.h, for fault injection
 * @param body		returns btns_status_t
 */
template <typename Body>
btns_status_t guard(const char *function, Body &&body)
{
	try
	{
		fault_point(function);
		return std::forward<Body>(body)();
	}
	catch (abi::__forced_unwind &)
	{
		throw;
	}
	catch (const std::bad_alloc &)
	{
		return BTNS_STATUS_NOMEM;
	}
	catch (...)
	{
		return BTNS_STATUS_FAULT;
	}
}

/** The reason an administrator sees for a status that is no answer. */
inline btns_reason_t failure_reason(btns_status_t status)
{
	return status == BTNS_STATUS_NOMEM ? BTNS_REASON_OUT_OF_MEMORY : BTNS_REASON_INTERNAL;
}

} // namespace btns
