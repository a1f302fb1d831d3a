"""A member's half of one engine: a thread that owns a LocalEngine and speaks on a link."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

import msgspec

from argosy.engine.interface import (
    WINDOW_PER_WORKER,
    Event,
    MemberJoined,
    Report,
    Task,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskProgress,
    TaskTaken,
)
from argosy.engine.local import LocalEngine
from argosy.engine.nats import wire
from argosy.engine.nats.inbox import LIMIT_BYTES, Inbox
from argosy.engine.nats.leftovers import NO_LEFTOVERS, Leftovers
from argosy.engine.nats.pace import Pace
from argosy.engine.nats.stream import Settled
from argosy.errors import ArgosyError, EngineError

_log = logging.getLogger(__name__)

_TURN_SECONDS = 1.0
_FAREWELL_SECONDS = 5.0
_BEHIND_SECONDS = 0.01
# After it heard that what waits is not for this member.
_UNSUITED_SECONDS = 1.0
_ALWAYS = Pace(1.0)
# Three packs of 16 MiB over 20 Mbit/s, say. Others wait meanwhile: see ``Engine.expect``.
STORE_SECONDS = 30.0
_STORE_TURN_SECONDS = 0.2


Prepare: TypeAlias = Callable[[str, bytes], bytes]
"""``prepare(handler, setup)``: the setup as this member's workers need it; an ArgosyError keeps the member out."""


class Speaker(Protocol):
    """What a session needs of its link."""

    @property
    def unsent_bytes(self) -> int:
        """What is not confirmed yet."""

    def unconfirmed(self) -> list[bytes]:
        """The messages that the master has not confirmed."""

    def send(self, message: bytes, settled: Settled | None = None) -> None:
        """Send a message without waiting."""

    def made_room(self) -> None:
        """The inbox was emptied."""


class Draw(Protocol):
    """What a session needs of its tokens; called from its thread."""

    def update(self, demand: int, answered: list[int]) -> None:
        """How many tasks more are wanted, and which tokens have had their answer."""

    def settle(self, token: int) -> None:
        """The token's task has ended; called where the link calls ``settled``."""


class Session(threading.Thread):
    """Runs from the link's first message to its last. What comes in is put into ``inbox``."""

    def __init__(
        self,
        name: str,
        workers: int,
        allowed: Collection[str],
        prepare: Prepare,
        ended: Callable[[], None],
        say: Callable[[str], None] = lambda _: None,
        pace: Pace = _ALWAYS,
        leftovers: Leftovers = NO_LEFTOVERS,
        former_stores: Callable[[], bool] = lambda: False,
    ) -> None:
        """``allowed`` are the handlers that this member runs; ``ended`` is called at the very end. ``say`` hears, in
        words, why this member takes no part; ``pace`` says when it rests; ``leftovers`` keeps reports for the next one,
        which begins its work when ``former_stores`` says that none before it still stores what its workers have read.
        """
        super().__init__(name=f"session-{name}", daemon=True)
        self.inbox: Inbox[wire.Down] = Inbox()
        self._member = name
        self._workers = workers
        self._allowed = allowed
        self._prepare = prepare
        self._ended = ended
        self._tell_here = say
        self._pace = pace
        self._leftovers = leftovers
        self._former_stores = former_stores
        self._work: tuple[str, bytes] | None = None
        self._unsuited_until_seconds = 0.0
        self._engine: LocalEngine | None = None
        self._over = threading.Event()
        self._leaving = threading.Event()
        self._is_replaced = False
        self._handed = 0
        self._last_room = 0
        self._last_demand = 0
        self._answered: list[int] = []
        # Of each task at hand: its attempt, and its token.
        self._tokens: dict[int, tuple[int, int]] = {}
        # Handed over although no slot is free (a worker has died meanwhile, say).
        self._kept: deque[Task] = deque()
        self._flush_behind_kept = False
        self._crew: list[tuple[int, int]] = []

    def attach(self, link: Speaker, draw: Draw) -> None:
        """Before ``start``: how to speak and where tasks come from."""
        self._link = link
        self._draw = draw
        self.inbox.on_put = self._nudge

    def drawn(self, token: int) -> None:
        """A token was drawn: ask for a task."""
        self._link.send(wire.encode(wire.Draw(token)))

    def replace(self) -> None:
        """Another master runs the work from now on, and the link is void: store what the workers have read, so that it
        can be told to the next session's master, then end. From any thread.
        """
        self._is_replaced = True
        self.inbox.wake()
        self._nudge()

    @property
    def is_replaced(self) -> bool:
        """Whether ``replace`` was called."""
        return self._is_replaced

    def abandon(self) -> None:
        """End at once: the link is void, or this member leaves. From any thread."""
        self._over.set()
        self.inbox.wake()
        self._nudge()

    def leave(self) -> None:
        """End at once, and tell the master. From any thread."""
        self._leaving.set()
        self.inbox.wake()
        self._nudge()

    def run(self) -> None:
        """The thread's work."""
        try:
            self._serve()
        except ArgosyError as error:
            self._tell_here(f"takes no part in a job: {error.message}")
            self._say(wire.Broken(error.message, error.hint))
        finally:
            if self._engine is not None:
                self._engine.cancel()
            self._say_farewell()
            self._keep_leftovers()
            self._ended()

    def _serve(self) -> None:
        while not self._over.is_set():
            if self._leaving.is_set():
                self._say(wire.Closed())
                return
            if self._is_replaced:
                self._store()
                break
            for message in self._take():
                if self._follow(message):
                    return
            if self._engine is None:
                self.inbox.wait(time.monotonic() + _TURN_SECONDS)
            elif self._link.unsent_bytes > LIMIT_BYTES:
                # The workers wait likewise: nobody hears them meanwhile.
                self.inbox.wait(time.monotonic() + _BEHIND_SECONDS)
            else:
                self._turn(self._engine)
        if self._engine is not None:
            # The link is void: this is for the leftovers.
            self._relay_all(self._engine.events(0.0))

    def _store(self) -> None:
        """Let workers store what they have read, for so long; what waits for them is another session's."""
        engine = self._engine
        if engine is None or self._work is None or not self._leftovers.are_of(self._work[0]):
            return
        for task_id, (attempt, _) in self._tokens.items():
            engine.withdraw(task_id, attempt)
        engine.flush()
        deadline = time.monotonic() + STORE_SECONDS
        while not self._ends() and _is_busy(engine) and time.monotonic() < deadline:
            self._relay_all(engine.events(_STORE_TURN_SECONDS))

    def _ends(self) -> bool:
        return self._over.is_set() or self._leaving.is_set()

    def _take(self) -> list[wire.Down]:
        messages = self.inbox.take_all()
        self._link.made_room()
        return messages

    def _follow(self, message: wire.Down) -> bool:
        """Do as the master says; True at the end."""
        match message:
            case wire.Begin():
                self._begin(message)
            case wire.Cancel():
                return True
            case wire.Close():
                if self._engine is not None:
                    self._engine.close()
                self._say(wire.Closed())
                return True
            case _ if self._engine is not None:
                self._instruct(self._engine, message)
        return False

    def _begin(self, begin: wire.Begin) -> None:
        if begin.handler not in self._allowed:
            raise EngineError(
                f"the member {self._member} does not run {begin.handler!r}", hint="Install the same version everywhere."
            )
        while self._former_stores() and not self._ends():
            self._over.wait(_BEHIND_SECONDS)
        setup = self._prepare(begin.handler, begin.setup)
        engine = LocalEngine(
            self._workers, idle_seconds=begin.idle_seconds, close_seconds=begin.close_seconds, name=self._member
        )
        leftovers = self._leftovers.take(begin.handler, setup)
        engine.start(setup, begin.handler)
        for leftover in leftovers:
            engine.broadcast(leftover.notice, keep=True)
        self._engine, self._work = engine, (begin.handler, setup)
        self._say(wire.Begun([leftover.report for leftover in leftovers]))

    def _instruct(self, engine: LocalEngine, message: wire.Down) -> None:
        match message:
            case wire.Hand(token, task_id, attempt, payload):
                self._handed += 1
                self._answered.append(token)
                self._tokens[task_id] = (attempt, token)
                self._kept.append(Task(task_id, attempt, payload))
                self._offer_kept(engine)
            case wire.Void(token, unsuited):
                self._answered.append(token)
                self._draw.settle(token)
                if unsuited:
                    self._unsuited_until_seconds = time.monotonic() + _UNSUITED_SECONDS
            case wire.Withdraw(task_id, attempt):
                engine.withdraw(task_id, attempt)
            case wire.Tell(payload, keep):
                engine.broadcast(payload, keep=keep)
            case wire.Flush():
                self._flush_behind_kept = bool(self._kept)
                engine.flush()

    def _offer_kept(self, engine: LocalEngine) -> None:
        while self._kept and engine.wanted() > 0:
            engine.offer(self._kept.popleft())
        if self._flush_behind_kept and not self._kept:
            self._flush_behind_kept = False
            engine.flush()

    def _turn(self, engine: LocalEngine) -> None:
        self._update_demand(engine)
        events = engine.events(_TURN_SECONDS)
        self._offer_kept(engine)
        crew = [(worker.number, worker.pid) for member in engine.members() for worker in member.workers]
        if crew != self._crew:
            self._crew = crew
            self._say(wire.Crew(crew))
        self._relay_all(events)
        for task_id, attempt in engine.take_withdrawn():
            self._say_last(task_id, wire.GivenBack(task_id, attempt))
        self._tell_room(engine)

    def _tell_room(self, engine: LocalEngine) -> None:
        in_window = self._workers * WINDOW_PER_WORKER - engine.wanted() + len(self._kept)
        room = self._handed - in_window
        if room != self._last_room:
            self._last_room = room
            self._say(wire.Room(room))

    def _update_demand(self, engine: LocalEngine) -> None:
        demand = engine.wanted() - len(self._kept) if self._may_take_more(engine) else 0
        if self._answered or demand != self._last_demand:
            self._last_demand = demand
            answered, self._answered = self._answered, []
            self._draw.update(demand, answered)

    def _may_take_more(self, engine: LocalEngine) -> bool:
        now, in_window = time.monotonic(), self._workers * WINDOW_PER_WORKER - engine.wanted()
        busy = min(in_window, self._workers) / self._workers
        return self._pace.may_take_more(now, busy) and now >= self._unsuited_until_seconds

    def _relay_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._relay(event)

    def _relay(self, event: Event) -> None:
        match event:
            case MemberJoined():
                self._say(wire.Joined())
            case TaskTaken(task_id, attempt, _, worker):
                self._say(wire.Taken(task_id, attempt, worker))
            case TaskProgress(task_id, attempt, _, worker, payload):
                self._say(wire.Progress(task_id, attempt, worker, payload))
            case Report(_, worker, payload):
                self._say(wire.Said(worker, payload))
            case TaskComplete(task_id, attempt, _, worker, payload):
                self._say_last(task_id, wire.Complete(task_id, attempt, worker, payload))
            case TaskFailed(task_id, attempt, _, worker, payload, raised):
                self._say_last(task_id, wire.Failed(task_id, attempt, worker, payload, raised))
            case TaskLapsed(task_id, attempt, _, worker, reason, taken):
                self._say_last(task_id, wire.Lapsed(task_id, attempt, worker, reason, taken))

    def _say(self, message: msgspec.Struct) -> None:
        self._link.send(wire.encode(message))

    def _say_last(self, task_id: int, message: msgspec.Struct) -> None:
        """The last word on a task: its token is acknowledged once the master has confirmed it."""
        _, token = self._tokens.pop(task_id)
        self._link.send(wire.encode(message), lambda: self._draw.settle(token))

    def _say_farewell(self) -> None:
        """Give what was said last the time to be confirmed, unless the link is void."""
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while self._link.unsent_bytes and not self._is_void() and time.monotonic() < deadline:
            self._over.wait(_BEHIND_SECONDS)

    def _is_void(self) -> bool:
        return self._over.is_set() or self._is_replaced

    def _keep_leftovers(self) -> None:
        """What workers have reported holds whoever runs the work next, unlike what they said of tasks."""
        if self._work is not None:
            reports = []
            for message in map(wire.decode_up, self._link.unconfirmed()):
                match message:
                    case wire.Said(_, payload):
                        reports.append(payload)
                    case wire.Begun(former):
                        reports += former
            self._leftovers.keep(*self._work, reports)

    def _nudge(self) -> None:
        engine = self._engine
        if engine is not None:
            engine.wake()


def _is_busy(engine: LocalEngine) -> bool:
    return any(worker.holding for member in engine.members() for worker in member.workers)
