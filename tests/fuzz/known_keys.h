/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file known_keys.h
 * CERT payloads with acceptable keys, which the targets that need some cannot wait to have guessed.
 */
#pragma once

#include <array>
#include <vector>

#include "btns/core.h"

namespace btns::fuzz
{

struct KnownKey
{
	unsigned encoding = 0;
	std::vector<uint8_t> body;
	std::array<uint8_t, BTNS_FINGERPRINT_LEN> fingerprint{};
};

/** Different keys, from tests/data; always the same ones. */
const std::vector<KnownKey> &known_keys();

} // namespace btns::fuzz
