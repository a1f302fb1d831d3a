"""Merging a huge directory's runs: in name order, each name once, the latest part's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.archiver.merging import merge_runs, place_runs
from argosy.archiver.runs import decode_run, encode_run, plain_bytes
from argosy.restic_format.compression import Compressor


class Runs:
    """Runs by part number, and which were loaded when."""

    def __init__(self, runs: Sequence[Sequence[bytes]]) -> None:
        compressor = Compressor("fastest")
        self.encoded = [
            encode_run(names, [b"%d:" % part + name for name in names], compressor) for part, names in enumerate(runs)
        ]
        self.loaded: list[int] = []

    def load(self, part: int) -> bytes:
        """As the database does."""
        self.loaded.append(part)
        return self.encoded[part]

    def merged(self) -> list[bytes]:
        """All nodes."""
        return list(merge_runs(place_runs(range(len(self.encoded)), self.load), self.load))


@pytest.mark.parametrize(
    ("runs", "merged"),
    [
        ([], []),
        ([[]], []),
        ([[b"a", b"b"]], [b"0:a", b"0:b"]),
        ([[b"c", b"d"], [], [b"a", b"b"]], [b"2:a", b"2:b", b"0:c", b"0:d"]),
        ([[b"a", b"d"], [b"b", b"e"], [b"c"]], [b"0:a", b"1:b", b"2:c", b"0:d", b"1:e"]),
        ([[b"a", b"b"], [b"b"], [b"a"]], [b"2:a", b"1:b"]),
        ([[b"a"], [b"a"], [b"a"]], [b"2:a"]),
        ([[b"a", b"b", b"c"], [b"a", b"c"]], [b"1:a", b"0:b", b"1:c"]),
        ([[b"b"], [b"a", b"b", b"c"]], [b"1:a", b"1:b", b"1:c"]),
        ([[b"\xff"], ["ü".encode()], [b"Z"]], [b"2:Z", b"1:" + "ü".encode(), b"0:\xff"]),
    ],
)
def test_a_later_part_wins_and_names_are_in_order(runs: list[list[bytes]], merged: list[bytes]) -> None:
    assert Runs(runs).merged() == merged


@given(st.lists(st.sets(st.binary(min_size=1, max_size=2), max_size=8), max_size=8))
def test_merging_equals_a_dictionary(runs: list[set[bytes]]) -> None:
    in_order = [sorted(names) for names in runs]
    expected = {name: b"%d:" % part + name for part, names in enumerate(in_order) for name in names}
    assert Runs(in_order).merged() == [expected[name] for name in sorted(expected)]


def test_runs_that_follow_one_another_are_loaded_one_by_one() -> None:
    """Memory is for the runs that overlap."""
    runs = Runs([[b"%d%d" % (part, at) for at in range(3)] for part in range(5)])
    places = place_runs(range(5), runs.load)
    runs.loaded.clear()
    merged = merge_runs(places, runs.load)
    next(merged)
    assert runs.loaded == [0]
    assert len(list(merged)) == 14
    assert runs.loaded == [0, 1, 2, 3, 4]


def test_a_run_comes_back_and_knows_its_length() -> None:
    names, nodes = [b"a", b"\xff"], [b"{}" * 500, b"[]"]
    run = encode_run(names, nodes, Compressor("fastest"))
    assert decode_run(run) == (names, nodes)
    assert len(run) < 100
    assert plain_bytes(run) > 1000
