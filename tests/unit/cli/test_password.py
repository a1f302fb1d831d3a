"""The password: a command, a file, a variable, a question; never an empty one by accident."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from argosy.cli.globals import Given
from argosy.cli.password import Passwords, read_password_file
from argosy.cli.variables import Variables
from argosy.errors import UsageError


class Terminal(io.StringIO):
    """Standard input with a person at it."""

    def isatty(self) -> bool:
        return True


def passwords(flags: dict[str, object] | None = None, *answers: str, **environment: str) -> Passwords:
    """Passwords of a command whose questions get those answers."""
    typed = iter(answers)
    return Passwords(Given(flags or {}, Variables(environment)), ask=lambda _: next(typed))


def test_a_file_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbf p\xc3\xa4ss word \r\n")
    assert passwords({"password_file": str(file)}).existing() == "päss word".encode()


def test_a_command_is_run_without_a_shell() -> None:
    command = f"{sys.executable} -c 'print(\"$HOME;\" + str(6 * 7))'"
    assert passwords({"password_command": command}).existing() == b"$HOME;42"


def test_a_variable_is_taken_as_bytes() -> None:
    raw = b"not \xff utf-8"
    assert passwords(None, ARGOSY_PASSWORD=os.fsdecode(raw)).existing() == raw


def test_without_any_it_is_asked_for_once() -> None:
    asked = passwords(None, "typed")
    assert asked.existing() == b"typed"
    assert asked.existing() == b"typed"


def test_a_new_password_is_typed_twice_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert passwords(None, "same", "same").new() == b"same"
    with pytest.raises(UsageError, match="differ"):
        passwords(None, "one", "other").new()


def test_what_a_script_pipes_in_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped\nnext line\n"))
    assert Passwords(Given({}, Variables({}))).new() == b"piped"


@pytest.mark.parametrize("way", ["file", "command", "typed"])
def test_an_empty_password_is_refused(way: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    flags: dict[str, dict[str, object]] = {
        "file": {"password_file": str(tmp_path / "empty")},
        "command": {"password_command": "true"},
        "typed": {},
    }
    with pytest.raises(UsageError, match="empty password") as caught:
        passwords(flags[way], "").existing()
    assert "--insecure-no-password" in caught.value.hint


def test_no_password_on_purpose() -> None:
    assert passwords({"insecure_no_password": True}).existing() == b""


def test_no_password_on_purpose_excludes_one() -> None:
    with pytest.raises(UsageError, match="excludes"):
        passwords({"insecure_no_password": True}, RESTIC_PASSWORD="secret").existing()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read_password_file(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("command", ["false --secret", "/nowhere/at-all secret", "'", ""])
def test_a_command_that_fails_is_named_without_its_arguments(command: str) -> None:
    with pytest.raises(UsageError) as caught:
        passwords({"password_command": command} if command else {"password_command": " "}).existing()
    assert "secret" not in str(caught.value)
