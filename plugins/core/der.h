/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file der.h
 * The part of DER (X.690) that keys and certificates need: a strict reader and a writer.
 */
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "cursor.h"
#include "result.h"

namespace btns::der
{

/** Identifier octets. */
constexpr uint8_t tag_boolean = 0x01;
constexpr uint8_t tag_integer = 0x02;
constexpr uint8_t tag_bit_string = 0x03;
constexpr uint8_t tag_octet_string = 0x04;
constexpr uint8_t tag_null = 0x05;
constexpr uint8_t tag_oid = 0x06;
constexpr uint8_t tag_utc_time = 0x17;
constexpr uint8_t tag_generalized_time = 0x18;
constexpr uint8_t tag_sequence = 0x30;
constexpr uint8_t tag_set = 0x31;

/** Identifier octet of a context-specific tag, number 0 to 30. */
constexpr uint8_t tag_context(unsigned number, bool constructed)
{
	return static_cast<uint8_t>(0x80 | (constructed ? 0x20 : 0) | number);
}

/** One element; views into what was read. */
struct Element
{
	/** identifier octet */
	uint8_t tag;
	Bytes content;
	/** identifier, length and content */
	Bytes whole;
};

/**
 * Read one element: single-octet identifier, definite length in its shortest form, below 16 MiB.
 *
 * @return	nothing if it is malformed or does not fit; the cursor has not moved then
 */
std::optional<Element> read(Cursor &cursor);

/** Read one element that must have this tag; yields its content. */
std::optional<Bytes> read(Cursor &cursor, uint8_t tag);

/**
 * Read what is one SEQUENCE and nothing else; yields its content.
 *
 * @param malformed	the reason if there is no SEQUENCE at the beginning
 * @return			or BTNS_REASON_KEY_TRAILING if something follows
 */
Result<Bytes> read_outer_sequence(Bytes der, btns_reason_t malformed);

/**
 * Read a positive INTEGER in its shortest form.
 *
 * @return	the magnitude, big endian, no leading zero octet
 */
std::optional<Bytes> read_positive(Cursor &cursor);

/** Read a BIT STRING of whole octets; yields them. */
std::optional<Bytes> read_octet_aligned_bits(Cursor &cursor);

/** Write an element whose content is the parts, one after the other. */
std::vector<uint8_t> write(uint8_t tag, std::initializer_list<Bytes> parts);

/** Write an INTEGER from a magnitude, big endian, that has no leading zero octet. */
std::vector<uint8_t> write_positive(Bytes magnitude);

/** Write a BIT STRING of whole octets. */
std::vector<uint8_t> write_octet_aligned_bits(Bytes octets);

} // namespace btns::der
