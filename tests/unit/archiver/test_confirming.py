"""What a member elsewhere missed counts only where the master misses it too (R8)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.archiver.confirming import first_contradiction
from argosy.archiver.messages import GONE, READ, UNREAD, BatchResult, Segment, SegmentResult


def result(
    *, gone: list[bytes] | None = None, unread: list[bytes] | None = None, segments: list[SegmentResult] | None = None
) -> BatchResult:
    named = [(path, "permission denied") for path in unread or []]
    return BatchResult([], segments or [], [], named, elsewhere=True, gone=gone or [])


def piece(path: Path, fate: str) -> SegmentResult:
    segment = Segment(1, os.fsencode(path.parent), os.fsencode(path.name), 1, 2, 3, 0, 1)
    return SegmentResult(segment, b"", b"", 0, b"", fate)


@pytest.fixture
def present(tmp_path: Path) -> Path:
    path = tmp_path / "present"
    path.touch()
    return path


def test_what_is_gone_here_too_is_gone(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert first_contradiction(result(gone=[os.fsencode(absent)], segments=[piece(absent, GONE)])) == ""
    assert first_contradiction(result(unread=[os.fsencode(absent)], segments=[piece(absent, UNREAD)])) == ""


def test_what_is_there_is_a_contradiction(present: Path) -> None:
    words = first_contradiction(result(gone=[os.fsencode(present)]))
    assert words == f"it does not see {present}, which is there"
    assert first_contradiction(result(segments=[piece(present, GONE)])) == words


def test_so_is_what_the_master_can_read(present: Path, tmp_path: Path) -> None:
    words = first_contradiction(result(unread=[os.fsencode(present)]))
    assert words == f"it cannot read {present}, which the master can"
    assert first_contradiction(result(segments=[piece(present, UNREAD)])) == words
    assert first_contradiction(result(unread=[os.fsencode(tmp_path)]))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe" in first_contradiction(result(unread=[os.fsencode(tmp_path / "pipe")]))


def test_what_was_read_contradicts_nothing(present: Path) -> None:
    assert first_contradiction(result(segments=[piece(present, READ)])) == ""
