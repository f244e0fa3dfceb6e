/* SPDX-License-Identifier: MIT */
/**
 * @file host.h
 * What is found out about this host without charon.
 */
#pragma once

#include <string>

#include "doctor.h"

namespace btnsctl
{

/**
 * Fill in the kernel's part of Facts, by what is in /proc, /sys, /dev and /lib/modules.
 *
 * @param root	where these are, empty for /
 */
void look_at_kernel(const std::string &root, Facts &facts);

/** Fill in the private keys below a folder like /etc/swanctl. */
void look_at_keys(const std::string &folder, Facts &facts);

/** Fill in the clock. */
void look_at_clock(Facts &facts);

/**
 * Package revision of the installed strongSwan, by dpkg's database; empty if it cannot be told.
 *
 * @param root	where /var/lib/dpkg is, empty for /
 */
std::string installed_package(const std::string &root);

} // namespace btnsctl
