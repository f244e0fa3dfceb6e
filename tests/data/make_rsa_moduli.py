#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Prints rsa-moduli.txt: RSA keys with one fault each. The seed is fixed, so the output is, too."""

import math
import random
import textwrap

rng = random.Random("strongswan-btns rsa-moduli")
E = 65537


def is_prime(n):
    if n < 4 or n % 2 == 0:
        return n in (2, 3)
    if any(n % p == 0 for p in SMALL if p < n):
        return False
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(24):
        x = pow(rng.randrange(2, n - 1), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


SMALL = [p for p in range(3, 2000, 2) if all(p % q for q in range(3, math.isqrt(p) + 1, 2))]


def next_prime(n):
    n |= 1
    while not is_prime(n):
        n += 2
    return n


def prime(bits):
    """The two highest bits are set, so that a product has the full length."""
    return next_prime(rng.getrandbits(bits) | 3 << (bits - 2))


def roca_prime(bits, primes):
    """k * M + (65537^a mod M), with M the product of the first primes (CVE-2017-15361)."""
    m = math.prod(primes)
    while True:
        k = (rng.getrandbits(bits) | 3 << (bits - 2)) // m
        p = k * m + pow(E, rng.randrange(m), m)
        if p.bit_length() == bits and is_prime(p):
            return p


def block(name, how, reason, n, e=E):
    print(f"\n# {how}\n[{name}]\nreason = {reason}\nbits = {n.bit_length()}")
    for key, value in (("modulus", n), ("exponent", e)):
        digits = value.to_bytes((value.bit_length() + 7) // 8, "big").hex()
        print(f"{key} =", *textwrap.wrap(digits, 100), sep="\n  " if len(digits) > 90 else " ")


print("# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception")
print("# RSA public keys, big endian hex, and the code of the reason why they are refused; made by make_rsa_moduli.py.")

p, q = prime(1024), prime(1024)
good = p * q
block("good-2048", "p * q, random primes of 1024 bits", "none", good)
block("good-3072", "p * q, random primes of 1536 bits", "none", prime(1536) * prime(1536))
block("good-4096", "p * q, random primes of 2048 bits", "none", prime(2048) * prime(2048))
block("good-exponent-256-bits", "the largest exponent there may be", "none", good, 2**256 - 1)

block("exponent-3", "e = 3", "rsa-exponent", good, 3)
block("exponent-1", "e = 1: a signature is the message", "rsa-exponent", good, 1)
block("exponent-65535", "e = 65535, odd and one too small", "rsa-exponent", good, 65535)
block("exponent-even", "e = 65538", "rsa-exponent", good, 65538)
block("exponent-257-bits", "e = 2^256 + 1", "rsa-exponent", good, 2**256 + 1)

block("short-1024", "p * q, random primes of 512 bits", "rsa-too-short", prime(512) * prime(512))
short = next(n for n in iter(lambda: prime(1024) * next_prime(2**1022 + rng.getrandbits(1020)), None)
             if n.bit_length() == 2047)
block("short-2047", "p * q, one bit below the limit", "rsa-too-short", short)
block("long-8193", "2^8192 + 1: one bit above the limit", "rsa-too-long", 2**8192 + 1)
block("long-16384", "2^16383 + 1", "rsa-too-long", 2**16383 + 1)

block("even", "2 * p, p prime", "rsa-even", 2 * prime(2047))
block("factor-3", "3 * p, p prime", "rsa-small-factor", 3 * prime(2047))
block("factor-65521", "65521 * p, the largest prime below 2^16", "rsa-small-factor", 65521 * prime(2033))
block("good-factor-65537", "65537 * p: the smallest factor that is not looked for", "none", 65537 * prime(2033))

block("prime-2048", "a prime of 2048 bits", "rsa-prime", prime(2048))
block("square", "p^2, p of 1024 bits", "rsa-perfect-power", prime(1024) ** 2)
block("cube", "p^3, p of 683 bits", "rsa-perfect-power", prime(683) ** 3)
block("power-97", "p^97, p of 22 bits", "rsa-perfect-power", prime(22) ** 97)

close = prime(1024)
block("close-next-prime", "p * nextprime(p)", "rsa-close-primes", close * next_prime(close + 2))
close = prime(1024)
block("close-2-500", "p * nextprime(p + 2^500): the first round of Fermat's method finds it", "rsa-close-primes",
      close * next_prime(close + 2**500))


def fermat_rounds(p, q):
    return (p + q) // 2 - math.isqrt(p * q)


def needs_rounds(rounds):
    """Primes that take Fermat's method this many rounds: (q - p)^2 / (4 (p + q)) of them."""
    while True:
        p = prime(1024)
        q = next_prime(p + math.isqrt(8 * p * rounds - 4 * p))
        if fermat_rounds(p, q) == rounds:
            return p * q


block("close-100-rounds", "p * q, found by the 100th round of Fermat's method", "rsa-close-primes", needs_rounds(100))
block("good-101-rounds", "p * q, would be found by the 101st round", "none", needs_rounds(101))

FIRST_126 = [2] + SMALL[:125]
assert FIRST_126[-1] == 701
block("roca-2048", "p * q, both k * M + (65537^a mod M), M the product of the first 126 primes", "rsa-roca",
      roca_prime(1024, FIRST_126) * roca_prime(1024, FIRST_126))
FIRST_39 = [2] + SMALL[:38]
assert FIRST_39[-1] == 167
block("roca-39-primes", "the same with M the product of the first 39 primes", "rsa-roca",
      roca_prime(1024, FIRST_39) * roca_prime(1024, FIRST_39))
WITHOUT_157 = [p for p in FIRST_39 if p != 157]
SUBGROUP_OF_157 = {pow(E, i, 157) for i in range(157)}
n = next(n for n in iter(lambda: roca_prime(1024, WITHOUT_157) * roca_prime(1024, WITHOUT_157), None)
         if n % 157 not in SUBGROUP_OF_157)
block("good-not-roca-by-one", "the same without 157, so that only 157 tells that it is none", "none", n)
