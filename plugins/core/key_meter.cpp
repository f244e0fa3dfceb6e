/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "key_meter.h"

#include <algorithm>

#include "admission.h"

namespace btns
{

namespace
{

using Lock = std::lock_guard<std::mutex>;

constexpr int64_t rsa_2048_cost = 6000;

/** Milliseconds per second are microseconds per millisecond. */
BucketSize bucket_size(unsigned rate)
{
	const int64_t tokens = std::max(rate, 1U);
	return {tokens, tokens * 1000};
}

} // namespace

int64_t key_cost(btns_key_type_t type, unsigned bits)
{
	switch (type)
	{
	case BTNS_KEY_RSA:
	{
		const int64_t size = std::max(bits, 2048U);
		return rsa_2048_cost * size / 2048 * size / 2048 * size / 2048;
	}
	case BTNS_KEY_ECDSA:
		return bits <= 256 ? 1000 : 3000;
	case BTNS_KEY_ED25519:
		return 300;
	case BTNS_KEY_ED448:
		return 1000;
	case BTNS_KEY_NONE:
		break;
	}
	return payload_cost;
}

/** Forget full buckets if there are many; KEY_RATE if there are too many others. */
btns_reason_t KeyMeter::check_room(const BucketSize &size, int64_t now)
{
	if (by_source_.size() >= sweep_at_)
	{
		std::erase_if(by_source_, [&](const auto &source) { return source.second.is_full(size, now); });
		sweep_at_ = std::clamp<size_t>(2 * by_source_.size(), 64, metered_sources_max);
	}
	return by_source_.size() < metered_sources_max ? BTNS_REASON_NONE : BTNS_REASON_KEY_RATE;
}

/** Is there something in the bucket for all and in that of the source? */
btns_reason_t KeyMeter::check_buckets(const Address &source, const KeyRates &rates, int64_t now) const
{
	if (!total_.has(bucket_size(rates.total), now))
	{
		return BTNS_REASON_KEY_RATE;
	}
	const auto found = by_source_.find(source);
	return found == by_source_.end() || found->second.has(bucket_size(rates.per_source), now)
			   ? BTNS_REASON_NONE
			   : BTNS_REASON_KEY_RATE_PER_SOURCE;
}

btns_reason_t KeyMeter::spend(const Address &address, int64_t cost, const KeyRates &rates, int64_t now)
{
	const Address source = source_of(address);
	const BucketSize size = bucket_size(rates.per_source);
	const BucketSize total = bucket_size(rates.total);

	const Lock lock(mutex_);
	if (const auto reason = check_buckets(source, rates, now); reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	auto found = by_source_.find(source);
	if (found == by_source_.end())
	{
		if (const auto reason = check_room(size, now); reason != BTNS_REASON_NONE)
		{
			return reason;
		}
		found = by_source_.try_emplace(source).first;
	}
	found->second.take(cost, size, now);
	total_.take(cost, total, now);
	spent_ += static_cast<uint64_t>(cost);
	return BTNS_REASON_NONE;
}

btns_reason_t KeyMeter::check(const Address &address, const KeyRates &rates, int64_t now) const
{
	const Lock lock(mutex_);
	return check_buckets(source_of(address), rates, now);
}

btns_reason_t KeyMeter::spend(int64_t cost, const KeyRates &rates, int64_t now)
{
	const BucketSize total = bucket_size(rates.total);

	const Lock lock(mutex_);
	if (!total_.has(total, now))
	{
		return BTNS_REASON_KEY_RATE;
	}
	total_.take(cost, total, now);
	spent_ += static_cast<uint64_t>(cost);
	return BTNS_REASON_NONE;
}

KeyMeter::Totals KeyMeter::totals() const
{
	const Lock lock(mutex_);
	return {spent_, by_source_.size()};
}

} // namespace btns
