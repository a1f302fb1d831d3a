"""The loop that hands tasks to the workers and counts what they found."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from argosy.engine.interface import Engine, Event, Task, TaskComplete, TaskFailed, TaskLapsed, TaskProgress
from argosy.errors import ArgosyError, EngineError, SourceGone
from argosy.operations.crew import Crew
from argosy.operations.verify.messages import (
    CHANGED,
    CHANGING,
    MISSING_IN_SNAPSHOT,
    MISSING_IN_SOURCE,
    Difference,
    Outcome,
    Progress,
    VerifyWork,
    decode,
    encode,
)
from argosy.operations.verify.options import VerifyObserver, VerifyProgress, VerifyResult
from argosy.operations.verify.sight import SourceView
from argosy.restorer.messages import WorkerError

_LOOK_SECONDS = 0.2
_MOST_FAILURES = 3


class _Assigned(msgspec.Struct):
    """A task that is with the engine, or waits to be offered again."""

    payload: bytes
    attempt: int = 0
    failures: int = 0
    size_bytes: int = 0


class Coordinator:
    """Hands out work and takes what was found. ``taken`` hears of each outcome, once; ``view`` is the master's own."""

    def __init__(
        self,
        engine: Engine,
        observer: VerifyObserver,
        result: VerifyResult,
        taken: Callable[[Outcome], None],
        view: SourceView,
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._result = result
        self._taken = taken
        self._view = view
        self._crew = Crew(engine, observer.message)
        self._assigned: dict[int, _Assigned] = {}
        self._again: deque[int] = deque()
        self._expelled: set[str] = set()
        self._next_id = 0
        self._next_look = 0.0

    def run(self, works: Iterator[VerifyWork], check: Callable[[], None]) -> None:
        """Do all the work. ``check`` is called at every turn, and ends it by raising.

        Raises what a worker failed with; EngineError if a task keeps failing.
        """
        while True:
            check()
            # The window may be full of tasks that are done: that alone does not mean that all are.
            if self._offer(works) and not self._assigned:
                break
            for event in self._engine.events(_LOOK_SECONDS):
                self._handle(event)
            self._look()
        self._look(last=True)

    def _offer(self, works: Iterator[VerifyWork]) -> bool:
        """Fill the engine's window. Whether there is no more work."""
        while self._engine.wanted() > 0:
            if self._again:
                number = self._again.popleft()
            else:
                work = next(works, None)
                if work is None:
                    return True
                number, self._next_id = self._next_id, self._next_id + 1
                self._assigned[number] = _Assigned(encode(work))
            assigned = self._assigned[number]
            self._engine.offer(Task(number, assigned.attempt, assigned.payload))
        return False

    def _handle(self, event: Event) -> None:
        self._crew.hear(event)
        match event:
            case TaskProgress(task_id=number, payload=payload):
                self._assigned[number].size_bytes = decode(payload, Progress).size_bytes
            case TaskComplete(task_id=number, payload=payload, member=member):
                self._complete(number, member, decode(payload, Outcome))
            case TaskFailed(raised=False, task_id=number, payload=payload, member=member):
                self._source_lost(number, member, decode(payload, WorkerError).as_error())
            case TaskFailed(task_id=number, payload=payload):
                self._failed(number, payload.decode("utf-8", "replace"), suspect=True)
            case TaskLapsed(task_id=number, reason=reason, taken=taken, member=member):
                self._failed(number, reason, suspect=taken and member not in self._expelled)

    def _complete(self, number: int, member: str, outcome: Outcome) -> None:
        """Take an outcome, unless a member elsewhere missed what is here (R8): then it sees something else."""
        contradiction = self._view.contradiction(outcome) if outcome.elsewhere else ""
        if contradiction:
            self._go_on_without(number, member, contradiction)
            return
        del self._assigned[number]
        self._crew.credit(member, outcome.files, outcome.size_bytes)
        self._take(outcome)

    def _source_lost(self, number: int, member: str, error: ArgosyError) -> None:
        """The source went away from a member. The job goes on without it, if it is here and there are others."""
        self._view.check()
        if not isinstance(error, SourceGone) or all(other.name == member for other in self._engine.members()):
            raise error
        self._go_on_without(number, member, error.message)

    def _go_on_without(self, number: int, member: str, reason: str) -> None:
        """The fault of the last member is the job's end."""
        self._failed(number, reason, suspect=False)
        if member not in self._expelled:
            self._expelled.add(member)
            self._engine.expel(member, reason)

    def _failed(self, number: int, reason: str, *, suspect: bool) -> None:
        assigned = self._assigned[number]
        assigned.attempt += 1
        assigned.failures += suspect
        assigned.size_bytes = 0
        if assigned.failures >= _MOST_FAILURES:
            raise EngineError(
                f"a part of the comparison failed {assigned.failures} times: {reason}",
                hint="Solve what it names, then run the same command again.",
            )
        self._again.append(number)

    def _take(self, outcome: Outcome) -> None:
        result = self._result
        result.files += outcome.files
        result.directories += outcome.directories
        result.others += outcome.others
        result.size_bytes += outcome.size_bytes
        result.passed_over += outcome.passed_over
        result.below += outcome.below_missing
        for difference in outcome.differences:
            count(result, difference)
            self._observer.found(difference)
        self._taken(outcome)

    def _look(self, *, last: bool = False) -> None:
        """Tell the observer how it stands, a few times a second."""
        now = time.monotonic()
        if now < self._next_look and not last:
            return
        self._next_look = now + _LOOK_SECONDS
        result, summary = self._result, self._result.snapshot.snapshot.summary
        whole = summary if not result.subpath else None
        self._observer.progress(
            VerifyProgress(
                result.files,
                result.size_bytes + sum(assigned.size_bytes for assigned in self._assigned.values()),
                result.differences,
                whole.total_files_processed if whole else 0,
                whole.total_bytes_processed if whole else 0,
                self._crew.looks(),
            )
        )


def count(result: VerifyResult, difference: Difference) -> None:
    """Add a difference to the counts."""
    if difference.kind == CHANGED:
        result.changed += 1
        result.silent += difference.silent
    elif difference.kind == CHANGING:
        result.changing += 1
    elif difference.kind == MISSING_IN_SOURCE:
        result.missing_in_source += 1
    elif difference.kind == MISSING_IN_SNAPSHOT:
        result.missing_in_snapshot += 1
        result.below += difference.below
    else:
        result.unreadable += 1
