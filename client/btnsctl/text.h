/* SPDX-License-Identifier: MIT */
/**
 * @file text.h
 * Text for a terminal.
 */
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace btnsctl
{

/**
 * Make text harmless: peers choose what they call themselves. Control characters, what is no UTF-8, characters that
 * change the direction of text, have no width or break lines, and the backslash itself are written as \xHH, \u{HHHH}
 * and \\.
 *
 * @param utf8	FALSE for a terminal that knows ASCII only: all else is escaped, too
 */
std::string safe(std::string_view text, bool utf8 = true);

/** Does this process's locale have UTF-8? */
bool is_utf8();

/** "12s", "3m 4s", "5h 6m", "7d 8h" */
std::string duration(int64_t seconds);

/** "2026-01-31 23:59:59" in local time. */
std::string timestamp(int64_t seconds);

/** "a, b, c" */
std::string join(const std::vector<std::string> &words, std::string_view between = ", ");

/** A system's error number as a sentence. */
std::string error_text(int error);

/** A variable of the environment, empty if it is not set. */
std::string environment(const char *name);

/** Octets as lower-case hex digits. */
std::string to_hex(std::string_view octets);

/** TRUE if all are hex digits, and there are some. */
bool is_hex(std::string_view text);

} // namespace btnsctl
