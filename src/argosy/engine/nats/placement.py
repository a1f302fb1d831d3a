"""Which member gets which task, and what lapses when one is lost: pure decisions, no clock or I/O.

*Waiting* tasks were offered and are with no member. A member *holds* a task from when it was handed over until it is
complete, failed, lapsed or given back. It counts in the *window* until its work has returned, of which the member tells
the number alone. A member is known here by its link: one that comes back has another.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

import msgspec

from argosy.engine.interface import WINDOW_PER_WORKER, Task, WorkerState
from argosy.engine.nats.wire import Terms
from argosy.errors import EngineError


class Held(msgspec.Struct):
    """A task that a member holds; ``worker`` is 0 until it is taken."""

    task: Task
    worker: int = 0
    withdrawn: bool = False


class Place(msgspec.Struct):
    """One member, as long as its link lasts. Its own workers' numbers begin at 1; ``first_worker`` is added."""

    link: int
    name: str
    host: str
    pid: int
    worker_limit: int
    terms: Terms = msgspec.field(default_factory=Terms)
    first_worker: int = 0
    has_begun: bool = False
    joined_at_seconds: float | None = None
    handed: int = 0
    left_window: int = 0
    held: dict[int, Held] = msgspec.field(default_factory=dict)
    crew: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def in_window(self) -> int:
        """How many of its tasks are in the window."""
        return self.handed - self.left_window

    def workers(self) -> tuple[WorkerState, ...]:
        """Its running workers with what each holds."""
        holding: dict[int, list[int]] = {number: [] for number in self.crew}
        for task_id, held in sorted(self.held.items()):
            if held.worker in holding:
                holding[held.worker].append(task_id)
        return tuple(WorkerState(number, pid, tuple(holding[number])) for number, pid in self.crew.items())

    def waiting(self) -> tuple[int, ...]:
        """The tasks that wait here for a worker, lowest id first."""
        return tuple(task_id for task_id, held in sorted(self.held.items()) if not held.worker)


class Placement:
    """The state machine of one engine's members and tasks."""

    def __init__(self) -> None:
        self.places: dict[int, Place] = {}
        self._waiting: list[Task] = []
        self._flush_behind: set[int] = set()
        self._last_worker: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """How many tasks are with no member."""
        return len(self._waiting)

    def wanted(self) -> int:
        """How many more tasks the window takes; it shrinks with a member that leaves.

        Without members it is that of one worker: then something waits in the stream, for autoscalers to see.
        """
        places = self.places.values()
        window = (sum(place.worker_limit for place in places) or 1) * WINDOW_PER_WORKER
        return max(0, window - len(self._waiting) - sum(place.in_window for place in places))

    def attach(self, place: Place) -> None:
        """A member takes part from now on."""
        place.first_worker = self._last_worker.get(place.name, 0)
        self.places[place.link] = place

    def detach(self, link: int) -> tuple[Place, list[Held]]:
        """A member is lost: returns it and what it held, lowest id first."""
        place = self.places.pop(link)
        self._flush_behind.difference_update(place.held)
        return place, [held for _, held in sorted(place.held.items())]

    def offer(self, task: Task) -> None:
        """Add a waiting task."""
        if self.wanted() <= 0:
            raise EngineError(f"task {task.id} was offered to an engine that wants none now")
        if any(task.id == other.id for other in self._waiting) or any(
            task.id in place.held for place in self.places.values()
        ):
            raise EngineError(f"task {task.id} was offered while it is still in the engine")
        self._flush_behind.discard(task.id)
        self._insert(task)

    def draw(self, link: int, suits: Callable[[Task], bool] = lambda _: True) -> tuple[Task, bool] | None:
        """The lowest waiting task that suits this member, and whether to flush behind it. None if none does."""
        place = self.places[link]
        task = next((task for task in self._waiting if not self._avoids(task, place) and suits(task)), None)
        if task is None:
            return None
        self._waiting.remove(task)
        place.held[task.id] = Held(task)
        place.handed += 1
        return task, task.id in self._flush_behind

    def flush(self) -> None:
        """Note that whoever works on what is not yet taken is to flush after it."""
        self._flush_behind.update(task.id for task in self._waiting)
        for place in self.places.values():
            self._flush_behind.update(task_id for task_id, held in place.held.items() if not held.worker)

    def withdrawals(self) -> list[tuple[int, Task]]:
        """Tasks to take back from members where they wait, for workers elsewhere that have nothing to do.

        Not for those of a choosy member: they may leave what is taken back.
        """
        if self._waiting:
            return []
        eager = [place for place in self.places.values() if not place.terms.is_choosy]
        idle = sum(max(0, place.worker_limit - place.in_window) for place in eager)
        idle -= sum(held.withdrawn for place in self.places.values() for held in place.held.values())
        behind = [
            (held.task.id, place.link, held)
            for place in self.places.values()
            if place.in_window > place.worker_limit
            for held in self._surplus(place)
        ]
        taken_back: list[tuple[int, Task]] = []
        for _, link, held in sorted(behind, key=lambda entry: entry[0])[: max(idle, 0)]:
            held.withdrawn = True
            taken_back.append((link, held.task))
        return taken_back

    def taken(self, link: int, task_id: int, attempt: int, worker: int) -> int:
        """A worker begins a task: returns the worker's number."""
        held = self._held(link, task_id, attempt)
        number = self.worker_number(link, worker)
        held.worker = number
        held.withdrawn = False
        self._flush_behind.discard(task_id)
        return number

    def settle(self, link: int, task_id: int, attempt: int) -> None:
        """The task is complete, failed or lapsed."""
        self._held(link, task_id, attempt)
        del self.places[link].held[task_id]

    def given_back(self, link: int, task_id: int, attempt: int) -> None:
        """A withdrawn task waits again."""
        held = self._held(link, task_id, attempt)
        del self.places[link].held[task_id]
        self._insert(held.task)

    def crew(self, link: int, workers: list[tuple[int, int]]) -> None:
        """The member's running workers."""
        self.places[link].crew = {self.worker_number(link, number): pid for number, pid in workers}

    def worker_number(self, link: int, worker: int) -> int:
        """The engine's number for a worker of this link; never used twice for a member of this name."""
        place = self.places[link]
        number = place.first_worker + worker
        self._last_worker[place.name] = max(number, self._last_worker.get(place.name, 0))
        return number

    def _avoids(self, task: Task, place: Place) -> bool:
        others = (other for other in self.places.values() if other.name not in task.avoid)
        return place.name in task.avoid and any(not other.terms.is_choosy for other in others)

    def _surplus(self, place: Place) -> list[Held]:
        """What waits at a member beyond what its workers can begin now, highest ids first."""
        waiting = sorted(
            (held for held in place.held.values() if not held.worker and not held.withdrawn),
            key=lambda held: held.task.id,
            reverse=True,
        )
        return waiting[: place.in_window - place.worker_limit]

    def _held(self, link: int, task_id: int, attempt: int) -> Held:
        held = self.places[link].held.get(task_id)
        if held is None or held.task.attempt != attempt:
            raise EngineError(f"{self.places[link].name} speaks of task {task_id}, which it does not hold")
        return held

    def _insert(self, task: Task) -> None:
        insort(self._waiting, task, key=lambda other: other.id)
