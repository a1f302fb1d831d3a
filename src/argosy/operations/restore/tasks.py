"""Handing tasks to workers until none is left; a task whose worker died is handed out again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from argosy.engine.interface import Engine, Event, Task, TaskComplete, TaskFailed, TaskLapsed, TaskProgress
from argosy.errors import EngineError
from argosy.restorer.messages import Outcome, Progress, Work, WorkerError, decode, encode

_PATIENCE_SECONDS = 0.2
_MOST_FAILURES = 3
_NOTHING = Progress(0, 0)


@dataclass(slots=True)
class _Held:
    work: Work
    payload: bytes
    attempt: int = 0
    failures: int = 0
    progress: Progress = _NOTHING


class TaskLoop:
    """Drives an engine. ``check`` is called at every turn, and ends the loop by raising."""

    def __init__(self, engine: Engine, check: Callable[[], None]) -> None:
        self._engine = engine
        self._check = check
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
            self._offer(next_work)
            if not self._held:
                return
            self._check()
            for event in self._engine.events(_PATIENCE_SECONDS):
                self._handle(event, settle)

    def _offer(self, next_work: Callable[[], tuple[int, Work] | None]) -> None:
        while self._engine.wanted() > 0:
            if self._again:
                number = self._again.popleft()
            else:
                found = next_work()
                if found is None:
                    return
                number, work = found
                self._held[number] = _Held(work, encode(work))
            held = self._held[number]
            self._engine.offer(Task(number, held.attempt, held.payload))

    def _handle(self, event: Event, settle: Callable[[int, Work, Outcome], None]) -> None:
        match event:
            case TaskProgress(task_id=number, payload=payload):
                self._held[number].progress = decode(payload, Progress)
            case TaskComplete(task_id=number, payload=payload):
                settle(number, self._held.pop(number).work, decode(payload, Outcome))
            case TaskFailed(raised=False, payload=payload):
                raise decode(payload, WorkerError).as_error()
            case TaskFailed(task_id=number, payload=payload):
                self._try_again(number, payload.decode("utf-8", "replace"))
            case TaskLapsed(task_id=number, reason=reason, taken=taken):
                self._try_again(number, reason, suspect=taken)

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
