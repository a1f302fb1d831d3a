"""The program with a person at the terminal: questions without echo, a live display, names that are safe to show."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.engines import Why
from tests.support.command import Argosy
from tests.support.machines import Machines

PATIENCE_SECONDS = 60.0


class Terminal:
    """A pseudo-terminal with the program in it."""

    def __init__(self, argosy: Argosy, *arguments: str | Path) -> None:
        environment = {**argosy.variables(), "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        del environment["ARGOSY_PASSWORD"]
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            argosy.command(*arguments), env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.shown = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def wait_for(self, words: bytes) -> None:
        """Read until the words appear after what was waited for before."""
        begin = len(self.shown)
        while words not in self.shown[begin:]:
            if not self._read():
                pytest.fail(f"the program ended without saying {words!r}: {self.shown!r}")

    def type(self, text: bytes) -> None:
        """What the person types."""
        os.write(self._master, text)

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def _read(self) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            pytest.fail(f"the program says nothing more: {self.shown!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        self.shown += data
        return bool(data)


@pytest.fixture
def argosy(tmp_path: Path, machines: Machines) -> Argosy:
    return Argosy(tmp_path, machines=machines)


@pytest.mark.one_engine(Why.ANOTHER_VERB)
def test_a_new_password_is_asked_for_twice_and_not_shown(argosy: Argosy) -> None:
    with Terminal(argosy, "init") as terminal:
        terminal.wait_for(b"enter password for new repository: ")
        terminal.type(b"secret\n")
        terminal.wait_for(b"again: ")
        terminal.type(b"secret\n")
        assert terminal.end() == 0
        assert b"secret" not in terminal.shown
    Argosy(argosy.home, password="secret").run("backup", argosy.home / "repository" / "config")


@pytest.mark.one_engine(Why.ANOTHER_VERB)
def test_two_passwords_that_differ_make_nothing(argosy: Argosy) -> None:
    with Terminal(argosy, "init") as terminal:
        terminal.wait_for(b"new repository: ")
        terminal.type(b"secret\n")
        terminal.wait_for(b"again: ")
        terminal.type(b"other\n")
        assert terminal.end() == 1
        assert b"differ" in terminal.shown
    assert not argosy.repository.exists()


def test_a_backup_shows_itself_live_and_leaves_the_summary(argosy: Argosy) -> None:
    source = argosy.home / "source"
    (source / "sub").mkdir(parents=True)
    for number in range(50):
        (source / "sub" / f"evil\x1b[31m{number}").write_bytes(os.urandom(1000))
    argosy.run("init")
    with Terminal(argosy, "backup", source) as terminal:
        terminal.wait_for(b"enter password for repository: ")
        terminal.type(argosy.password.encode() + b"\n")
        assert terminal.end() == 0
        shown = terminal.shown
    assert b"queue" in shown
    assert b"scan" in shown
    assert b"\x1b[?25h" in shown, "the cursor is there again"
    assert shown.rstrip().endswith(b"saved")


def test_names_cannot_steer_the_terminal(argosy: Argosy) -> None:
    evil = argosy.home / "a\x1b[31mb"
    with Terminal(argosy, "backup", "--files-from-verbatim", "list", argosy.home / "x") as terminal:
        terminal.end()
    (argosy.home / "list").write_bytes(os.fsencode(evil) + b"\n")
    said = argosy.run("backup", "--files-from-verbatim", argosy.home / "list", argosy.home, expect=10).stderr
    assert b"\\x1b[31m" in said
    assert b"\x1b" not in said
