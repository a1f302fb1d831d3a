"""The program as a whole: verbs, help, and what becomes of every kind of failure."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import click
import pytest

from argosy import __version__, errors
from argosy.cli import main as program
from argosy.cli.commands import version
from argosy.cli.verbs import VERBS

pytestmark = pytest.mark.usefixtures("process_given_back")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[BaseException]:
    """Let ``argosy version`` raise what the list holds; the state directory is the test's own."""
    raised: list[BaseException] = []
    callback = version.command.callback
    assert callback is not None

    def fail(**_: object) -> int:
        callback()
        raise raised[0]

    monkeypatch.setattr(version.command, "callback", fail)
    monkeypatch.setenv("ARGOSY_STATE_DIR", str(tmp_path / "state"))
    return raised


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_has_a_module_with_a_command_that_is_documented(verb: str) -> None:
    name = f"argosy.cli.commands.{verb.replace('-', '_')}"
    assert importlib.util.find_spec(name) is not None
    command = importlib.import_module(name).command
    assert isinstance(command, click.Command)
    assert command.name == verb
    assert command.help


@pytest.mark.parametrize("arguments", [["--version"], ["version", "-h"], ["help", "version"], ["--help"], []])
def test_help_and_version_end_well(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(arguments) == 0
    assert capsys.readouterr().out


def test_help_lists_a_verbs_own_flags_before_the_global_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["backup", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.index("--exclude-caches") < text.index("Global options") < text.index("--password-file")


def test_version_as_json_has_restics_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["version", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["message_type"] == "version"
    assert document["version"] == __version__


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["version", "--nonsense"], ["version", "word"], ["backup", "--scan-threads", "0", "x"], ["-r"]],
)
def test_wrong_usage_is_exit_code_1_and_says_where_help_is(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Fatal: ")
    assert "--help" in said[1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("odd", hint="do this"), 1),
        (errors.RepositoryMissing("odd", hint="do this"), 10),
        (errors.RepositoryLocked("odd", hint="do this"), 11),
        (errors.WrongPassword("odd", hint="do this"), 12),
    ],
)
def test_an_error_is_said_with_its_next_step_and_its_exit_code(
    error: errors.ArgosyError, code: int, failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    assert program.run(["version"]) == code
    assert capsys.readouterr().err == "Fatal: odd\ndo this\n"
    assert program.run(["version", "--json"]) == code
    document = json.loads(capsys.readouterr().err)
    assert document == {"message_type": "exit_error", "code": code, "message": "Fatal: odd\ndo this"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), errors.Interrupted("stopped"), click.Abort()])
def test_an_interruption_is_no_failure(
    error: BaseException, failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    assert program.run(["version"]) == 130
    assert "Fatal" not in capsys.readouterr().err


def test_a_bug_is_named_on_one_line_and_its_traceback_kept_in_private(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failing.append(ZeroDivisionError("by zero"))
    assert program.run(["version"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Fatal: this is a bug in Argosy: ZeroDivisionError: by zero"
    assert len(said) == 2
    (kept,) = (tmp_path / "state").glob("bug-*.txt")
    assert str(kept) in said[1]
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_an_error_of_the_system_is_not_called_a_bug(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(OSError(28, "No space left on device", "/full"))
    assert program.run(["version"]) == 1
    assert capsys.readouterr().err.startswith("Fatal: /full: No space left on device\n")


def test_a_bug_prints_its_traceback_to_those_who_want_it(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(ZeroDivisionError("by zero"))
    assert program.run(["version", "--verbose=2"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_reason_for_noise(
    failing: list[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    failing.append(BrokenPipeError())
    kept = os.dup(sys.stdout.fileno())
    try:
        assert program.run(["version"]) == 141
    finally:
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)
    assert capfd.readouterr().err == ""


def test_what_stands_behind_two_dashes_is_not_ours_to_read() -> None:
    assert program._as_click_reads(["backup", "--verbose=2", "--", "--verbose=2"]) == [
        "backup",
        "-v",
        "-v",
        "--",
        "--verbose=2",
    ]
