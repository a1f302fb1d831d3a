"""Damaged files of the state directory: moved out of the way under a name that says so, never deleted.

What stands in the state directory only saves work. So a file of it that cannot be read must not keep a backup from
being made, and may still be of use to whoever wants to know what happened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from argosy.errors import StateError

_MARK = ".damaged"
# SQLite's own files beside a database; they are found by its name.
_PARTS = ("", "-wal", "-shm")


def set_aside(path: Path) -> Path:
    """Rename a database and what belongs to it; returns the new path. StateError if that cannot be done."""
    target = next(target for target in _names(path) if not target.exists())
    try:
        for part in _PARTS:
            old = path.with_name(path.name + part)
            if old.exists():
                old.rename(target.with_name(target.name + part))
        path.with_name(path.name + ".lock").unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise StateError(
            f"{path} is damaged and cannot be moved aside: {error.strerror}",
            hint="Move it out of the state directory, or check that directory's owner and mode.",
        ) from error
    return target


def files_set_aside(state_directory: Path) -> list[Path]:
    """What earlier commands have moved aside, oldest name first."""
    found = [*state_directory.glob(f"*{_MARK}*"), *(state_directory / "jobs").glob(f"*{_MARK}*")]
    return sorted(path for path in found if not path.name.endswith(_PARTS[1:]))


def _names(path: Path) -> Iterator[Path]:
    yield path.with_name(path.name + _MARK)
    for number in count(2):
        yield path.with_name(f"{path.name}{_MARK}-{number}")


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
