/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file digest_memo.h
 * Remembers what was found to be so.
 */
#pragma once

#include <array>
#include <mutex>

#include "key.h"

namespace btns
{

/**
 * A set of SHA-256 digests of fixed size, 32 KiB: an insertion may push another one out, and whatever is in it was
 * inserted. Thread-safe.
 */
class DigestMemo
{
public:
	static constexpr size_t slots = 1024;

	[[nodiscard]] bool contains(const Fingerprint &digest) const;
	void insert(const Fingerprint &digest);

private:
	mutable std::mutex mutex_;
	/** each digest has one place; zeros, which no known input hashes to, are an empty one */
	std::array<Fingerprint, slots> digests_{};
};

} // namespace btns
