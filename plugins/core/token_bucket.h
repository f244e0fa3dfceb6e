/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file token_bucket.h
 * A rate with a burst.
 */
#pragma once

#include <algorithm>
#include <cstdint>

namespace btns
{

/** How fast a bucket fills, and how much it holds. */
struct BucketSize
{
	/** tokens per millisecond, at least 1 */
	int64_t rate;
	/** tokens, at least 1 */
	int64_t capacity;
};

/**
 * A token bucket that is full in the beginning. Whoever finds a token in it may go, and what that costs is taken even
 * if it is more than there is: so the dearest thing passes a small bucket, and the rate holds nevertheless.
 */
class TokenBucket
{
public:
	/** Is there a token? @param now	milliseconds of a monotonic clock; an earlier time than before counts as that */
	[[nodiscard]] bool has(const BucketSize &size, int64_t now) const { return missing_at(size, now) < size.capacity; }

	/** As good as a new one? */
	[[nodiscard]] bool is_full(const BucketSize &size, int64_t now) const { return missing_at(size, now) == 0; }

	void take(int64_t cost, const BucketSize &size, int64_t now)
	{
		missing_ = missing_at(size, now) + cost;
		then_ = std::max(then_, now);
	}

private:
	[[nodiscard]] int64_t missing_at(const BucketSize &size, int64_t now) const
	{
		// no longer than it takes to be full, so that nothing overflows
		const int64_t elapsed = std::clamp<int64_t>(now - then_, 0, missing_ / size.rate + 1);
		return std::max<int64_t>(0, missing_ - elapsed * size.rate);
	}

	int64_t missing_ = 0;
	int64_t then_ = 0;
};

} // namespace btns
