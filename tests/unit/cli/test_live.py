"""The live display: drawn by its own calls, gone at the end, names and messages intact."""

from __future__ import annotations

import io
import sys

import msgspec
import pytest
from rich.console import Console

from argosy.cli.backup_picture import backup_picture
from argosy.cli.live import LiveDisplay
from argosy.cli.output import Output
from argosy.cli.pace import Pace
from tests.unit.cli.test_backup_reporter import PROGRESS, SCANNED, going


class Screen:
    """A terminal of 100 columns, and what was written to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written = io.StringIO()
        console = Console(file=self.written, force_terminal=True, width=100, height=40, highlight=False)
        self.output = Output(stdout=io.StringIO(), stderr=io.StringIO())
        monkeypatch.setattr(sys, "stderr", self.written)
        monkeypatch.setattr(self.written, "isatty", lambda: True)
        self.display = LiveDisplay(self.output, backup_picture, console)

    @property
    def text(self) -> str:
        """Everything that was written, with its control sequences."""
        return self.written.getvalue()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def test_it_shows_files_bytes_rate_scan_queue_and_each_member(screen: Screen) -> None:
    screen.display.show(PROGRESS, 5, going())
    screen.display.close()
    for words in ("1,234 files", "30.000 MiB", "1.000 MiB/s", "3 threads", "4 batches", "vm", "2 workers"):
        assert words in screen.text
    assert "ETA" not in screen.text


def test_the_end_is_foretold_once_the_scan_has_ended(screen: Screen) -> None:
    screen.display.show(SCANNED, 5, going())
    screen.display.close()
    assert "75%  ETA 0:10" in screen.text
    assert "2 could not be read" in screen.text


def test_messages_and_errors_appear_above_it(screen: Screen) -> None:
    screen.display.show(PROGRESS, 5, Pace())
    screen.output.message("resumed job of Mon 22:00 [not markup]")
    screen.output.error("permission denied", item="/a")
    screen.display.close()
    assert "resumed job of Mon 22:00 [not markup]" in screen.text
    assert "error: /a: permission denied" in screen.text


def test_afterwards_messages_go_their_usual_way(screen: Screen) -> None:
    screen.display.show(PROGRESS, 5, Pace())
    screen.display.close()
    assert screen.output.interrupt is None


def test_a_display_that_was_never_shown_draws_nothing(screen: Screen) -> None:
    screen.display.close()
    assert screen.text == ""


def test_many_members_do_not_fill_the_screen(screen: Screen) -> None:
    members = [(f"proxy-{number}", 8, 1, 10, 1000) for number in range(100)]
    screen.display.show(msgspec.structs.replace(PROGRESS, members=members), 5, Pace())
    screen.display.close()
    assert "and 80 members more" in screen.text
