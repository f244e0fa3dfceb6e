/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file unit.h
 * Precompiled for the unit tests: what takes longest to read.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>
