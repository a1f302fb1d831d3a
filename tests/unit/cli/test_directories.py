"""Where state and caches lie when nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.cli.directories import cache_directory, state_directory
from argosy.cli.variables import Variables
from argosy.errors import UsageError

HOME = {"HOME": "/home/u"}


@pytest.mark.parametrize(
    ("given", "environment", "is_root", "expected"),
    [
        ("/flag", {"ARGOSY_STATE_DIR": "/variable"}, True, "/flag"),
        (None, {"ARGOSY_STATE_DIR": "/variable", "STATE_DIRECTORY": "/systemd"}, True, "/variable"),
        (None, {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, True, "/var/lib/a"),
        (None, {"XDG_STATE_HOME": "/xdg", **HOME}, True, "/var/lib/argosy"),
        (None, {"XDG_STATE_HOME": "/xdg", **HOME}, False, "/xdg/argosy"),
        (None, {"XDG_STATE_HOME": "relative", **HOME}, False, "/home/u/.local/state/argosy"),
        (None, HOME, False, "/home/u/.local/state/argosy"),
    ],
)
def test_state_directory(given: str | None, environment: dict[str, str], is_root: bool, expected: str) -> None:
    """Flag, own variable, systemd's, root's, XDG's, home's: the first that is set."""
    assert state_directory(given, Variables(environment), is_root=is_root) == Path(expected)


@pytest.mark.parametrize(
    ("given", "environment", "is_root", "expected"),
    [
        ("/flag", {"ARGOSY_CACHE_DIR": "/variable"}, True, "/flag"),
        (None, {"ARGOSY_CACHE_DIR": "/variable", "CACHE_DIRECTORY": "/systemd"}, True, "/variable"),
        (None, {"CACHE_DIRECTORY": "/systemd", "RESTIC_CACHE_DIR": "/restic"}, True, "/systemd"),
        (None, {"RESTIC_CACHE_DIR": "/restic", "XDG_CACHE_HOME": "/xdg"}, True, "/restic/argosy"),
        (None, {"XDG_CACHE_HOME": "/xdg"}, True, "/xdg/argosy"),
        (None, HOME, True, "/var/cache/argosy"),
        (None, HOME, False, "/home/u/.cache/argosy"),
    ],
)
def test_cache_directory(given: str | None, environment: dict[str, str], is_root: bool, expected: str) -> None:
    """The same, and below restic's own cache a directory apart: the two must not mix."""
    assert cache_directory(given, Variables(environment), is_root=is_root) == Path(expected)


def test_a_relative_directory_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_directory("state", Variables({}), is_root=False) == tmp_path / "state"


def test_without_a_home_the_flag_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        state_directory(None, Variables({}), is_root=False)
    assert "--state-dir" in caught.value.hint
