/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "rsa_check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>

#include "digest_memo.h"
#include "key.h"
#include "mpz.h"

namespace btns
{

namespace
{

constexpr unsigned long exponent_min = 65537;
constexpr unsigned long small_factor_max = 65535;
constexpr unsigned fermat_rounds = 100;

/** The odd primes whose product divides the M of every key that the faulty library makes. */
constexpr std::array<unsigned, 38> roca_primes{3,	5,	 7,	  11,  13,	17,	 19,  23,  29,	31,	 37,  41,  43,
											   47,	53,	 59,  61,  67,	71,	 73,  79,  83,	89,	 97,  101, 103,
											   107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
constexpr unsigned roca_generator = 65537;

using Residues = std::bitset<168>;

/** For each prime, the subgroup that the generator makes. */
std::array<Residues, roca_primes.size()> make_roca_subgroups()
{
	std::array<Residues, roca_primes.size()> subgroups;
	for (size_t i = 0; i < roca_primes.size(); i++)
	{
		const unsigned prime = roca_primes[i];
		unsigned element = 1;
		do
		{
			subgroups[i].set(element);
			element = element * (roca_generator % prime) % prime;
		} while (element != 1);
	}
	return subgroups;
}

/** n = p*q and p, q are powers of the generator modulo M, so n is one modulo each prime in M. */
bool has_roca_fingerprint(const Mpz &modulus)
{
	static const auto subgroups = make_roca_subgroups();
	for (size_t i = 0; i < roca_primes.size(); i++)
	{
		if (!subgroups[i].test(mpz_fdiv_ui(modulus.get(), roca_primes[i])))
		{
			return false;
		}
	}
	return true;
}

/** Product of all primes below 2^16. */
const Mpz &small_primes()
{
	struct Primorial : Mpz
	{
		Primorial() { mpz_primorial_ui(get(), small_factor_max); }
	};
	static const Primorial primorial;
	return primorial;
}

bool has_small_factor(const Mpz &modulus)
{
	Mpz divisor;
	mpz_gcd(divisor.get(), small_primes().get(), modulus.get());
	return mpz_cmp_ui(divisor.get(), 1) != 0;
}

/** Fermat: n = a^2 - b^2 with a just above the square root. */
bool has_close_primes(const Mpz &modulus)
{
	Mpz a;
	Mpz b_squared;
	mpz_sqrt(a.get(), modulus.get());
	for (unsigned round = 0; round < fermat_rounds; round++)
	{
		mpz_add_ui(a.get(), a.get(), 1);
		mpz_mul(b_squared.get(), a.get(), a.get());
		mpz_sub(b_squared.get(), b_squared.get(), modulus.get());
		if (mpz_perfect_square_p(b_squared.get()) != 0)
		{
			return true;
		}
	}
	return false;
}

/**
 * A composite costs one modular exponentiation: GMP stops at the first base that tells. That is most of what a peer
 * with an RSA key costs, so the composites that came last are remembered, for peers that come again.
 */
bool is_prime(Bytes magnitude, const Mpz &modulus)
{
	static DigestMemo composites;
	const Fingerprint digest = fingerprint(magnitude);
	if (composites.contains(digest))
	{
		return false;
	}
	if (mpz_probab_prime_p(modulus.get(), 1) != 0)
	{
		return true;
	}
	composites.insert(digest);
	return false;
}

} // namespace

unsigned bit_length(Bytes magnitude)
{
	if (magnitude.empty())
	{
		return 0;
	}
	return static_cast<unsigned>((magnitude.size() - 1) * 8 + std::bit_width(magnitude.front()));
}

btns_reason_t check_rsa_bounds(const RsaNumbers &key)
{
	if (bit_length(key.modulus) > rsa_modulus_max)
	{
		return BTNS_REASON_RSA_LONG;
	}
	if (bit_length(key.exponent) > rsa_exponent_max)
	{
		return BTNS_REASON_RSA_EXPONENT;
	}
	return BTNS_REASON_NONE;
}

btns_reason_t check_rsa(const RsaNumbers &key, unsigned min_bits)
{
	if (const auto reason = check_rsa_bounds(key); reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	const Mpz modulus(key.modulus);
	const Mpz exponent(key.exponent);

	if (modulus.bits() < std::max(min_bits, rsa_modulus_floor))
	{
		return BTNS_REASON_RSA_SHORT;
	}
	if (mpz_cmp_ui(exponent.get(), exponent_min) < 0 || mpz_even_p(exponent.get()))
	{
		return BTNS_REASON_RSA_EXPONENT;
	}
	if (mpz_even_p(modulus.get()))
	{
		return BTNS_REASON_RSA_EVEN;
	}
	// from cheap to dear; each later one may rely on the earlier ones
	if (has_small_factor(modulus))
	{
		return BTNS_REASON_RSA_SMALL_FACTOR;
	}
	if (has_roca_fingerprint(modulus))
	{
		return BTNS_REASON_RSA_ROCA;
	}
	if (mpz_perfect_power_p(modulus.get()) != 0)
	{
		return BTNS_REASON_RSA_POWER;
	}
	if (has_close_primes(modulus))
	{
		return BTNS_REASON_RSA_CLOSE_PRIMES;
	}
	if (is_prime(key.modulus, modulus))
	{
		return BTNS_REASON_RSA_PRIME;
	}
	return BTNS_REASON_NONE;
}

} // namespace btns
