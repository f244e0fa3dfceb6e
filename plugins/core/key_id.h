/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file key_id.h
 * Names that begin with "btns:": the PUBLICKEY ID of a key, and the prefix that nobody may assert.
 */
#pragma once

#include <string>
#include <string_view>

#include "btns/core.h"
#include "cursor.h"

namespace btns
{

constexpr std::string_view reserved_prefix = "btns:";
constexpr std::string_view key_id_prefix = "btns:sha256:";
constexpr std::string_view null_id_prefix = "btns:null:";

/** Write "btns:sha256:<hex>" and NUL. */
void write_key_id(std::span<const uint8_t, BTNS_FINGERPRINT_LEN> fingerprint, std::span<char, BTNS_KEY_ID_LEN> out);

/**
 * What a peer that used NULL authentication is called: "btns:null:<SPI>-<SPI>", of the IKE_SA that it has set up, in
 * hex. It says that nobody knows who it is, and no other IKE_SA has it.
 */
std::string null_id(uint64_t spi_i, uint64_t spi_r);

/** Does it begin with "btns:", in any case, maybe after white space or NULs? */
bool is_reserved_name(Bytes id);

} // namespace btns
