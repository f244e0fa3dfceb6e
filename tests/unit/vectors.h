/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file vectors.h
 * Test vectors from tests/data: [name], then "key = value"; a value may go on in lines that begin with a blank.
 */
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace btns::test
{

using Octets = std::vector<uint8_t>;

struct Vector
{
	std::string name;
	std::map<std::string, std::string> values;

	/** Throws if there is none. */
	[[nodiscard]] const std::string &text(const std::string &key) const { return values.at(key); }
	[[nodiscard]] unsigned number(const std::string &key) const { return static_cast<unsigned>(std::stoul(text(key))); }
	/** From hex. */
	[[nodiscard]] Octets octets(const std::string &key) const;
};

Octets from_hex(const std::string &hex);

/** Read a file of tests/data. Throws if it cannot or if there is no vector. */
std::vector<Vector> load_vectors(const std::string &file);
/** The one vector with this name. */
Vector load_vector(const std::string &file, const std::string &name);

} // namespace btns::test
