/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file mpz.h
 * An integer of GMP's that frees itself.
 *
 * GMP aborts the process when memory runs out: bound the size of every number before it gets here.
 */
#pragma once

#include <gmp.h>

#include "cursor.h"

namespace btns
{

class Mpz
{
public:
	Mpz() { mpz_init(value_); }
	explicit Mpz(unsigned long value) { mpz_init_set_ui(value_, value); }
	/** From a magnitude, big endian. */
	explicit Mpz(Bytes magnitude) : Mpz() { mpz_import(value_, magnitude.size(), 1, 1, 1, 0, magnitude.data()); }
	Mpz(const Mpz &) = delete;
	Mpz &operator=(const Mpz &) = delete;
	Mpz(Mpz &&) = delete;
	Mpz &operator=(Mpz &&) = delete;
	~Mpz() { mpz_clear(value_); }

	/** For GMP's functions. */
	[[nodiscard]] mpz_ptr get() { return value_; }
	[[nodiscard]] mpz_srcptr get() const { return value_; }

	[[nodiscard]] size_t bits() const { return mpz_sgn(value_) == 0 ? 0 : mpz_sizeinbase(value_, 2); }

private:
	mpz_t value_;
};

} // namespace btns
