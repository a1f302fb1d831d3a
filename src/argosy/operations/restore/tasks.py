"""Handing tasks to workers until none is left; a task whose worker died is handed out again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from argosy.engine.interface import Engine, Event, Task, TaskComplete, TaskFailed, TaskLapsed, TaskProgress
from argosy.errors import ArgosyError, EngineError, TargetLost
from argosy.operations.crew import Crew
from argosy.restorer.messages import Outcome, Progress, Work, WorkerError, decode, encode

_PATIENCE_SECONDS = 0.2
_MOST_FAILURES = 3
_NOTHING = Progress(0, 0)


class _Held(msgspec.Struct):
    work: Work
    payload: bytes
    attempt: int = 0
    failures: int = 0
    progress: Progress = _NOTHING


class TaskLoop:
    """Drives an engine. ``check`` is called at every turn, and ends the loop by raising."""

    def __init__(self, engine: Engine, check: Callable[[], None], crew: Crew) -> None:
        self._engine = engine
        self._check = check
        self._crew = crew
        self._held: dict[int, _Held] = {}
        self._again: deque[int] = deque()

    @property
    def running_bytes(self) -> int:
        """How much content the tasks in work have come to."""
        return sum(held.progress.size_bytes for held in self._held.values())

    def run(
        self,
        next_work: Callable[[], tuple[int, Work] | None],
        settle: Callable[[int, Work, Outcome], None],
    ) -> None:
        """Until ``next_work`` has none while none is out. ``settle`` hears of each task that is done.

        Raises what a worker failed with, EngineError if a task keeps failing.
        """
        while True:
            if self._offer(next_work) and not self._held:
                return
            self._check()
            for event in self._engine.events(_PATIENCE_SECONDS):
                self._handle(event, settle)

    def _offer(self, next_work: Callable[[], tuple[int, Work] | None]) -> bool:
        """Fill the engine's window. Whether there is no more work: the window may be full of tasks that are done."""
        while self._engine.wanted() > 0:
            if self._again:
                number = self._again.popleft()
            else:
                found = next_work()
                if found is None:
                    return True
                number, work = found
                self._held[number] = _Held(work, encode(work))
            held = self._held[number]
            self._engine.offer(Task(number, held.attempt, held.payload))
        return False

    def _handle(self, event: Event, settle: Callable[[int, Work, Outcome], None]) -> None:
        self._crew.hear(event)
        match event:
            case TaskProgress(task_id=number, payload=payload):
                self._held[number].progress = decode(payload, Progress)
            case TaskComplete(task_id=number, payload=payload, member=member):
                outcome = decode(payload, Outcome)
                self._credit(member, outcome)
                settle(number, self._held.pop(number).work, outcome)
            case TaskFailed(raised=False, task_id=number, member=member, payload=payload):
                self._give_up_member(number, member, decode(payload, WorkerError).as_error())
            case TaskFailed(task_id=number, payload=payload):
                self._try_again(number, payload.decode("utf-8", "replace"))
            case TaskLapsed(task_id=number, reason=reason, taken=taken):
                self._try_again(number, reason, suspect=taken)

    def _give_up_member(self, number: int, member: str, error: ArgosyError) -> None:
        """Go on without a member that has lost the target, if there are others; else raise its worker's error."""
        if not isinstance(error, TargetLost) or len(self._engine.members()) < 2:
            raise error
        self._try_again(number, error.message, suspect=False)
        self._engine.expel(member, error.message)

    def _credit(self, member: str, outcome: Outcome) -> None:
        segment_bytes = 0 if outcome.segment is None else outcome.segment.size_bytes
        entries = outcome.restored + outcome.skipped + outcome.verified
        size_bytes = outcome.restored_bytes + outcome.skipped_bytes + outcome.verified_bytes + segment_bytes
        self._crew.credit(member, entries, size_bytes)

    def _try_again(self, number: int, reason: str, *, suspect: bool = True) -> None:
        held = self._held[number]
        held.attempt += 1
        held.failures += suspect
        held.progress = _NOTHING
        if held.failures >= _MOST_FAILURES:
            raise EngineError(
                f"a part of the restore failed {held.failures} times: {reason}",
                hint="Run the same command again: what is restored already is not fetched again.",
            )
        self._again.append(number)
