"""From recorded packs to the lookup and to indexes (R2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.archiver.ledger import Ledger
from argosy.errors import LeaseLost
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup import indexing
from argosy.operations.backup.indexing import Indexer
from argosy.repository import index_writer
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import StoredPack
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.config import make_config
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.pack import encode_header
from argosy.state.job_database import open_job_database
from tests.support.storage_doubles import MemoryStorage


class Scene:
    """A repository in memory, a job and its indexer."""

    def __init__(self, path: Path) -> None:
        key = MasterKey.generate(os.urandom)
        self.repository = Repository(MemoryStorage(), key, make_config(os.urandom))
        self.lookup = DedupLookup(path / "lookup.sqlite", key, job="job")
        self.ledger = Ledger(open_job_database(path / "a.job"), [], OwnerNames())
        self.lost = False
        self.make()

    def make(self) -> None:
        """A new indexer, as each run has."""
        self.indexer = Indexer(self.repository, self.ledger, self.lookup, self.check_lock)

    def check_lock(self) -> None:
        """Raises once the lock is lost."""
        if self.lost:
            raise LeaseLost("the lock is gone")

    def record(self, pack: StoredPack) -> None:
        """A pack of a worker."""
        self.indexer.record(pack, "data")

    def indexed(self) -> dict[bytes, list[bytes]]:
        """The packs that each index names."""
        return {
            identity: [pack.id for pack in self.repository.load_index(identity).packs]
            for identity in self.repository.list_ids(FileKind.INDEX)
        }

    def close(self) -> None:
        """Leave nothing open."""
        self.lookup.close()
        self.ledger.job.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def pack(number: int, blobs: int = 2, blob_type: BlobType = BlobType.DATA) -> StoredPack:
    listed = [PackedBlob(bytes([number, at]) * 16, blob_type, 100 * at, 100, 0) for at in range(blobs)]
    return StoredPack(bytes([number]) * 32, 1000, encode_header(listed))


def test_workers_hear_of_a_pack_first_and_then_find_its_blobs(scene: Scene) -> None:
    """Which is after the commit that records it."""
    scene.record(pack(1))
    heard: list[StoredPack] = []
    scene.indexer.on_looked_up = heard.extend
    assert not scene.lookup.contains(pack(1).blobs[0].id)
    scene.ledger.job.commit()
    assert scene.indexer.take_news() == [pack(1)]
    assert scene.indexer.take_news() == []
    assert heard == []
    scene.indexer.tell_lookup()
    assert scene.lookup.contains(pack(1).blobs[0].id)
    assert heard == [pack(1)]


@pytest.mark.parametrize("limit", ["TOLD_AHEAD_MOST", "LOOKUP_SECONDS"])
def test_the_lookup_has_packs_once_they_are_many_or_late(
    scene: Scene, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, limit, 0)
    scene.record(pack(1))
    scene.ledger.job.commit()
    assert scene.indexer.take_news() == [pack(1)]
    assert scene.indexer.take_news() == []
    assert scene.lookup.contains(pack(1).blobs[0].id)


def test_an_index_names_all_that_has_none(scene: Scene) -> None:
    for number in (1, 2):
        scene.record(pack(number))
    scene.indexer.write()
    (written,) = scene.indexed().items()
    assert sorted(written[1]) == [pack(1).id, pack(2).id]
    assert scene.ledger.packs.unindexed() == []
    scene.ledger.job.commit()
    assert scene.ledger.packs.index_ids() == [written[0]]
    assert scene.lookup.index_ids() == {written[0]}
    assert scene.lookup.contains(pack(2).blobs[1].id)
    scene.indexer.write()
    assert len(scene.indexed()) == 1


def test_a_pack_that_is_reported_twice_is_indexed_once(scene: Scene) -> None:
    scene.record(pack(1))
    scene.record(pack(1))
    scene.ledger.job.commit()
    scene.indexer.write()
    scene.ledger.job.commit()
    scene.record(pack(1))
    scene.indexer.write()
    assert list(scene.indexed().values()) == [[pack(1).id]]


def test_an_index_is_due_after_enough_blobs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "MAX_INDEX_BLOBS", 5)
    scene.record(pack(1))
    scene.record(pack(2))
    assert not scene.indexer.write_due()
    scene.record(pack(3))
    assert scene.indexer.write_due()
    assert not scene.indexer.write_due()
    scene.record(pack(4))
    assert not scene.indexer.write_due()
    assert len(scene.indexed()) == 1


def test_an_index_is_due_after_some_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "INDEX_SECONDS", -1.0)
    assert not scene.indexer.write_due()
    scene.record(pack(1))
    assert scene.indexer.write_due()
    assert not scene.indexer.write_due()


def test_without_the_lock_no_index_is_written(scene: Scene) -> None:
    scene.record(pack(1))
    scene.lost = True
    with pytest.raises(LeaseLost):
        scene.indexer.write()
    assert scene.indexed() == {}
    assert len(scene.ledger.packs.unindexed()) == 1


def test_what_was_written_before_a_failure_is_not_written_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_writer, "MAX_INDEX_BLOBS", 2)
    for number in (1, 2):
        scene.record(pack(number))
    checks: list[bool] = []

    def fail_at_the_second() -> None:
        checks.append(True)
        if len(checks) == 2:
            raise LeaseLost("the lock is gone")

    scene.indexer = Indexer(scene.repository, scene.ledger, scene.lookup, fail_at_the_second)
    for number in (1, 2):
        scene.indexer.recorded(pack(number))
    with pytest.raises(LeaseLost):
        scene.indexer.write()
    assert list(scene.indexed().values()) == [[pack(1).id]]
    assert [left.pack_id for left in scene.ledger.packs.unindexed()] == [pack(2).id]
    scene.indexer.write()
    assert sorted(scene.indexed().values()) == [[pack(1).id], [pack(2).id]]


def test_a_tree_pack_lets_go_of_the_trees_that_were_kept_for_it(scene: Scene) -> None:
    stored = pack(1, blob_type=BlobType.TREE)
    for blob in stored.blobs:
        scene.ledger.open_trees.add(blob.id, b"sealed", 10)
    scene.ledger.open_trees.add(b"o" * 32, b"sealed", 10)
    scene.ledger.job.commit()
    scene.indexer.record_tree_pack(stored)
    scene.ledger.job.commit()
    assert [row[0] for row in scene.ledger.open_trees.load()] == [b"o" * 32]
    assert [row.kind for row in scene.ledger.packs.unindexed()] == ["tree"]


def test_packs_of_an_earlier_run_are_indexed_too(scene: Scene) -> None:
    scene.record(pack(1))
    scene.ledger.job.commit()
    scene.make()
    scene.indexer.recorded(pack(1))
    scene.indexer.recorded(pack(1))
    scene.indexer.tell_lookup()
    scene.indexer.write()
    assert list(scene.indexed().values()) == [[pack(1).id]]


def test_a_dry_run_has_no_lookup_to_tell(scene: Scene) -> None:
    indexer = Indexer(scene.repository, scene.ledger, None, scene.check_lock)
    indexer.record(pack(1), "data")
    assert indexer.take_news() == [pack(1)]
    indexer.write()
    assert len(scene.indexed()) == 1
