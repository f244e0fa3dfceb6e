/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file fuzz.h
 * What the fuzz targets share: how an input is read, and how one says what must hold.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "btns/core.h"

namespace btns::fuzz
{

using Bytes = std::span<const uint8_t>;

/** End the run, as a crash with this input, unless it holds. */
inline void require(bool holds, const char *what)
{
	if (!holds)
	{
		std::fprintf(stderr, "does not hold: %s\n", what);
		std::abort();
	}
}

/** Takes what a target needs off an input. Once the input is used up, everything taken is 0 or empty. */
class Input
{
public:
	Input(const uint8_t *data, size_t size) : rest_(data, size) {}

	[[nodiscard]] bool empty() const { return rest_.empty(); }

	uint8_t octet()
	{
		const Bytes taken = octets(1);
		return taken.empty() ? uint8_t{0} : taken.front();
	}

	/** A number below a limit of at most 256. */
	unsigned below(unsigned limit) { return octet() % limit; }

	bool flag() { return (octet() & 1) != 0; }

	Bytes octets(size_t count)
	{
		const Bytes taken = rest_.first(std::min(count, rest_.size()));
		rest_ = rest_.subspan(taken.size());
		return taken;
	}

	/** What is left. */
	Bytes all() { return octets(rest_.size()); }

	/** As a string that ends at the first NUL, for functions that take such. */
	std::string text()
	{
		const Bytes taken = all();
		const std::string whole(taken.begin(), taken.end());
		return whole.c_str();
	}

private:
	Bytes rest_;
};

inline btns_bytes_t view(Bytes bytes)
{
	return {bytes.data(), bytes.size()};
}

} // namespace btns::fuzz

/** The entry that libFuzzer calls. */
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
