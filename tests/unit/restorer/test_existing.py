"""Looking at what is there before a file is restored."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.restic_format.blob import blob_id
from argosy.restorer.existing import Extent, Look, look_at, open_to_update
from argosy.restorer.overwrite import Overwrite, Verdict
from tests.support.trees import Fifo, File, HardLink, Symlink, make_tree

BLOBS = (b"one" * 10, b"two" * 20, b"three" * 30)
EXTENTS = [Extent(blob_id(blob), sum(len(before) for before in BLOBS[:at]), len(blob)) for at, blob in enumerate(BLOBS)]
CONTENT = b"".join(BLOBS)
TIME_NS = 5_000


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def look(place: int, **options: Any) -> Look:
    given: dict[str, Any] = {
        "overwrite": Overwrite.ALWAYS,
        "mtime_ns": TIME_NS,
        "links": 1,
        "size_bytes": len(CONTENT),
        "extents": EXTENTS,
        **options,
    }
    return look_at(place, b"file", **given)


@pytest.mark.parametrize(
    ("found", "verdict", "matching"),
    [
        ({}, Verdict.NEW, set()),
        ({"file": CONTENT}, Verdict.UNCHANGED, set()),
        ({"file": BLOBS[0] + b"xxx" * 20 + BLOBS[2]}, Verdict.UPDATE, {0, 2}),
        ({"file": CONTENT + b"more"}, Verdict.UPDATE, {0, 1, 2}),
        ({"file": CONTENT[:-1]}, Verdict.UPDATE, {0, 1}),
        ({"file": b""}, Verdict.UPDATE, set()),
        ({"file": Symlink("other"), "other": CONTENT}, Verdict.REPLACE, set()),
        ({"file": {}}, Verdict.REPLACE, set()),
        ({"file": Fifo()}, Verdict.REPLACE, set()),
        ({"file": CONTENT, "other": HardLink("file")}, Verdict.REPLACE, set()),
        ({"file": b"x", "other": HardLink("file")}, Verdict.REPLACE, set()),
    ],
    ids=repr,
)
def test_content_decides(
    tmp_path: Path, place: int, found: dict[str, Any], verdict: Verdict, matching: set[int]
) -> None:
    make_tree(tmp_path, found)
    seen = look(place)
    assert (seen.verdict, seen.matching) == (verdict, matching)


def test_a_file_with_several_names_in_the_snapshot_may_have_several_here(tmp_path: Path, place: int) -> None:
    """It is right if its content is; else it is replaced, since the other names may be of other files by now."""
    make_tree(tmp_path, {"file": CONTENT, "other": HardLink("file")})
    assert look(place, links=2).verdict is Verdict.UNCHANGED
    (tmp_path / "file").write_bytes(b"x")
    assert look(place, links=2).verdict is Verdict.REPLACE


def test_size_and_time_are_trusted_on_request(tmp_path: Path, place: int) -> None:
    make_tree(tmp_path, {"file": File(b"x" * len(CONTENT), mtime_ns=TIME_NS)})
    assert look(place, overwrite=Overwrite.IF_CHANGED).verdict is Verdict.UNCHANGED
    assert look(place, overwrite=Overwrite.IF_CHANGED, mtime_ns=TIME_NS + 1).verdict is Verdict.UPDATE
    assert look(place, overwrite=Overwrite.IF_CHANGED, size_bytes=3).verdict is Verdict.UPDATE
    assert look(place).verdict is Verdict.UPDATE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_shut_to_its_owner_is_compared_and_stays_shut(tmp_path: Path, place: int) -> None:
    make_tree(tmp_path, {"file": File(CONTENT, mode=0)})
    assert look(place).verdict is Verdict.UNCHANGED
    assert look(place, dry_run=True).verdict is Verdict.UPDATE
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0


def test_an_older_file_is_replaced_whole_where_existence_counts(tmp_path: Path, place: int) -> None:
    """A file half written would be taken for newer after an interruption."""
    make_tree(tmp_path, {"file": File(b"x", mtime_ns=TIME_NS - 1)})
    assert look(place, overwrite=Overwrite.IF_NEWER).verdict is Verdict.REPLACE
    assert look(place, overwrite=Overwrite.IF_NEWER, mtime_ns=TIME_NS - 1).verdict is Verdict.KEPT
    assert look(place, overwrite=Overwrite.NEVER).verdict is Verdict.KEPT


@pytest.mark.parametrize("shared", [True, False])
def test_a_file_that_others_write_to_is_written_byte_by_byte(tmp_path: Path, place: int, shared: bool) -> None:
    """Else a client of NFS may write a whole page, over what another host has just put beside the bytes."""
    (tmp_path / "file").touch()
    fd = open_to_update(place, b"file", shared=shared)
    try:
        assert bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DSYNC) == shared
    finally:
        os.close(fd)
