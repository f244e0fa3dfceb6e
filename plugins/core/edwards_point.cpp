/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "edwards_point.h"

#include <algorithm>
#include <vector>

#include "mpz.h"

namespace btns
{

namespace
{

/** a x^2 + y^2 = 1 + d x^2 y^2 over the integers modulo p; d is no square. */
struct Curve
{
	Mpz p;
	Mpz d;
	/** 1 or -1 */
	int a;
	/** 4 or 8 */
	unsigned cofactor;
};

/** p = 2^255 - 19, a = -1, d = -121665/121666 */
struct Edwards25519 : Curve
{
	Edwards25519()
	{
		mpz_ui_pow_ui(p.get(), 2, 255);
		mpz_sub_ui(p.get(), p.get(), 19);
		const Mpz denominator(121666UL);
		mpz_invert(d.get(), denominator.get(), p.get());
		mpz_mul_si(d.get(), d.get(), -121665);
		mpz_mod(d.get(), d.get(), p.get());
		a = -1;
		cofactor = 8;
	}
};

/** p = 2^448 - 2^224 - 1, a = 1, d = -39081 */
struct Edwards448 : Curve
{
	Edwards448()
	{
		Mpz middle;
		mpz_ui_pow_ui(middle.get(), 2, 224);
		mpz_ui_pow_ui(p.get(), 2, 448);
		mpz_sub(p.get(), p.get(), middle.get());
		mpz_sub_ui(p.get(), p.get(), 1);
		mpz_sub_ui(d.get(), p.get(), 39081);
		a = 1;
		cofactor = 4;
	}
};

/** Points whose order divides the cofactor, told by y^2 alone. */
bool has_small_order(const Curve &curve, const Mpz &y_squared)
{
	// y = 0 has order 4, y = 1 is the neutral element, y = -1 has order 2
	if (mpz_cmp_ui(y_squared.get(), 1) <= 0)
	{
		return true;
	}
	if (curve.cofactor < 8)
	{
		return false;
	}
	// order 8: doubling gives y = 0, hence x^2 = -y^2 (for a = -1), and with the curve's equation d y^4 + 2 y^2 = 1
	Mpz value;
	mpz_mul(value.get(), curve.d.get(), y_squared.get());
	mpz_add_ui(value.get(), value.get(), 2);
	mpz_mul(value.get(), value.get(), y_squared.get());
	mpz_sub_ui(value.get(), value.get(), 1);
	return mpz_divisible_p(value.get(), curve.p.get()) != 0;
}

/** x^2 = (y^2 - 1) / (d y^2 - a) has a root if and only if the product of the two has. */
bool has_x(const Curve &curve, const Mpz &y_squared)
{
	Mpz numerator;
	Mpz denominator;
	mpz_sub_ui(numerator.get(), y_squared.get(), 1);
	mpz_mul(denominator.get(), curve.d.get(), y_squared.get());
	if (curve.a > 0)
	{
		mpz_sub_ui(denominator.get(), denominator.get(), 1);
	}
	else
	{
		mpz_add_ui(denominator.get(), denominator.get(), 1);
	}
	mpz_mul(numerator.get(), numerator.get(), denominator.get());
	mpz_mod(numerator.get(), numerator.get(), curve.p.get());
	return mpz_jacobi(numerator.get(), curve.p.get()) == 1;
}

bool is_point(const Curve &curve, Bytes point)
{
	// little endian, the highest bit is the sign of x
	std::vector<uint8_t> octets(point.rbegin(), point.rend());
	octets.front() &= 0x7f;
	const Mpz y(octets);
	if (mpz_cmp(y.get(), curve.p.get()) >= 0)
	{
		return false;
	}
	Mpz y_squared;
	mpz_mul(y_squared.get(), y.get(), y.get());
	mpz_mod(y_squared.get(), y_squared.get(), curve.p.get());
	return !has_small_order(curve, y_squared) && has_x(curve, y_squared);
}

} // namespace

bool is_ed25519_point(Bytes point)
{
	static const Edwards25519 curve;
	return point.size() == ed25519_octets && is_point(curve, point);
}

bool is_ed448_point(Bytes point)
{
	static const Edwards448 curve;
	return point.size() == ed448_octets && is_point(curve, point);
}

} // namespace btns
