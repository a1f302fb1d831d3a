"""The made-up lookup is one that the program reads and writes."""

from __future__ import annotations

from pathlib import Path

from argosy.repository.lookup import DedupLookup
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
