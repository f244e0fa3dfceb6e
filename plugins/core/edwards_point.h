/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file edwards_point.h
 * Public points of Ed25519 and Ed448 (RFC 8032).
 */
#pragma once

#include "cursor.h"

namespace btns
{

/** Octets of a public key (RFC 8032 5.1.5, 5.2.5). */
constexpr size_t ed25519_octets = 32;
constexpr size_t ed448_octets = 57;

/**
 * Does it decode to a point of the curve (RFC 8032 5.1.3, 5.2.3) that is not of small order?
 *
 * With a point of small order a signature exists that verifies for many messages, so it proves nothing. OpenSSL 3.0
 * finds both out only while it verifies, if at all. Points with a component of small order are let pass: making one
 * still takes the private key.
 */
bool is_ed25519_point(Bytes point);
bool is_ed448_point(Bytes point);

} // namespace btns
