/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file faults.cpp
 * Fault injection for test builds: a named function of core.h fails as if memory ran out.
 */
#ifdef BTNS_FAULTS

#include <mutex>
#include <string>

#include "guard.h"

namespace
{

struct Fault
{
	std::mutex mutex;
	std::string function;
	unsigned count = 0;
};

Fault &fault()
{
	static Fault instance;
	return instance;
}

} // namespace

void btns::fault_point(const char *function)
{
	Fault &planned = fault();
	const std::lock_guard lock(planned.mutex);
	if (planned.count > 0 && planned.function == function)
	{
		planned.count--;
		throw std::bad_alloc();
	}
}

extern "C" void btns_fault(const char *function, unsigned count)
{
	Fault &planned = fault();
	const std::lock_guard lock(planned.mutex);
	planned.function = function == nullptr ? "" : function;
	planned.count = function == nullptr ? 0 : count;
}

#endif
