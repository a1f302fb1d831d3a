"""The same repository mounted by Argosy and by restic 0.18, with the same flags: the same places, the same rights."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.compared import HOSTS, Compared
from tests.support.mounts import Mounted, mounted

NOBODY = 65534
# Lists all that it can below a folder; a name that it may not read is said with the error's number.
_LOOK = """
import os, sys
def look(path):
    try:
        names = sorted(os.listdir(path))
    except NotADirectoryError:
        with open(path, "rb") as file:
            print(path, len(file.read()))
        return
    for name in names:
        below = os.path.join(path, name)
        if os.path.islink(below) or os.path.isdir(below) or os.path.isfile(below):
            try:
                os.path.islink(below) or look(below)
            except OSError as error:
                print(below, "errno", error.errno)
look(".")
"""


@contextmanager
def both_mounted(compared: Compared, *flags: str) -> Iterator[tuple[Mounted, Mounted]]:
    """Argosy's mount, and restic's."""
    with mounted(compared.argosy, *flags) as ours, mounted(compared.model, *flags, name="by restic") as theirs:
        yield ours, theirs


def everything_in(root: Path) -> Iterator[tuple[object, ...]]:
    """Each path with its type, mode and owner; of what snapshots hold also the time, of files the size."""
    for folder, folders, files in os.walk(bytes(root)):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            found = os.lstat(path)
            size = found.st_size if stat.S_ISREG(found.st_mode) else None
            target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
            yield os.path.relpath(path, bytes(root)), oct(found.st_mode), found.st_uid, found.st_gid, size, target


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--host", HOSTS[0]),
        ("-H", HOSTS[1], "--tag", "with space"),
        ("--path", "{source}"),
        ("--owner-root",),
        ("--path-template", "%h/%t/%T"),
        ("--path-template", "by user/%u/%i", "--path-template", "%I"),
        # restic shows only "latest" where the template is %T alone; Argosy shows the snapshots.
        ("--path-template", "at/%T", "--time-template", "2006-01-02 at 15.04.05"),
    ],
    ids=lambda flags: " ".join(flags) or "no flag",
)
def test_both_show_the_same(compared: Compared, flags: tuple[str, ...]) -> None:
    given = [flag.format(source=compared.source) for flag in flags]
    with both_mounted(compared, *given) as (ours, theirs):
        assert set(everything_in(ours.directory)) == set(everything_in(theirs.directory))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
@pytest.mark.parametrize("flags", [(), ("--allow-other",), ("--allow-other", "--no-default-permissions")], ids=" ".join)
def test_both_let_the_same_users_see_the_same(compared: Compared, flags: tuple[str, ...]) -> None:
    """In the snapshots are folders and files that others may not read."""
    with both_mounted(compared, *flags) as (ours, theirs):
        seen = [_seen_by(NOBODY, mount.directory / "ids") for mount in (ours, theirs)]
        assert seen[0].stdout == seen[1].stdout
        assert [done.returncode for done in seen] == ([0, 0] if flags else [1, 1])
        if flags:
            assert (b"errno 13" in seen[0].stdout) == ("--no-default-permissions" not in flags)


def _seen_by(user: int, directory: Path) -> subprocess.CompletedProcess[bytes]:
    """What another user's process finds. It stands in the folder already: those above may be closed to it."""
    script = f"import os; os.setgroups([]); os.setgid({user}); os.setuid({user})" + _LOOK
    return subprocess.run([sys.executable, "-c", script], cwd=directory, capture_output=True, check=False)
