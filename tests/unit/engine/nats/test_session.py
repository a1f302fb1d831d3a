"""A member's half of an engine: what its workers reported and no master confirmed is said first by the next session."""

from __future__ import annotations

import threading

from argosy.engine.nats import wire
from argosy.engine.nats.leftovers import Leftover
from argosy.engine.nats.session import Session
from argosy.engine.nats.stream import Settled
from tests.support.engine_handlers import SCRIPTED

PATIENCE_SECONDS = 60.0
SETUP = b"speak at once"


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
        """Wait until these reports were said, in this order, behind the word that this member has joined."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.reported() == list(payloads), PATIENCE_SECONDS), self._said
        kinds = [type(message) for message in self._said]
        assert kinds.index(wire.Joined) < kinds.index(wire.Said)

    def reported(self) -> list[bytes]:
        return [message.payload for message in self._said if isinstance(message, wire.Said)]

    def made_room(self) -> None: ...

    def update(self, demand: int, answered: list[int]) -> None: ...

    def settle(self, token: int) -> None: ...


class Drawer:
    """Leftovers in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes, list[bytes]]] = []

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        self.kept.append((handler, setup, reports))

    def take(self, handler: str, setup: bytes) -> list[Leftover]:
        assert (handler, setup) == (SCRIPTED, SETUP)
        return [Leftover(report, b"of it") for report in self.kept.pop()[2]] if self.kept else []


def session_over(paper: Paper, drawer: Drawer, *reports: bytes) -> None:
    """Run a session until it has said these reports; then its link is void."""
    session = Session("nas-1", 1, [SCRIPTED], lambda _handler, setup: setup, lambda: None, leftovers=drawer)
    session.attach(paper, paper)
    session.start()
    session.inbox.put(wire.Begin(SCRIPTED, SETUP, 3600.0, 60.0), 0)
    session.inbox.put(wire.Hand(1, 0, 0, b"echo x"), 0)  # with a task the workers come
    paper.until_reported(*reports)
    session.abandon()
    session.join(PATIENCE_SECONDS)
    assert not session.is_alive()


def test_reports_that_nobody_confirmed_are_said_again_and_told_to_the_workers() -> None:
    drawer = Drawer()
    session_over(Paper(confirms=False), drawer, b"at once")
    assert drawer.kept == [(SCRIPTED, SETUP, [b"at once"])]
    session_over(Paper(confirms=True), drawer, b"at once", b"at once", b"notice of it")
    assert drawer.kept == [(SCRIPTED, SETUP, [])]
