"""An engine without workers: what becomes of a task is written in the test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from argosy.engine.interface import Event, Member, Task, TaskTaken

MEMBER, WORKER = "local", 1


class ScriptedEngine:
    """Answers each task that is offered with what ``answer`` makes of it; ``heard`` are the broadcasts."""

    is_spread = False

    def __init__(self, answer: Callable[[Task], Sequence[Event]]) -> None:
        self.offered: list[Task] = []
        self.heard: list[bytes] = []
        self._answer = answer
        self._waiting: list[Event] = []

    def prepare(self, handler: str, count: int) -> None:
        del handler, count

    def start(self, setup: bytes, handler: str) -> None:
        del setup, handler

    def expect(self, members: Collection[str]) -> None:
        del members

    def offer(self, task: Task) -> None:
        self.offered.append(task)
        self._waiting += [TaskTaken(task.id, task.attempt, MEMBER, WORKER), *self._answer(task)]

    def wanted(self) -> int:
        return 4 - len(self._waiting)

    def events(self, timeout_seconds: float) -> Sequence[Event]:
        del timeout_seconds
        waiting, self._waiting = self._waiting, []
        return waiting

    def wake(self) -> None:
        pass

    def members(self) -> Sequence[Member]:
        return []

    def broadcast(self, payload: bytes, *, keep: bool = False) -> None:
        del keep
        self.heard.append(payload)

    def flush(self) -> None:
        pass

    def expel(self, member: str, reason: str) -> None:
        raise AssertionError(f"{member}: {reason}")

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass
