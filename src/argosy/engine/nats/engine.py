"""The engine of a cluster: what its owner calls. Decisions are in placement.py, the members' halves in session.py.

All changes are within ``events`` and ``offer``, in the owner's thread; the hub's loop only fills the inbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

import msgspec

from argosy.engine.interface import (
    Event,
    Member,
    MemberJoined,
    MemberLeft,
    Report,
    Task,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskProgress,
    TaskTaken,
)
from argosy.engine.nats import wire
from argosy.engine.nats.hub import Attached, Desk, Heard, Hub, Lost
from argosy.engine.nats.placement import Place, Placement
from argosy.engine.notices import LateNotices
from argosy.errors import EngineError

MAX_UNREAD_BYTES = 64 * 1024 * 1024
_CANCEL_SECONDS = 2.0
_FAREWELL_SECONDS = 5.0
# Who is there may store for ``session.STORE_SECONDS``, and prove before that what it sees.
_EXPECTED_SECONDS = 45.0
_FIRST_WORKER = 1
# Tasks that wait while nobody draws: some tokens may be lost.
_STARVED_SECONDS = 2.0


class NatsEngine:
    """Runs tasks on the members of a hub; see ``interface.Engine`` for the promises.

    Without members it takes a few tasks and waits. It fails only if members cannot make their workers and none is left.
    """

    def __init__(self, hub: Hub, *, idle_seconds: float = 5.0, close_seconds: float = 10.0) -> None:
        """``close_seconds`` is how long ``close`` waits for current work before it kills."""
        self._hub = hub
        self._idle_seconds = idle_seconds
        self._close_seconds = close_seconds
        self._placement = Placement()
        self._desk: Desk | None = None
        self._handler = ""
        self._setup = b""
        self._notices = LateNotices()
        self._events: list[Event] = []
        self._last_draw_seconds = 0.0
        self._expelled: set[str] = set()
        self._expected: set[str] = set()
        self._expected_since_seconds = 0.0
        self._failure: EngineError | None = None

    @property
    def is_spread(self) -> bool:
        """See ``Engine.is_spread``."""
        return True

    def start(self, setup: bytes, handler: str) -> None:
        """See ``Engine.start``."""
        if self._handler:
            raise EngineError("the engine was started before")
        self._handler, self._setup = handler, setup
        self._desk = self._hub.open_desk()
        self._hear()

    def prepare(self, handler: str, count: int) -> None:
        """See ``Engine.prepare``: each member decides for itself."""

    def expect(self, members: Collection[str]) -> None:
        """See ``Engine.expect``. A member that is there has the time to store what its workers have read."""
        self._expected = set(members)
        self._expected_since_seconds = time.monotonic()

    def offer(self, task: Task) -> None:
        """See ``Engine.offer``."""
        desk = self._usable()
        self._placement.offer(task)
        desk.tokens.need()

    def wanted(self) -> int:
        """See ``Engine.wanted``."""
        return 0 if self._expected else self._placement.wanted()

    def events(self, timeout_seconds: float) -> list[Event]:
        """See ``Engine.events``."""
        desk = self._usable()
        deadline = time.monotonic() + timeout_seconds
        self._withdraw()
        while True:
            woken = desk.inbox.wait(min(deadline, time.monotonic() + _STARVED_SECONDS))
            before = self.wanted()
            self._hear()
            self._expect_no_longer()
            self._refill()
            if self._events or woken or self._failure or self.wanted() > before or time.monotonic() >= deadline:
                break
        if self._failure and not self._events:
            raise self._failure
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """See ``Engine.wake``."""
        desk = self._desk
        if desk is not None:
            desk.inbox.wake()

    def members(self) -> list[Member]:
        """See ``Engine.members``."""
        return [
            Member(
                place.name,
                place.host,
                place.pid,
                place.workers(),
                place.joined_at_seconds,
                self._desk.last_seen_seconds(place.link),
                place.waiting(),
            )
            for place in self._placement.places.values()
            if place.joined_at_seconds is not None and self._desk is not None
        ]

    def broadcast(self, payload: bytes, *, keep: bool = False) -> None:
        """See ``Engine.broadcast``. A member that leaves ``MAX_UNREAD_BYTES`` of it unread is struck off."""
        desk = self._usable()
        notice = wire.encode(wire.Tell(payload, keep))
        self._notices.add(notice, keep=keep)
        for link in self._placement.places:
            desk.send(link, notice)
            if desk.unsent_bytes(link) > MAX_UNREAD_BYTES:
                desk.lose(link, "no longer reads its messages")

    def flush(self) -> None:
        """See ``Engine.flush``."""
        desk = self._usable()
        self._placement.flush()
        for link in self._placement.places:
            desk.send(link, wire.encode(wire.Flush()))

    def expel(self, member: str, reason: str) -> None:
        """See ``Engine.expel``."""
        desk = self._usable()
        self._expelled.add(member)
        for place in [place for place in self._placement.places.values() if place.name == member]:
            desk.lose(place.link, f"was expelled: {reason}")
            self._lose(place.link, f"was expelled: {reason}")
        if not self._placement.places:
            self._failure = self._failure or EngineError(f"the member {member} was expelled: {reason}")

    def cancel(self) -> None:
        """See ``Engine.cancel``. A member that cannot be reached ends its workers when it hears of it."""
        if self._desk is not None:
            self._send_to_all(wire.Cancel(), _CANCEL_SECONDS)
            self._release(self._desk)

    def close(self) -> None:
        """See ``Engine.close``."""
        if self._desk is None:
            self._handler = self._handler or "none"
            return
        self._send_to_all(wire.Close(), _CANCEL_SECONDS)
        deadline = time.monotonic() + self._close_seconds + _FAREWELL_SECONDS
        while self._placement.places and time.monotonic() < deadline:
            self._desk.inbox.wait(deadline)
            self._hear()
        self.cancel()

    def _usable(self) -> Desk:
        if self._failure and not self._events:
            raise self._failure
        if self._desk is None:
            raise EngineError("the engine is closed" if self._handler else "the engine was not started")
        return self._desk

    def _send_to_all(self, message: msgspec.Struct, patience_seconds: float) -> None:
        """Send the last word to every member and wait, for a while, until it has arrived."""
        assert self._desk is not None
        arrived = threading.Semaphore(0)
        links = list(self._placement.places)
        for link in links:
            self._desk.send(link, wire.encode(message), lambda: arrived.release())
        deadline = time.monotonic() + patience_seconds
        for _ in links:
            arrived.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def _release(self, desk: Desk) -> None:
        self._desk = None
        self._events.clear()
        self._placement = Placement()
        desk.close()

    def _withdraw(self) -> None:
        for link, task in self._placement.withdrawals():
            self._send(link, wire.Withdraw(task.id, task.attempt))

    def _refill(self) -> None:
        """Tokens are lost with the server, or with a member that drew some and died."""
        now = time.monotonic()
        assert self._desk is not None
        if self._placement.waiting and now - self._last_draw_seconds > _STARVED_SECONDS:
            self._last_draw_seconds = now
            self._desk.tokens.refill(self._placement.waiting)

    def _send(self, link: int, message: msgspec.Struct) -> None:
        assert self._desk is not None
        self._desk.send(link, wire.encode(message))

    def _hear(self) -> None:
        assert self._desk is not None
        for entry in self._desk.take():
            match entry:
                case Attached(place):
                    self._attach(place)
                case Lost(link, reason):
                    self._lose(link, reason)
                case Heard(link, data):
                    # A link that was struck off may have left messages here: what they say is void.
                    if link in self._placement.places:
                        self._receive(link, data)

    def _expect_no_longer(self) -> None:
        """Who has begun has said all; who is not heard of is not waited for."""
        if self._expected:
            waited = time.monotonic() - self._expected_since_seconds
            places = self._placement.places.values()
            self._expected -= {place.name for place in places if place.has_begun}
            if waited > self._hub.lease_seconds:
                self._expected &= {place.name for place in places}
            if waited > _EXPECTED_SECONDS:
                self._expected.clear()

    def _attach(self, place: Place) -> None:
        assert self._desk is not None
        if place.name in self._expelled:
            self._desk.lose(place.link, "was expelled")
            return
        self._placement.attach(place)
        tailor, setup = self._hub.tailor, self._setup
        if place.terms.own_credentials:
            setup = tailor.without_credentials(self._handler, setup)
        self._send(place.link, wire.Begin(self._handler, setup, self._idle_seconds, self._close_seconds))
        for notice in self._notices:
            self._desk.send(place.link, notice)

    def _lose(self, link: int, reason: str) -> None:
        if link not in self._placement.places:
            return
        place, lapsed = self._placement.detach(link)
        if not lapsed and place.joined_at_seconds is None:
            return
        self._join(place)
        text = f"the member {place.name} {reason}"
        for held in lapsed:
            task = held.task
            self._events.append(TaskLapsed(task.id, task.attempt, place.name, held.worker, text, held.worker > 0))
        self._events.append(MemberLeft(place.name, reason))

    def _join(self, place: Place) -> None:
        if place.joined_at_seconds is None:
            place.joined_at_seconds = time.time()
            self._events.append(MemberJoined(place.name))

    def _receive(self, link: int, data: bytes) -> None:
        try:
            message = wire.decode_up(data)
            self._follow(link, message)
        except EngineError as error:
            assert self._desk is not None
            self._desk.lose(link, f"was struck off because of what it sent: {error.message}")
            self._lose(link, f"was struck off because of what it sent: {error.message}")

    def _follow(self, link: int, message: wire.Up) -> None:
        placement, place = self._placement, self._placement.places[link]
        match message:
            case wire.Draw(token):
                self._hand_over(link, token)
            case wire.Room(left_window):
                place.left_window = left_window
            case wire.Crew(workers):
                placement.crew(link, workers)
            case wire.Begun(reports):
                place.has_begun = True
                for report in reports:
                    self._events.append(self._as_event(place, wire.Said(_FIRST_WORKER, report)))
            case wire.Joined():
                self._join(place)
            case wire.GivenBack(task_id, attempt):
                placement.given_back(link, task_id, attempt)
                self._usable().tokens.need()
            case wire.Broken(text, hint):
                self._broken(link, text, hint)
            case wire.Closed():
                self._lose(link, "left")
            case _:
                self._events.append(self._as_event(place, message))

    def _as_event(self, place: Place, message: wire.Up) -> Event:
        placement, link, name = self._placement, place.link, place.name
        match message:
            case wire.Taken(task_id, attempt, worker):
                return TaskTaken(task_id, attempt, name, placement.taken(link, task_id, attempt, worker))
            case wire.Progress(task_id, attempt, worker, payload):
                return TaskProgress(task_id, attempt, name, placement.worker_number(link, worker), payload)
            case wire.Complete(task_id, attempt, worker, payload):
                placement.settle(link, task_id, attempt)
                return TaskComplete(task_id, attempt, name, placement.worker_number(link, worker), payload)
            case wire.Failed(task_id, attempt, worker, payload, raised):
                placement.settle(link, task_id, attempt)
                return TaskFailed(task_id, attempt, name, placement.worker_number(link, worker), payload, raised)
            case wire.Lapsed(task_id, attempt, worker, reason, taken):
                placement.settle(link, task_id, attempt)
                number = placement.worker_number(link, worker)
                return TaskLapsed(task_id, attempt, name, number, reason, taken)
            case wire.Said(worker, payload):
                self._join(place)
                return Report(name, placement.worker_number(link, worker), payload)
        raise EngineError(f"a message of the unknown kind {type(message).__name__}")

    def _hand_over(self, link: int, token: int) -> None:
        self._last_draw_seconds = time.monotonic()
        only, tailor = self._placement.places[link].terms.only, self._hub.tailor
        drawn = self._placement.draw(link, lambda task: not only or tailor.suits(self._handler, task.payload, only))
        if drawn is None:
            unsuited = self._placement.waiting > 0
            self._send(link, wire.Void(token, unsuited))
            if unsuited:
                # The token is for another member.
                self._usable().tokens.need()
            return
        task, is_flush_due = drawn
        self._send(link, wire.Hand(token, task.id, task.attempt, task.payload))
        if is_flush_due:
            self._send(link, wire.Flush())

    def _broken(self, link: int, text: str, hint: str) -> None:
        """A member cannot make or keep its workers. Others go on; the last one is the end."""
        if len(self._placement.places) > 1:
            self._join(self._placement.places[link])
            self._lose(link, f"takes no part: {text}")
            return
        place, _ = self._placement.detach(link)
        self._failure = EngineError(text if place.name in text else f"{place.name}: {text}", hint=hint)
