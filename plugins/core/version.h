/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file version.h
 * Which strongSwan is it?
 */
#pragma once

#include <optional>
#include <string_view>

#include "cursor.h"

namespace btns
{

/**
 * Find strongSwan's version among the strings of an executable.
 *
 * It is a whole NUL-delimited string: major 5 to 9, minor, patch, and maybe dr, rc or beta with a number. Other
 * libraries' versions look the same, so an image with two different ones has none.
 *
 * @return	view into the image
 */
std::optional<std::string_view> find_version(Bytes image);

} // namespace btns
