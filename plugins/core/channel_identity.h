/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file channel_identity.h
 * Who is at either end of a channel, as digests that can be compared.
 */
#pragma once

#include "channel.h"

namespace btns
{

/** Over the peer's method, asserted and authorized identity and key: somebody for whom one of these is another is
 * somebody else. Throws std::bad_alloc, or std::runtime_error if OpenSSL has no SHA-256. */
Fingerprint peer_identity(const Channel &channel);

/** The same of our end, as far as a channel tells: method and key. */
Fingerprint local_identity(const Channel &channel);

} // namespace btns
