"""Has workers repack: hands out packs, takes the new ones, and keeps the workers' lease alive."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from argosy.engine.interface import Engine, Event, Task, TaskComplete, TaskFailed, TaskLapsed
from argosy.errors import ArgosyError, EngineError
from argosy.operations.crew import Crew
from argosy.operations.prune.messages import Lease, Repacked, RepackFailed, RepackWork, encode

_LOOK_SECONDS = 0.2
# The lock is refreshed every five minutes.
_LEASE_SECONDS = 60.0
# The repository is locked meanwhile; a member that joins may need a minute for its first worker.
_MEMBERLESS_SECONDS = 120.0
# Work that ended its worker this often may end any worker.
_MOST_FAILURES = 3


class SizedWork(msgspec.Struct, frozen=True):
    """A task, and how large its packs are together."""

    work: RepackWork
    size_bytes: int


class Spreading:
    """One run. ``take`` hears of each task that is done, once, and ``crew`` of all that happens.

    ``remaining_seconds`` tells for how long writing is allowed; ``stop`` raises to end it; ``look`` is called now and
    then.
    """

    def __init__(
        self,
        engine: Engine,
        crew: Crew,
        *,
        take: Callable[[Repacked, SizedWork], None],
        remaining_seconds: Callable[[], float],
        stop: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._take = take
        self._remaining_seconds = remaining_seconds
        self._stop = stop
        self._look = look
        self._crew = crew
        self._assigned: dict[int, SizedWork] = {}
        self._failures: dict[int, int] = {}
        self._attempts: dict[int, int] = {}
        self._next_id = 0
        self._lapsed: deque[int] = deque()
        self._expelled: set[str] = set()
        self._attended_seconds = time.monotonic()

    def run(self, works: Iterator[SizedWork]) -> None:
        """Have all of it done. What a worker could not do is raised as if it had happened here."""
        more, next_lease = True, 0.0
        while True:
            self._stop()
            if time.monotonic() >= next_lease:
                self._engine.broadcast(encode(Lease(self._remaining_seconds())))
                next_lease = time.monotonic() + _LEASE_SECONDS
            while self._engine.wanted() > 0 and (self._lapsed or more):
                if self._lapsed:
                    self._offer(self._lapsed.popleft())
                elif (work := next(works, None)) is None:
                    more = False
                else:
                    self._assigned[self._next_id] = work
                    self._offer(self._next_id)
                    self._next_id += 1
            # The window may be full of tasks that are done: that alone does not mean that all are.
            if not (self._assigned or more):
                return
            for event in self._engine.events(_LOOK_SECONDS):
                self._handle(event)
            self._require_members()
            self._look()

    def _require_members(self) -> None:
        """Nobody may use the repository while nobody works on it: not for long."""
        if self._engine.members() or not self._engine.is_spread:
            self._attended_seconds = time.monotonic()
        elif time.monotonic() - self._attended_seconds > _MEMBERLESS_SECONDS:
            raise EngineError(
                f"no member has been there for {_MEMBERLESS_SECONDS:.0f} seconds, and the repository was locked",
                hint="Nothing was deleted that is needed. Start a proxy, and run the prune again.",
            )

    def _offer(self, task_id: int) -> None:
        attempt = self._attempts[task_id] = self._attempts.get(task_id, -1) + 1
        self._engine.offer(Task(task_id, attempt, encode(self._assigned[task_id].work)))

    def _handle(self, event: Event) -> None:
        self._crew.hear(event)
        match event:
            case TaskComplete(task_id=task_id, payload=payload, member=member):
                work = self._assigned.pop(task_id)
                self._crew.credit(member, len(work.work.packs), work.size_bytes)
                self._take(msgspec.msgpack.decode(payload, type=Repacked), work)
            case TaskFailed(task_id=task_id, payload=payload, member=member):
                self._give_up_member(task_id, member, _error(payload))
            case TaskLapsed(task_id=task_id, reason=reason, taken=taken, member=member):
                self._again(task_id, reason, suspect=taken and member not in self._expelled)

    def _give_up_member(self, task_id: int, member: str, error: ArgosyError) -> None:
        """Go on without a member that cannot read or store what others may (its disk is full, say), if there are any.

        Else raise its error.
        """
        if all(other.name == member for other in self._engine.members()):
            raise error
        self._lapsed.append(task_id)
        if member not in self._expelled:
            self._expelled.add(member)
            self._engine.expel(member, error.message)

    def _again(self, task_id: int, reason: str, *, suspect: bool) -> None:
        """Have a task done once more. The packs that its worker stored are in no index: the next prune deletes them."""
        self._failures[task_id] = self._failures.get(task_id, 0) + suspect
        if self._failures[task_id] >= _MOST_FAILURES:
            names = ", ".join(pack.id.hex() for pack in self._assigned[task_id].work.packs[:5])
            raise EngineError(
                f"workers end while they repack packs {names}: {reason}",
                hint="Nothing was deleted that is needed. Run `argosy check --read-data`: are they whole?",
            )
        self._lapsed.append(task_id)


def _error(payload: bytes) -> ArgosyError:
    try:
        return msgspec.msgpack.decode(payload, type=RepackFailed).error()
    except msgspec.DecodeError:
        return EngineError(
            f"packs could not be repacked: {payload.decode('utf-8', 'replace')}",
            hint="Nothing was deleted that is needed. This is a bug: report it.",
        )
