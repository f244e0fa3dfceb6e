/* SPDX-License-Identifier: MIT */
/**
 * @file json.h
 * Messages of vici as JSON: sections are objects, lists are arrays, values are strings.
 */
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace btnsctl
{

/** Keeps the order of fields. Strings may have any octets until they are printed. */
using Json = nlohmann::ordered_json;
using Messages = std::vector<Json>;

/** The value of a field, or another one if there is none. */
std::string get(const Json &message, const std::string &field, const std::string &otherwise = "");

/** The same with those fields as numbers that are numbers by definition (docs/vici.md), and yes and no as they are. */
Json typed(const Json &message);

/**
 * As text in ASCII: what is no ASCII is escaped, what is no UTF-8 is U+FFFD.
 *
 * @param pretty	in several lines
 */
std::string to_text(const Json &json, bool pretty);

} // namespace btnsctl
