"""The lookup of a worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository
from argosy.repository.worker_lookup import open_worker_lookup
from argosy.restic_format.index import Index
from tests.unit.repository.conftest import Filler


def test_it_is_the_masters_or_made_anew_if_that_is_gone(
    filler: Filler, lookup: DedupLookup, repository: Repository, tmp_path: Path
) -> None:
    (stored,) = filler.store([b"content"])
    for path in (lookup.path, tmp_path / "removed" / "lookup.sqlite"):
        found = open_worker_lookup(path, repository, job="a job")
        assert found.contains(stored)
        assert not found.contains(bytes(32))
        assert found.find(stored) == lookup.find(stored)
        found.close()
    assert {each.name.partition("-")[0] for each in (tmp_path / "removed").iterdir()} == {"lookup.sqlite"}


def test_nobody_sees_it_before_it_is_whole(
    filler: Filler, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker makes it while the first is at it; both know every blob."""
    path = tmp_path / "removed" / "lookup.sqlite"
    stored = set(filler.store([b"1", b"2", b"3"]))
    load = repository.load_index
    others: list[int] = []

    def load_slowly(identity: bytes) -> Index:
        if not others:
            assert not path.exists()
            others.append(os.getpid() + 1)
            monkeypatch.setattr(os, "getpid", lambda: others[0])
            second = open_worker_lookup(path, repository)
            assert second.contains_many(stored) == stored
            second.close()
        return load(identity)

    monkeypatch.setattr(repository, "load_index", load_slowly)
    first = open_worker_lookup(path, repository)
    assert others
    assert first.contains_many(stored) == stored
    first.close()
