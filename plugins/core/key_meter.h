/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file key_meter.h
 * How much of the CPU goes into strangers' keys: in all, and for one source.
 */
#pragma once

#include <map>
#include <mutex>

#include "address.h"
#include "token_bucket.h"

namespace btns
{

/** CPU time for keys, in milliseconds per second; what is allowed in one second may also be used at once. */
struct KeyRates
{
	unsigned total;
	unsigned per_source;
};

/** Microseconds for a message with CERT payloads, before it is known what is in them. */
constexpr int64_t payload_cost = 50;
/** Sources that are remembered at most; beyond that none gets its keys checked. */
constexpr size_t metered_sources_max = 16384;

/**
 * What it takes to check a key and to verify one signature with it, microseconds: nominal, measured on one ordinary
 * CPU. Grows with the cube of an RSA modulus.
 *
 * @param bits	RSA modulus or size of the curve
 */
int64_t key_cost(btns_key_type_t type, unsigned bits);

/**
 * Token buckets of microseconds. Thread-safe.
 *
 * A source is remembered only while something is missing in its bucket, and that was taken out of the common bucket,
 * too: so the rate in all bounds the number of sources, however many addresses somebody has.
 */
class KeyMeter
{
public:
	/**
	 * Take what a key costs.
	 *
	 * @param now	milliseconds of a monotonic clock
	 * @return		NONE, KEY_RATE or KEY_RATE_PER_SOURCE, and then nothing is taken
	 */
	btns_reason_t spend(const Address &address, int64_t cost, const KeyRates &rates, int64_t now);
	/** The same for what is not done for one source. */
	btns_reason_t spend(int64_t cost, const KeyRates &rates, int64_t now);
	/** What spend() would say for a source, with nothing taken. */
	[[nodiscard]] btns_reason_t check(const Address &address, const KeyRates &rates, int64_t now) const;

	struct Totals
	{
		/** microseconds that were taken */
		uint64_t spent = 0;
		/** sources that are remembered */
		size_t sources = 0;
	};
	[[nodiscard]] Totals totals() const;

private:
	btns_reason_t check_room(const BucketSize &size, int64_t now);
	[[nodiscard]] btns_reason_t check_buckets(const Address &source, const KeyRates &rates, int64_t now) const;

	mutable std::mutex mutex_;
	TokenBucket total_;
	std::map<Address, TokenBucket> by_source_;
	/** number of sources at which full buckets are looked for */
	size_t sweep_at_ = 64;
	uint64_t spent_ = 0;
};

} // namespace btns
