"""Cutting files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from argosy.errors import ArgosyError
from argosy.restic_format import chunker
from argosy.restic_format.chunker import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Chunker, gear_seed

POLYNOMIAL = 0x3DA3358B4DC173
DATA = hashlib.shake_256(b"data").digest(20_000_001) + bytes(9_000_000)


def _cut_in_buffers(data: bytes, step: int) -> list[int]:
    """As a reader does: whatever is not cut yet stays in front of what comes next."""
    cutter = Chunker(POLYNOMIAL)
    lengths: list[int] = []
    start = 0
    for end in [*range(step, len(data), step), len(data)]:
        found = cutter.cut(memoryview(data)[start:end], end == len(data))
        lengths += found
        start += sum(found)
    return lengths


def test_chunks_cover_the_data_within_the_sizes_of_restic() -> None:
    lengths = Chunker(POLYNOMIAL).cut(DATA, True)
    assert sum(lengths) == len(DATA)
    assert all(MIN_CHUNK_BYTES <= length <= MAX_CHUNK_BYTES for length in lengths[:-1])
    assert max(lengths) == MAX_CHUNK_BYTES


@pytest.mark.parametrize("step", [700_001, 1_048_576, 9_000_000])
def test_cuts_do_not_depend_on_the_buffers(step: int) -> None:
    assert _cut_in_buffers(DATA, step) == Chunker(POLYNOMIAL).cut(DATA, True)


def test_what_may_still_grow_is_not_cut() -> None:
    cutter = Chunker(POLYNOMIAL)
    first = cutter.cut(DATA, True)[0]
    assert cutter.cut(DATA[:first], False) == []
    assert cutter.cut(DATA[: first + 2], False) == [first]
    assert cutter.cut(DATA[:first], True) == [first]


def test_a_chunk_of_the_largest_size_is_cut_at_once() -> None:
    assert Chunker(POLYNOMIAL).cut(bytes(MAX_CHUNK_BYTES), False) == [MAX_CHUNK_BYTES]
    assert Chunker(POLYNOMIAL).cut(bytes(MAX_CHUNK_BYTES - 1), False) == []


@pytest.mark.parametrize("final", [True, False])
def test_nothing_is_cut_into_nothing(final: bool) -> None:
    assert Chunker(POLYNOMIAL).cut(b"", final) == []


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_is_cut(wrap: Callable[[bytes], bytes]) -> None:
    assert Chunker(POLYNOMIAL).cut(wrap(b"small"), True) == [5]


def test_another_repository_cuts_elsewhere() -> None:
    assert Chunker(POLYNOMIAL).cut(DATA, True) != Chunker(POLYNOMIAL + 2).cut(DATA, True)


def test_a_seed_is_never_that_of_the_open_table_and_fits_the_library() -> None:
    seeds = [gear_seed(polynomial) for polynomial in range(1 << 53, (1 << 53) + 200)]
    assert len(set(seeds)) == 200
    assert all(0 < seed < 2**63 for seed in seeds)
    for polynomial in range(1 << 53, (1 << 53) + 200):
        Chunker(polynomial)


def test_the_slow_form_is_refused_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunker, "is_slow", lambda: True)
    with pytest.raises(ArgosyError, match="slower") as caught:
        Chunker(POLYNOMIAL)
    assert "wheel" in caught.value.hint
    assert Chunker(POLYNOMIAL, allow_slow=True).cut(b"x", True) == [1]
