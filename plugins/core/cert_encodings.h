/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file cert_encodings.h
 * In which CERT encodings raw public keys are asked for and sent, so that peers that know only some can go on.
 */
#pragma once

#include <array>
#include <cstddef>

#include "btns/core.h"

namespace btns
{

/** A few encodings in an order. */
struct EncodingList
{
	std::array<unsigned, BTNS_ENCODINGS_MAX> encodings{};
	size_t count = 0;

	void add(unsigned encoding) { encodings.at(count++) = encoding; }
};

/** Of btns_encoding_bit_t; 0 if an encoding carries no key. */
unsigned encoding_bit(unsigned encoding);

/**
 * The order of our CERT payloads. OpenIKED looks at the first one only, and fails if it is of type 15; others ignore
 * what they do not know. So type 11 comes first, and whoever asks for a raw public key, but for none of type 15, gets
 * none of that: it rather uses the key it knows.
 *
 * @param enabled	mask of what may be sent
 * @param requested	mask of the raw public keys in the peer's CERTREQ payloads, 0 for none
 */
EncodingList encodings_to_send(unsigned enabled, unsigned requested);

/**
 * The order of our CERTREQ payloads (RFC 7670 3). OpenIKED answers the last one with whatever key it has, but not one
 * of type 15: it would never go on. So that is never the last one that a peer sees of whom nothing is known.
 *
 * @param enabled	mask of what is accepted
 * @param stranger	the peer is to be a stranger; else that is not known
 */
EncodingList encodings_to_request(unsigned enabled, bool stranger);

} // namespace btns
