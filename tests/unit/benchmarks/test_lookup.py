"""The made-up lookup is one that the program reads and writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.repository.lookup import DedupLookup
from argosy.repository.lookup_file import open_lookup_file
from benchmarks import lookup


def test_what_was_made_is_looked_up_like_any_other(tmp_path: Path) -> None:
    index_ids = lookup.make(tmp_path / "lookup", 200_000)
    assert len(index_ids) == 4
    present, *_ = lookup.add_index(tmp_path / "lookup", index_ids)
    looked = lookup.look(tmp_path / "lookup", index_ids, present[:1000])
    assert looked.start_seconds > 0
    opened = DedupLookup(tmp_path / "lookup", lookup._KEY, read_only=True)
    assert opened.blob_count == 200_000 + lookup.BLOBS_IN_INDEX
    assert opened.index_ids() == set(index_ids)
    opened.close()


def test_keys_are_spread_evenly_and_in_order(tmp_path: Path) -> None:
    """Else the file would be made in another order than the quick one, and look-ups would meet one part of it."""
    lookup.make(tmp_path / "lookup", 1_000)
    database = open_lookup_file(tmp_path / "lookup", read_only=True)
    firsts = [row[0][0] for row in database.execute("SELECT masked FROM blobs ORDER BY masked")]
    database.close()
    assert [firsts.count(byte) for byte in range(256)] == pytest.approx([1_000 / 256] * 256, abs=1)
