"""Which worker gets which task, and what lapses when a worker dies: pure decisions, no process, clock or
I/O.

A worker has two *slots*: a task stands in one from when it is sent until its ``work()`` returns. Beside
that the worker *holds* every task that it was sent and that is neither complete nor failed. *Pending*
tasks were offered and are with no worker.

Handing out, lowest id first: a worker with both slots free gets a task; a new worker is started for one
that is left; what is left beyond those fills second slots. A task that waits in a second slot while
another worker has nothing to do is *recalled*: the worker gives it back, unless its work has begun
meanwhile.
"""

from __future__ import annotations

from bisect import insort
from typing import TypeAlias

import msgspec

from argosy.engine.interface import WINDOW_PER_WORKER, Task
from argosy.errors import EngineError


class Spawn(msgspec.Struct, frozen=True):
    """Start a worker under this number."""

    worker: int


class Send(msgspec.Struct, frozen=True):
    """Send the task to the worker."""

    worker: int
    task: Task


class Recall(msgspec.Struct, frozen=True):
    """Ask the worker to give the task back."""

    worker: int
    task_id: int
    attempt: int


class Flush(msgspec.Struct, frozen=True):
    """Tell the worker to flush, after all that was sent to it before."""

    worker: int


Instruction: TypeAlias = Spawn | Send | Recall | Flush


class Lapse(msgspec.Struct, frozen=True):
    """A task that a dead worker held."""

    task_id: int
    attempt: int
    taken: bool


class _Held(msgspec.Struct):
    attempt: int
    taken: bool = False


class _Worker(msgspec.Struct):
    ready: bool = False
    slots: list[Task] = msgspec.field(default_factory=list)
    held: dict[int, _Held] = msgspec.field(default_factory=dict)
    recalled: tuple[int, int] | None = None


class Slots:
    """The state machine of one member's workers."""

    def __init__(self, worker_limit: int) -> None:
        self._limit = worker_limit
        self._workers: dict[int, _Worker] = {}
        self._last_number = 0
        self._pending: list[Task] = []
        # Ids whose worker is to flush after them, should they be handed out again; at most a window of them.
        self._flush_behind: set[int] = set()
        self._to_withdraw: set[tuple[int, int]] = set()
        self._withdrawn: list[tuple[int, int]] = []

    def wanted(self) -> int:
        """How many more tasks the window takes."""
        taken_up = len(self._pending) + sum(len(worker.slots) for worker in self._workers.values())
        return self._limit * WINDOW_PER_WORKER - taken_up

    def ready_count(self) -> int:
        """How many workers are ready."""
        return sum(worker.ready for worker in self._workers.values())

    def holding(self, worker: int) -> tuple[int, ...]:
        """The ids that the worker holds, lowest first."""
        return tuple(sorted(self._workers[worker].held))

    def offer(self, task: Task) -> None:
        """Add a pending task; ``plan`` hands it out."""
        if self.wanted() <= 0:
            raise EngineError(f"task {task.id} was offered to an engine that wants none now")
        if any(task.id == other.id for other in self._pending) or any(
            task.id in worker.held for worker in self._workers.values()
        ):
            raise EngineError(f"task {task.id} was offered while it is still in the engine")
        self._flush_behind.discard(task.id)
        self._insert_pending(task)

    def plan(self, *, may_spawn: bool) -> list[Instruction]:
        """Hand out what is pending and say what is to be done, in this order."""
        sends: list[Instruction] = []
        for number in self._idle_workers()[: len(self._pending)]:
            sends += self._send(number, 0)
        spawns: list[Instruction] = []
        while may_spawn and len(self._workers) < self._limit and self._starting() < len(self._pending):
            self._last_number += 1
            self._workers[self._last_number] = _Worker()
            spawns.append(Spawn(self._last_number))
        # The lowest ids are kept for the workers that start now: in a second slot they would wait for longer.
        starting = self._starting()
        while len(self._pending) > starting and (half_full := self._half_full_worker()) is not None:
            sends += self._send(half_full, starting)
        return sends + spawns

    def plan_recalls(self) -> list[Instruction]:
        """Recall waiting tasks for workers that have nothing to do; the owner had its chance to offer."""
        idle = 0 if self._pending else len(self._idle_workers())
        idle -= sum(worker.recalled is not None for worker in self._workers.values())
        waiting = sorted(
            (worker.slots[-1].id, number)
            for number, worker in self._workers.items()
            if len(worker.slots) > 1 and worker.recalled is None
        )
        recalls: list[Instruction] = []
        for _, number in waiting[: max(idle, 0)]:
            worker = self._workers[number]
            task = worker.slots[-1]
            worker.recalled = (task.id, task.attempt)
            recalls.append(Recall(number, task.id, task.attempt))
        return recalls

    def withdraw(self, task_id: int, attempt: int) -> list[Instruction]:
        """Take a task out again unless its work has begun; ``take_withdrawn`` tells of those that came out."""
        for position, task in enumerate(self._pending):
            if (task.id, task.attempt) == (task_id, attempt):
                del self._pending[position]
                self._leave(task_id, attempt)
                return []
        for number, worker in self._workers.items():
            if self.is_held(number, task_id, attempt) and not worker.held[task_id].taken:
                self._to_withdraw.add((task_id, attempt))
                if worker.recalled is None:
                    worker.recalled = (task_id, attempt)
                    return [Recall(number, task_id, attempt)]
        return []

    def take_withdrawn(self) -> list[tuple[int, int]]:
        """The tasks (id and attempt) that have been withdrawn since the last call."""
        withdrawn, self._withdrawn = self._withdrawn, []
        return withdrawn

    def flush(self) -> list[Instruction]:
        """Flush every ready worker, now and after each task that is still to be worked on."""
        self._flush_behind.update(task.id for task in self._pending)
        for worker in self._workers.values():
            self._flush_behind.update(task.id for task in worker.slots)
        return [Flush(number) for number, worker in self._workers.items() if worker.ready]

    def ready(self, number: int) -> None:
        """The worker made its handler and takes tasks."""
        self._workers[number].ready = True

    def taken(self, number: int, task_id: int, attempt: int) -> None:
        """The worker begins a task."""
        worker = self._workers[number]
        if not self.is_held(number, task_id, attempt):
            raise EngineError(f"worker {number} began task {task_id}, which it was not given")
        worker.held[task_id].taken = True
        self._to_withdraw.discard((task_id, attempt))
        if worker.recalled == (task_id, attempt):
            worker.recalled = None

    def returned(self, number: int, task_id: int, attempt: int) -> None:
        """``work()`` returned: the slot is free."""
        self._take_out(number, task_id, attempt)
        self._flush_behind.discard(task_id)

    def given_back(self, number: int, task_id: int, attempt: int) -> None:
        """The worker gave a recalled task back: it is pending again."""
        task = self._take_out(number, task_id, attempt)
        worker = self._workers[number]
        worker.recalled = None
        del worker.held[task_id]
        if (task_id, attempt) in self._to_withdraw:
            self._leave(task_id, attempt)
        else:
            self._insert_pending(task)

    def is_held(self, number: int, task_id: int, attempt: int) -> bool:
        """Whether the worker holds this attempt."""
        held = self._workers[number].held.get(task_id)
        return held is not None and held.attempt == attempt

    def settle(self, number: int, task_id: int, attempt: int) -> bool:
        """The task is complete or failed. False, and void, if the worker does not hold this attempt."""
        if not self.is_held(number, task_id, attempt):
            return False
        del self._workers[number].held[task_id]
        return True

    def gone(self, number: int) -> list[Lapse]:
        """The worker died: forget it and return what lapses, lowest id first."""
        worker = self._workers.pop(number)
        self._flush_behind.difference_update(worker.held)
        self._to_withdraw.difference_update((task_id, held.attempt) for task_id, held in worker.held.items())
        return [Lapse(task_id, held.attempt, held.taken) for task_id, held in sorted(worker.held.items())]

    def _leave(self, task_id: int, attempt: int) -> None:
        self._to_withdraw.discard((task_id, attempt))
        self._flush_behind.discard(task_id)
        self._withdrawn.append((task_id, attempt))

    def _insert_pending(self, task: Task) -> None:
        insort(self._pending, task, key=lambda other: other.id)

    def _send(self, number: int, position: int) -> list[Instruction]:
        task = self._pending.pop(position)
        worker = self._workers[number]
        worker.slots.append(task)
        worker.held[task.id] = _Held(task.attempt)
        sent: list[Instruction] = [Send(number, task)]
        if task.id in self._flush_behind:
            sent.append(Flush(number))
        return sent

    def _take_out(self, number: int, task_id: int, attempt: int) -> Task:
        slots = self._workers[number].slots
        for position, task in enumerate(slots):
            if (task.id, task.attempt) == (task_id, attempt):
                return slots.pop(position)
        raise EngineError(f"worker {number} speaks of task {task_id}, which it was not given")

    def _idle_workers(self) -> list[int]:
        return [number for number, worker in self._workers.items() if worker.ready and not worker.slots]

    def _half_full_worker(self) -> int | None:
        half_full = (
            number
            for number, worker in self._workers.items()
            if worker.ready and 0 < len(worker.slots) < WINDOW_PER_WORKER
        )
        return next(half_full, None)

    def _starting(self) -> int:
        return sum(not worker.ready for worker in self._workers.values())
