"""The ceiling program does the same work as Argosy's own encoder, on all bytes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from argosy.restic_format.compression import SMALL_BLOB_BYTES, CompressionMode, Compressor
from benchmarks import ceiling
from benchmarks.data import SmallFiles, Text, make_large_files


@pytest.mark.parametrize("mode", ["auto", "fastest"])
@pytest.mark.parametrize("size", [SMALL_BLOB_BYTES, SMALL_BLOB_BYTES + 1], ids=["small", "large"])
def test_it_compresses_as_argosy_does(size: int, mode: CompressionMode) -> None:
    content = Text(4_000).draw(random.Random(1), size)
    assert ceiling.Encoder(mode, verify=False).compress(content) == Compressor(mode).compress(content)


def test_its_units_cover_every_byte_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "SEGMENT_BYTES", 300_000)
    make_large_files(tmp_path / "large", 1_000_000, count=1)
    (tmp_path / "small").write_bytes(b"content")
    units = list(ceiling.plan_units(tmp_path))
    assert sorted((unit.offset, unit.sizes) for unit in units if "large" in unit.directory) == [
        (0, (300_000,)),
        (300_000, (300_000,)),
        (600_000, (300_000,)),
        (900_000, (100_000,)),
    ]
    assert [(unit.names, unit.sizes) for unit in units if "large" not in unit.directory] == [(("small",), (7,))]


def test_it_reads_and_verifies_all_that_is_there(tmp_path: Path) -> None:
    small = SmallFiles(tmp_path / "small", 20).make()
    large = make_large_files(tmp_path / "large", 3_000_001, count=1)
    processes = min(2, os.cpu_count() or 1)
    _, total_bytes = ceiling.measure_ceiling(tmp_path, processes, verify=True)
    assert total_bytes == small.size_bytes + large.size_bytes
