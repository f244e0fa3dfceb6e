/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file ec_point.h
 * Public points of the NIST curves (RFC 5480), by OpenSSL.
 */
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "cursor.h"

namespace btns
{

/** A curve by name. */
struct NamedCurve
{
	/** content of its OBJECT IDENTIFIER */
	Bytes oid;
	/** OpenSSL's number for it */
	int nid;
	/** size of the field, bits */
	unsigned bits;
};

/** P-256, P-384 or P-521 by the content of its OBJECT IDENTIFIER; nullptr for any other. */
const NamedCurve *find_curve(Bytes oid);

/**
 * Decode a point, compressed or not, and check that it is on the curve; the cofactor is 1, so that is all there is.
 *
 * @param point	RFC 5480 2.2: 04 || X || Y, or 02 or 03 || X
 * @return		the point in uncompressed form; nothing for the point at infinity, hybrid form or no point
 */
std::optional<std::vector<uint8_t>> uncompress_point(const NamedCurve &curve, Bytes point);

} // namespace btns
