"""A member's half of an engine: what its workers reported and no master confirmed is said first by the next session.

Where it is another master that the next session has, workers store first what they have read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from argosy.engine.nats import session as sessions
from argosy.engine.nats import wire
from argosy.engine.nats.session import Session
from argosy.engine.nats.stream import Settled
from tests.support.cluster import Drawer
from tests.support.engine_driver import Gate
from tests.support.engine_handlers import SCRIPTED

PATIENCE_SECONDS = 60.0
SETUP = b"speak at once"

Said = TypeVar("Said", bound=wire.Up)


class Paper:
    """A link that writes down what is said, and confirms it or does not; a source without tokens."""

    def __init__(self, *, confirms: bool) -> None:
        self._confirms = confirms
        self._said: list[wire.Up] = []
        self._changed = threading.Condition()

    @property
    def unsent_bytes(self) -> int:
        return 0

    def unconfirmed(self) -> list[bytes]:
        return [] if self._confirms else [wire.encode(message) for message in self._said]

    def send(self, message: bytes, settled: Settled | None = None) -> None:  # noqa: ARG002 - a link's
        with self._changed:
            self._said.append(wire.decode_up(message))
            self._changed.notify_all()

    def until_reported(self, *payloads: bytes) -> None:
        """Wait until these reports were said, in this order."""
        self.until(lambda: self.reported() == list(payloads))

    def until(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE_SECONDS), self._said

    def all(self, kind: type[Said]) -> list[Said]:
        return [message for message in self._said if isinstance(message, kind)]

    def reported(self) -> list[bytes]:
        """All reports, those of former sessions first."""
        former = [report for message in self.all(wire.Begun) for report in message.reports]
        return former + [message.payload for message in self.all(wire.Said)]

    def made_room(self) -> None: ...

    def update(self, demand: int, answered: list[int]) -> None: ...

    def settle(self, token: int) -> None: ...


def started_session(paper: Paper, drawer: Drawer) -> Session:
    """A session that has had its first word."""
    session = Session("nas-1", 1, [SCRIPTED], lambda _handler, setup: setup, lambda: None, leftovers=drawer)
    session.attach(paper, paper)
    session.start()
    session.inbox.put(wire.Begin(SCRIPTED, SETUP, 3600.0, 60.0), 0)
    return session


def session_over(paper: Paper, drawer: Drawer, *reports: bytes) -> None:
    """Run a session until it has said these reports; then its link is void."""
    session = started_session(paper, drawer)
    session.inbox.put(wire.Hand(1, 0, 0, b"echo x"), 0)  # with a task the workers come
    paper.until_reported(*reports)
    session.abandon()
    session.join(PATIENCE_SECONDS)
    assert not session.is_alive()


def test_reports_that_nobody_confirmed_are_said_again_and_told_to_the_workers() -> None:
    drawer = Drawer(SETUP)
    session_over(Paper(confirms=False), drawer, b"at once")
    assert drawer.kept == [(SCRIPTED, SETUP, [b"at once"])]
    session_over(Paper(confirms=True), drawer, b"at once", b"at once", b"notice of it")
    assert drawer.kept == [(SCRIPTED, SETUP, [])]


def test_workers_store_what_they_have_read_for_a_former_master(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    paper, drawer = Paper(confirms=False), Drawer(SETUP)
    session = started_session(paper, drawer)
    for number, payload in enumerate((b"hold", b"ponder " + os.fsencode(tmp_path / "gate"))):
        session.inbox.put(wire.Hand(number, number, 0, payload), 0)
    paper.until(lambda: len(paper.all(wire.Taken)) == 2)
    session.replace()
    gate.open()
    session.join(PATIENCE_SECONDS)
    assert not session.is_alive()
    assert [complete.task_id for complete in paper.all(wire.Complete)] == [0, 1]
    assert drawer.kept == [(SCRIPTED, SETUP, [b"at once", b"idle"])]


def test_a_worker_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "STORE_SECONDS", 0.0)
    gate = Gate(tmp_path / "gate")
    paper, drawer = Paper(confirms=False), Drawer(SETUP)
    session = started_session(paper, drawer)
    session.inbox.put(wire.Hand(0, 0, 0, gate.payload), 0)
    paper.until(lambda: bool(paper.all(wire.Taken)))
    session.replace()
    session.join(PATIENCE_SECONDS)
    assert not session.is_alive()
    assert drawer.kept == [(SCRIPTED, SETUP, [b"at once"])]


def test_a_session_begins_when_none_before_it_stores_any_more() -> None:
    paper = Paper(confirms=True)
    stores, asked = threading.Event(), threading.Event()
    stores.set()

    def former_stores() -> bool:
        asked.set()
        return stores.is_set()

    session = Session("nas-1", 1, [SCRIPTED], lambda _handler, setup: setup, lambda: None, former_stores=former_stores)
    session.attach(paper, paper)
    session.start()
    session.inbox.put(wire.Begin(SCRIPTED, SETUP, 3600.0, 60.0), 0)
    assert asked.wait(PATIENCE_SECONDS)
    assert not paper.all(wire.Begun)
    stores.clear()
    paper.until(lambda: bool(paper.all(wire.Begun)))
    session.abandon()
    session.join(PATIENCE_SECONDS)
