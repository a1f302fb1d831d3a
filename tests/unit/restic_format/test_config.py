"""The config and its polynomial."""

from __future__ import annotations

import os

import pytest

from argosy.errors import Damaged, RepositoryError
from argosy.restic_format.config import (
    RepositoryConfig,
    decode_config,
    encode_config,
    make_config,
    open_config,
    seal_config,
)
from argosy.restic_format.crypto import MasterKey, Opener, Sealer
from argosy.restic_format.polynomial import DEGREE, is_irreducible, make_polynomial

# Of restic's own tests and documents.
POLYNOMIAL = 0x3DA3358B4DC173
CONFIG = RepositoryConfig(2, b"\xab" * 32, POLYNOMIAL)
JSON = b'{"version":2,"id":"%b","chunker_polynomial":"3da3358b4dc173"}' % (b"ab" * 32)


def test_a_config_has_the_bytes_that_restic_writes() -> None:
    assert encode_config(CONFIG) == JSON
    assert decode_config(JSON) == CONFIG


def test_a_config_is_stored_sealed_without_compression() -> None:
    key = MasterKey.generate(os.urandom)
    stored = seal_config(CONFIG, Sealer(key, os.urandom))
    assert Opener(key).open(stored, "config") == JSON
    assert open_config(stored, Opener(key)) == CONFIG
    with pytest.raises(Damaged, match="config"):
        open_config(stored[:-1], Opener(key))


def test_a_new_config_is_one_that_restic_accepts() -> None:
    config = make_config(os.urandom)
    assert decode_config(encode_config(config)) == config
    assert make_config(os.urandom).id != config.id


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_is_refused_with_a_way_out(version: int) -> None:
    with pytest.raises(RepositoryError, match=f"version {version}") as caught:
        decode_config(JSON.replace(b'"version":2', b'"version":%d' % version))
    assert "upgrade_repo_v2" in caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        JSON.replace(b"abab", b"ab"),
        JSON.replace(b"3da3358b4dc173", b"3da3358b4dc172"),
        JSON.replace(b"3da3358b4dc173", b"7"),
        JSON.replace(b"3da3358b4dc173", b"0"),
        JSON.replace(b"3da3358b4dc173", b"-3da3358b4dc173"),
        JSON.replace(b"3da3358b4dc173", b"xyz"),
        JSON.replace(b"3da3358b4dc173", b"0x3da3358b4dc173"),
        JSON.replace(b"3da3358b4dc173", b"3da3358b_4dc173"),
    ],
)
def test_what_is_no_config_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged, match="config"):
        decode_config(data)


def test_small_polynomials_are_sorted_into_irreducible_and_not_as_by_trial_division() -> None:
    def multiply(a: int, b: int) -> int:
        return 0 if not b else multiply(a << 1, b >> 1) ^ (a if b & 1 else 0)

    products = {multiply(a, b) for a in range(2, 128) for b in range(2, 128)}
    for polynomial in range(2, 128):
        assert is_irreducible(polynomial) == (polynomial not in products), bin(polynomial)
    assert not any(is_irreducible(polynomial) for polynomial in (-POLYNOMIAL, -1, 0, 1))


@pytest.mark.parametrize(
    ("polynomial", "irreducible"),
    [
        (0x38F1E565E288DF, False),
        (0x3DA3358B4DC173, True),
        (0x30A8295B9D5C91, False),
        (0x255F4350B962CB, False),
        (0x267F776110A235, False),
        (0x2F4DAE10D41227, False),
        (0x2482734CACCA49, True),
        (0x312DAF4B284899, False),
        (0x29DFB6553D01D1, False),
        (0x3548245EB26257, False),
        (0x3199E7EF4211B3, False),
        (0x362F39017DAE8B, False),
        (0x200D57AA6FDACB, False),
        (0x35E0A4EFA1D275, False),
        (0x2CED55B026577F, False),
        (0x260B012010893D, False),
        (0x2DF29CBCD59E9D, False),
        (0x3F2AC7488BD429, False),
        (0x3E5CB1711669FB, False),
        (0x226D8DE57A9959, False),
        (0x3C8DE80AAF5835, False),
        (0x2026A59EFB219B, False),
        (0x39DFA4D13FB231, False),
        (0x3143D0464B3299, False),
    ],
)
def test_degree_53_agrees_with_restics_chunker(polynomial: int, irreducible: bool) -> None:
    """The table of github.com/restic/chunker polynomials_test.go."""
    assert is_irreducible(polynomial) == irreducible


def test_new_polynomials_are_irreducible_of_degree_53_and_differ() -> None:
    made = {make_polynomial(os.urandom) for _ in range(20)}
    assert len(made) == 20
    assert all(p.bit_length() - 1 == DEGREE and p & 1 and is_irreducible(p) for p in made)


def test_a_source_that_gives_no_polynomial_is_noticed() -> None:
    with pytest.raises(ValueError, match="random"):
        make_polynomial(bytes)
