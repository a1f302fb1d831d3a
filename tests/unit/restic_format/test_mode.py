"""File modes."""

from __future__ import annotations

import stat

import pytest

from argosy.restic_format.mode import go_to_mode, mode_to_go


@pytest.mark.parametrize(
    ("unix", "go"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o755, 2147484141),
        (stat.S_IFLNK | 0o777, 134218239),
        (stat.S_IFIFO | 0o640, 33554848),
        (stat.S_IFBLK | 0o660, 1 << 26 | 0o660),
        (stat.S_IFCHR | 0o666, 1 << 26 | 1 << 21 | 0o666),
        (stat.S_IFSOCK | 0o755, 1 << 24 | 0o755),
        (stat.S_IFREG | 0o4755, 1 << 23 | 0o755),
        (stat.S_IFREG | 0o2755, 1 << 22 | 0o755),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFREG | 0o7777, 1 << 23 | 1 << 22 | 1 << 20 | 0o777),
    ],
)
def test_modes_are_those_of_go(unix: int, go: int) -> None:
    assert mode_to_go(unix) == go
    assert go_to_mode(go) == unix


def test_no_permission_of_any_type_is_lost() -> None:
    for kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK):
        for permissions in range(0o10000):
            assert go_to_mode(mode_to_go(kind | permissions)) == kind | permissions


def test_an_unknown_type_counts_as_a_regular_file() -> None:
    """Go's irregular files, which restic never stores."""
    assert go_to_mode(1 << 19 | 0o600) == stat.S_IFREG | 0o600
