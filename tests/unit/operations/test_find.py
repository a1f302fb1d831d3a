"""What a search reads of the trees that snapshots share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from argosy.errors import Damaged
from argosy.operations.find import FindOptions, FoundBlob, run_find
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.node import Node
from tests.support.backups import Scene


class Found:
    def __init__(self) -> None:
        self.paths: list[bytes] = []

    def entry(self, stored: StoredSnapshot, path: bytes, node: Node) -> None:
        del stored, node
        self.paths.append(path)

    def blob(self, stored: StoredSnapshot, found: FoundBlob, place: Location | None) -> None:
        raise NotImplementedError

    def problem(self, what: str, error: Damaged) -> None:
        raise NotImplementedError


def test_a_directory_without_a_match_is_read_once_for_all_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path).init()
    source = tmp_path / "source"
    for name in ("barren/deep/none", "fertile/wanted"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"x")
    for _ in range(3):
        scene.backup(source)
    read: Counter[bytes] = Counter()
    load = BlobReader.load_tree

    def counted(reader: BlobReader, tree_id: bytes) -> Iterable[bytes]:
        read[tree_id] += 1
        return load(reader, tree_id)

    monkeypatch.setattr(BlobReader, "load_tree", counted)
    found = Found()
    assert run_find(scene.access(), FindOptions([b"wanted"]), found) == 0
    assert len(found.paths) == 3
    assert sorted(set(read.values())) == [1, 3], "those without a match once, those above a match once a snapshot"
