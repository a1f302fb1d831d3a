"""Damaged files of the state directory keep all that belongs to them, under a name that nothing else uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import StateError
from argosy.operations.setting_aside import files_set_aside, set_aside


def test_a_database_moves_with_its_log_and_its_lock_goes(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    job = tmp_path / "jobs" / "a.job"
    for suffix in ("", "-wal", "-shm", ".lock"):
        job.with_name(f"a.job{suffix}").write_text(suffix)
    place = set_aside(job)
    assert sorted(path.name for path in job.parent.iterdir()) == [
        "a.job.damaged",
        "a.job.damaged-shm",
        "a.job.damaged-wal",
    ]
    assert place == job.with_name("a.job.damaged")
    assert files_set_aside(tmp_path) == [place]


def test_earlier_ones_are_never_replaced(tmp_path: Path) -> None:
    places = []
    for number in range(3):
        (tmp_path / "history.sqlite").write_text(str(number))
        places.append(set_aside(tmp_path / "history.sqlite"))
    assert [place.read_text() for place in places] == ["0", "1", "2"]
    assert files_set_aside(tmp_path) == sorted(places)


def test_what_cannot_be_moved_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.job").write_text("")
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StateError, match="cannot be moved aside") as caught:
        set_aside(tmp_path / "a.job")
    assert "Move it out" in caught.value.hint
