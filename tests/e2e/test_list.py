"""`argosy list` prints the ids that restic 0.18 prints."""

from __future__ import annotations

import pytest

from tests.support.compared import Compared


@pytest.mark.parametrize("kind", ["blobs", "packs", "index", "snapshots", "keys", "locks"])
def test_ids_are_restics(compared: Compared, kind: str) -> None:
    ours, theirs = (run("list", kind).stdout.split(b"\n") for run in (compared.argosy.run, compared.model.run))
    assert sorted(ours) == sorted(theirs)
    assert compared.argosy.run("list", kind, "--json").stdout.split(b"\n").sort() == ours.sort()


def test_locks_are_listed_without_taking_one(compared: Compared) -> None:
    with compared.model.locked():
        assert len(compared.argosy.run("list", "locks").stdout.split()) == 1


def test_another_kind_is_refused(compared: Compared) -> None:
    assert "files" in compared.argosy.says("list", "files", expect=1)
