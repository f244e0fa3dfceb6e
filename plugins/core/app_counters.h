/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_counters.h
 * What the application socket has to do, for people.
 */
#pragma once

#include <atomic>
#include <cstdint>

namespace btns
{

struct AppCounters
{
	/** now */
	std::atomic<uint64_t> clients = 0;
	std::atomic<uint64_t> watches = 0;
	std::atomic<uint64_t> latches = 0;
	/** since the plugin was loaded */
	std::atomic<uint64_t> requests = 0;
	/** clients that were turned away or dropped */
	std::atomic<uint64_t> refused = 0;
};

} // namespace btns
