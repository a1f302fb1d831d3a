"""Drives an engine in tests: offers what it takes, collects events, and waits for what a test expects."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from argosy.engine.interface import (
    Engine,
    Event,
    Member,
    Report,
    Task,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskTaken,
    WorkerState,
)

PATIENCE_SECONDS = 30.0

EventType = TypeVar("EventType", bound=Event)


class EngineDriver:
    """The owner of a started engine. ``seen`` holds every event so far."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seen: list[Event] = []

    def offer(self, *payloads: bytes, first_id: int = 0, attempt: int = 1) -> None:
        """Offer tasks with ids from ``first_id`` on, each as soon as it is wanted."""
        for number, payload in enumerate(payloads):
            self.until(lambda: self.engine.wanted() > 0)
            self.engine.offer(Task(first_id + number, attempt, payload))

    def until(self, holds: Callable[[], bool]) -> None:
        """Hear events until the condition holds; AssertionError with what was heard if it never does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"waited in vain; seen: {self.seen[-20:]}"
            self.seen += self.engine.events(1.0)

    def until_ended(self, *task_ids: int) -> None:
        """Hear events until each of the tasks is complete, has failed or has lapsed."""
        self.until(lambda: set(task_ids) <= set(self.ended()))

    def until_taken(self, *task_ids: int) -> None:
        """Hear events until each of the tasks is taken."""
        self.until(lambda: set(task_ids) <= {event.task_id for event in self.all(TaskTaken)})

    def ended(self) -> list[int]:
        """The ids of the attempts that have ended, in order."""
        ends = (TaskComplete, TaskFailed, TaskLapsed)
        return [event.task_id for event in self.seen if isinstance(event, ends)]

    def all(self, kind: type[EventType]) -> list[EventType]:
        """All events of one class."""
        return [event for event in self.seen if isinstance(event, kind)]

    def completed(self) -> dict[int, bytes]:
        """The payload of each complete task."""
        return {event.task_id: event.payload for event in self.all(TaskComplete)}

    def reports(self) -> list[bytes]:
        """The payloads of all reports, in order."""
        return [event.payload for event in self.all(Report)]

    def member(self) -> Member:
        """The only member."""
        (member,) = self.engine.members()
        return member

    def workers(self) -> Sequence[WorkerState]:
        """The only member's workers."""
        return self.member().workers

    def worker_of(self, task_id: int) -> WorkerState:
        """The worker that holds the task."""
        return next(worker for worker in self.workers() if task_id in worker.holding)


class Gate:
    """A FIFO at which a task ``gate PATH`` or ``ponder PATH`` waits until it is opened."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self.payload = b"gate " + os.fsencode(path)

    def open(self) -> None:
        """Let the task go on. It must have been taken: this waits for it without hearing events."""
        self._path.write_bytes(b"")


class ProcessEnd:
    """Tells when a process has ended, whoever its parent is."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = os.pidfd_open(pid)

    def wait(self) -> None:
        """AssertionError if the process is still there after the test's patience."""
        ended, _, _ = select.select([self._descriptor], [], [], PATIENCE_SECONDS)
        os.close(self._descriptor)
        assert ended, f"process {self._pid} is still there"
