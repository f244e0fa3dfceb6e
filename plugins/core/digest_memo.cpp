/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "digest_memo.h"

namespace btns
{

namespace
{

size_t slot_of(const Fingerprint &digest)
{
	return (size_t{digest[0]} << 8 | digest[1]) % DigestMemo::slots;
}

} // namespace

bool DigestMemo::contains(const Fingerprint &digest) const
{
	const std::lock_guard lock(mutex_);
	return digests_.at(slot_of(digest)) == digest && digest != Fingerprint{};
}

void DigestMemo::insert(const Fingerprint &digest)
{
	const std::lock_guard lock(mutex_);
	digests_.at(slot_of(digest)) = digest;
}

} // namespace btns
