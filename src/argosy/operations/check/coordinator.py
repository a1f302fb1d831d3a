"""The loop that drives the workers: trees first, packs whenever no tree waits, until both are done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from argosy.engine.interface import Engine, Event, Task, TaskComplete, TaskFailed, TaskLapsed, TaskProgress
from argosy.errors import Interrupted
from argosy.operations.check.messages import (
    PackRead,
    PackWork,
    TreesFound,
    TreeWork,
    Work,
    decode_found,
    decode_work,
    encode,
)
from argosy.operations.check.options import CheckObserver, CheckProgress, CheckResult, Part, Problem
from argosy.operations.check.walk import TreeWalk
from argosy.operations.crew import Crew

_LOOK_SECONDS = 0.2
_STOPPED_HINT = "Run the same command again: packs that were read are not read again for a day."
# Work that ended its worker this often is given up, and named: it may end any worker.
_MOST_FAILURES = 3


class _Assigned(msgspec.Struct):
    """A task that is with the engine: its work, encoded, and how many trees or packs and bytes of packs that is."""

    payload: bytes
    trees: int
    packs: int
    pack_bytes: int
    attempt: int = 0
    failures: int = 0

    @classmethod
    def of(cls, work: Work) -> _Assigned:
        """A task not offered yet."""
        if isinstance(work, TreeWork):
            return cls(encode(work), len(work.trees), 0, 0)
        return cls(encode(work), 0, len(work.packs), sum(size_bytes for _, size_bytes, _ in work.packs))


class Coordinator:
    """Hands out work and takes what was found. ``packs_to_read`` and ``bytes_to_read`` are for the display."""

    def __init__(
        self,
        engine: Engine,
        observer: CheckObserver,
        result: CheckResult,
        problem: Callable[[Problem], None],
        sound: Callable[[bytes], None] = lambda _pack_id: None,
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._result = result
        self._problem = problem
        self._sound = sound
        self._crew = Crew(engine, observer.message)
        self._assigned: dict[int, _Assigned] = {}
        self._again: deque[int] = deque()
        self._next_id = 0
        self._next_look = 0.0
        self._walk: TreeWalk | None = None
        self._trees_done = 0
        self.packs_to_read = 0
        self.bytes_to_read = 0

    def run(self, walk: TreeWalk, packs: Iterator[PackWork], settled: Callable[[], None]) -> None:
        """Do all the work; ``settled`` is called once, when the workers have had some of it for a while, or at the end.

        Interrupted when asked to stop; EngineError if no worker can be kept alive.
        """
        self._walk = walk
        self._next_look = time.monotonic() + _LOOK_SECONDS
        more_packs = True
        is_settled = False
        while True:
            if self._observer.stop_requested():
                raise Interrupted("stopped on request", hint=_STOPPED_HINT)
            # The window may be full of tasks that are done: that alone does not mean that all are.
            exhausted = False
            while self._engine.wanted() > 0:
                if self._again:
                    self._offer_again(self._again.popleft())
                    continue
                work: Work | None = walk.next_work()
                if work is None and more_packs:
                    work = next(packs, None)
                    more_packs = work is not None
                if work is None:
                    exhausted = True
                    break
                self._offer(work)
            if exhausted and not self._assigned:
                break
            for event in self._engine.events(_LOOK_SECONDS):
                self._handle(event)
            if self._look() and not is_settled:
                settled()
                is_settled = True
        if not is_settled:
            settled()
        self._result.trees = self._trees_done
        self._look(last=True)

    def _offer(self, work: Work) -> None:
        self._assigned[self._next_id] = _Assigned.of(work)
        self._offer_again(self._next_id)
        self._next_id += 1

    def _offer_again(self, task_id: int) -> None:
        assigned = self._assigned[task_id]
        self._engine.offer(Task(task_id, assigned.attempt, assigned.payload))

    def _handle(self, event: Event) -> None:
        self._crew.hear(event)
        match event:
            case TaskProgress(payload=payload):
                self._take(payload)
            case TaskComplete(task_id=task_id, payload=payload, member=member):
                done = self._assigned.pop(task_id)
                self._take(payload)
                self._trees_done += done.trees
                self._crew.credit(member, done.trees + done.packs, done.pack_bytes)
            case TaskFailed(task_id=task_id, payload=payload):
                self._failed(task_id, payload.decode("utf-8", "replace"), suspect=True)
            case TaskLapsed(task_id=task_id, reason=reason, taken=taken):
                self._failed(task_id, reason, suspect=taken)

    def _take(self, payload: bytes) -> None:
        found = decode_found(payload)
        if isinstance(found, TreesFound):
            assert self._walk is not None, "trees are offered by run()"
            self._walk.found(found.trees)
        else:
            for pack in found.packs:
                self._take_pack(pack)

    def _take_pack(self, pack: PackRead) -> None:
        result, what = self._result, f"pack {pack.id.hex()}"
        result.packs_read += 1
        result.bytes_read += pack.size_bytes
        if pack.unread:
            self._problem(Problem(Part.PACK, what, f"it cannot be read ({pack.unread})"))
        for reason in pack.damage:
            self._problem(Problem(Part.PACK, what, reason, pack.id))
        for reason in pack.index:
            self._problem(Problem(Part.INDEX, what, reason, pack.id))
        if not (pack.unread or pack.damage or pack.index):
            self._sound(pack.id)

    def _failed(self, task_id: int, reason: str, *, suspect: bool) -> None:
        """Have a task done once more, unless it has failed too often. A lost member's room went with it."""
        assigned = self._assigned[task_id]
        assigned.attempt += 1
        assigned.failures += suspect
        if assigned.failures < _MOST_FAILURES:
            self._again.append(task_id)
            return
        del self._assigned[task_id]
        work = decode_work(assigned.payload)
        if isinstance(work, TreeWork):
            assert self._walk is not None, "trees are offered by run()"
            self._walk.lost(work, f"it could not be looked at: {reason}")
        else:
            for pack_id, size_bytes, _ in work.packs:
                self._take_pack(PackRead(pack_id, size_bytes, unread=reason))

    def _look(self, *, last: bool = False) -> bool:
        """Tell the observer how the check stands, a few times a second; whether it was time for it."""
        now = time.monotonic()
        if now < self._next_look and not last:
            return False
        self._next_look = now + _LOOK_SECONDS
        result = self._result
        self._observer.progress(
            CheckProgress(
                trees_done=self._trees_done,
                packs_done=result.packs_read,
                packs=self.packs_to_read,
                bytes_done=result.bytes_read,
                pack_bytes=self.bytes_to_read,
                problems=result.problems,
                members=self._crew.looks(),
            )
        )
        return True
