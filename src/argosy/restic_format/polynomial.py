"""Polynomials over GF(2), as ints (bit i is the coefficient of x^i): the config holds one of degree 53.

restic's chunker needs it irreducible and refuses a repository whose is not (github.com/restic/chunker
polynomials.go).
"""

from __future__ import annotations

from collections.abc import Callable

DEGREE = 53

_MAX_DRAWS = 10_000


def make_polynomial(draw: Callable[[int], bytes]) -> int:
    """A random irreducible polynomial of degree 53. ``draw(n)`` gives ``n`` unpredictable bytes.

    One in about 27 candidates is irreducible.
    """
    for _ in range(_MAX_DRAWS):
        candidate = int.from_bytes(draw(8), "little") & (1 << DEGREE) - 1
        candidate |= 1 << DEGREE | 1
        if is_irreducible(candidate):
            return candidate
    raise ValueError("the source of random bytes gives no irreducible polynomial")


def is_irreducible(polynomial: int) -> bool:
    """Ben-Or's test: no factor of degree i divides x^(2^i) - x, for i up to half the degree."""
    if polynomial < 0b10:
        return False
    degree = polynomial.bit_length() - 1
    power = 0b10
    for _ in range(degree // 2):
        power = _square(power, polynomial)
        if _common_divisor(polynomial, power ^ 0b10) != 1:
            return False
    return True


def _square(value: int, modulus: int) -> int:
    # Squaring over GF(2) puts a zero between any two bits: binary digits read in base 4.
    return _remainder(int(f"{value:b}", 4), modulus)


def _remainder(value: int, modulus: int) -> int:
    length = modulus.bit_length()
    while value.bit_length() >= length:
        value ^= modulus << value.bit_length() - length
    return value


def _common_divisor(a: int, b: int) -> int:
    while b:
        a, b = b, _remainder(a, b)
    return a
