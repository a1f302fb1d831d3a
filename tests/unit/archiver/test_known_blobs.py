"""Which blobs a worker knows to be in the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.archiver import known_blobs
from argosy.archiver.known_blobs import KnownBlobs
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import StoredPack
from argosy.restic_format.blob import BlobType
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.pack import encode_entry
from tests.unit.archiver.conftest import identity


@pytest.fixture
def lookup(tmp_path: Path) -> Iterator[DedupLookup]:
    lookup = DedupLookup(tmp_path / "lookup.sqlite", MasterKey.generate(os.urandom), job="job")
    yield lookup
    lookup.close()


def store(lookup: DedupLookup, text: str, blob_type: BlobType = BlobType.DATA) -> None:
    header = encode_entry(blob_type, identity(text), 100, 0)
    lookup.add_pending([StoredPack(identity("pack of " + text), 200, header)])


def knows(known: KnownBlobs, text: str) -> bool:
    return known.those_known({identity(text), identity("and another")}) == {identity(text)}


def test_without_a_lookup_it_knows_what_it_was_told() -> None:
    known = KnownBlobs(None)
    assert not knows(known, "a")
    known.add(identity("a") + identity("b"))
    known.add(b"")
    assert knows(known, "a")
    assert knows(known, "b")
    assert not known.contains_tree(identity("a"))


def test_of_a_repository_that_was_empty_it_knows_what_it_was_told(lookup: DedupLookup) -> None:
    """Which costs a fiftieth of a look-up."""
    known = KnownBlobs(lookup)
    store(lookup, "untold")
    known.add(identity("told"))
    assert knows(known, "told")
    assert not knows(known, "untold")


def test_of_others_it_asks_the_lookup(lookup: DedupLookup) -> None:
    store(lookup, "a")
    known = KnownBlobs(lookup)
    assert knows(known, "a")
    assert not knows(known, "told")


def test_the_newest_that_it_was_told_of_need_not_be_in_the_lookup_yet(
    lookup: DedupLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_blobs, "TOLD_AHEAD_MOST", 2)
    store(lookup, "a")
    known = KnownBlobs(lookup)
    for text in ("b", "c", "d", "e"):
        known.add(identity(text))
        assert knows(known, text)
    assert all(knows(known, text) for text in ("a", "c", "d"))
    for text in ("f", "g", "h"):
        known.add(identity(text))
    assert not knows(known, "b")


def test_it_asks_once_it_was_told_too_much(lookup: DedupLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_blobs, "REMEMBERED_MOST", 2)
    known = KnownBlobs(lookup)
    for text in ("a", "b", "c"):
        store(lookup, text)
        known.add(identity(text))
    assert all(knows(known, text) for text in ("a", "b", "c"))
    store(lookup, "d")
    assert knows(known, "d")


def test_trees_are_always_looked_up(lookup: DedupLookup) -> None:
    known = KnownBlobs(lookup)
    store(lookup, "tree", BlobType.TREE)
    store(lookup, "data")
    assert known.contains_tree(identity("tree"))
    assert not known.contains_tree(identity("data"))
    assert not knows(known, "tree")


class TestOnAnotherMachine:
    """The master does not write into the lookup there."""

    def test_what_was_told_counts_beside_the_lookup(self, lookup: DedupLookup) -> None:
        store(lookup, "stored")
        known = KnownBlobs(lookup, shared=False)
        known.add(identity("told"))
        assert knows(known, "stored")
        assert knows(known, "told")
        assert not knows(known, "neither")

    def test_the_newest_are_remembered_in_bounded_memory(
        self, lookup: DedupLookup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(known_blobs, "REMEMBERED_MOST", 3)
        store(lookup, "stored")
        known = KnownBlobs(lookup, shared=False)
        for number in range(10):
            known.add(identity(str(number)))
        remembered = [number for number in range(10) if knows(known, str(number))]
        assert remembered[-4:] == [6, 7, 8, 9]
        assert len(remembered) <= 8
        assert knows(known, "stored")
