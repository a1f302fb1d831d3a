"""The global queue with hundreds of members: ``python -m benchmarks.queue_simulation --members 1,10,100,500``.

Events on a clock that is counted, not waited for. What decides is the program's own code: the queue of record with its
database, ``HandingOut`` (order, halving of the last batches, a second run of what takes long) and ``Placement`` (which
member gets what, what is taken back from one for another). Only the outside is made up:

- A *member* has workers; each works on one batch at a time, for so many seconds a file and a byte. A *slow* member
  takes ``slow_factor`` times as long.
- The *master* is one processor: a batch costs so much from its hand-out to its end, an entry so much in the scan and in
  a result, and the scan goes on while no message waits. docs/scale.md says where the figures come from.
- A message takes ``latency_seconds``.

Not simulated: links that members share, a store that slows down, deaths, packs that span batches, trees and indexes at
the end of the job.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchResult, BatchWork, DirectoryPart, decode, encode
from argosy.archiver.scan import Scanner
from argosy.engine.interface import Engine, Member, Task
from argosy.engine.nats.placement import Place, Placement
from argosy.filesystem.metadata import OwnerNames
from argosy.operations.backup.coordinator import COMMIT_SECONDS
from argosy.operations.backup.handing_out import HandingOut, batch_of
from argosy.state.assemblies import Assembly
from argosy.state.job_database import open_job_database
from benchmarks.curves import add_members
from benchmarks.drawing import Series

_IDLE_SHARE = 0.1
_SLOTS_PER_WORKER = 2


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of a worker for a file and a byte; of the master for an entry (in the scan, in a result) and a batch."""

    file_seconds: float = 0.002
    byte_seconds: float = 1 / 100e6
    scan_entry_seconds: float = 2e-6
    master_entry_seconds: float = 0.0
    master_batch_seconds: float = 0.0035
    latency_seconds: float = 0.001


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who takes part: the first ``slow`` members take ``slow_factor`` times as long for everything."""

    members: int
    workers: int = 2
    slow: int = 0
    slow_factor: float = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done: so many batches of so many files of so many bytes."""

    batches: int
    files: int = 1024
    file_bytes: int = 60_000


@dataclass(slots=True)
class Outcome:
    """Times are of the simulated clock, but for ``decision_seconds``: what the real decisions took of this processor.

    ``idle_at_the_end`` is the share of all workers' time in the last tenth of the job in which they had nothing to do.
    ``done`` counts, for each batch whose result was accepted, how often it was begun; halved ones are not among them.
    """

    seconds: float = 0.0
    master_busy_seconds: float = 0.0
    worker_busy_seconds: float = 0.0
    idle_at_the_end: float = 0.0
    files: int = 0
    bytes: int = 0
    runs_again: int = 0
    dropped: int = 0
    decision_seconds: float = 0.0
    done: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Worker:
    """Busy with a task, or None."""

    number: int
    task: Task | None = None


@dataclass(slots=True)
class _Machine:
    """One member's half: the tasks that wait there, lowest number first, and its workers."""

    place: Place
    factor: float
    workers: list[_Worker]
    waiting: list[Task] = field(default_factory=list)


class Simulation:
    """One job. It is an engine and a scan to ``HandingOut``, which knows no better."""

    is_spread = True

    def __init__(self, directory: Path, fleet: Fleet, load: Load, costs: Costs) -> None:
        self.done = False
        self.outcome = Outcome()
        self._costs = costs
        self._load = load
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._inbox: deque[Callable[[], None]] = deque()
        self._turn_cost = 0.0
        self._next_turn = self._master_free = 0.0
        self._next_commit = 0.0
        self._sealed = 0
        self._busy: list[tuple[float, float]] = []
        self._begun: dict[int, int] = {}
        self._job = open_job_database(directory / "simulated.job")
        self._ledger = Ledger(self._job, [], OwnerNames())
        self._directory = self._ledger.frontier.new_id()
        self._ledger.assemblies.open(Assembly(self._directory, 0, b""))
        self._placement = Placement()
        self._handing_out = HandingOut(
            self._ledger, cast("Engine", self), cast("Scanner", self), after_scan=False, now_seconds=lambda: self._now
        )
        self._machines = {number: self._machine(number, fleet) for number in range(1, fleet.members + 1)}
        self._hungry = dict.fromkeys(self._machines)
        self._worker_count = fleet.members * fleet.workers

    def run(self) -> Outcome:
        """Until every batch is complete."""
        self._turn_at(0.0)
        try:
            while not (self.done and self._ledger.queue.unfinished == 0):
                self._now, _, event = heapq.heappop(self._events)
                event()
        finally:
            self._job.close()
        self.outcome.seconds = self._now
        self.outcome.idle_at_the_end = self._idle_at_the_end()
        return self.outcome

    # What HandingOut asks of an engine.

    def wanted(self) -> int:
        """See ``Engine.wanted``."""
        return self._placement.wanted()

    def offer(self, task: Task) -> None:
        """See ``Engine.offer``."""
        self._placement.offer(task)
        self._turn_cost += self._costs.master_batch_seconds
        if task.id != batch_of(task.id):
            self.outcome.runs_again += 1

    def members(self) -> list[Member]:
        """See ``Engine.members``."""
        return [
            Member(place.name, place.name, place.pid, place.workers(), 0.0, self._now, place.waiting())
            for place in self._placement.places.values()
        ]

    def flush(self) -> None:
        """See ``Engine.flush``: no pack waits to be filled here."""

    # The master.

    def _turn(self) -> None:
        """One turn of the coordinator, as in ``Coordinator.run``; the scan where nothing else is to be done."""
        self._turn_cost = 0.0
        started = time.process_time()
        heard = bool(self._inbox)
        while self._inbox:
            self._inbox.popleft()()
        self._handing_out.offer()
        for link, task in self._placement.withdrawals():
            self._after(self._costs.latency_seconds, partial(self._withdraw, link, task))
        self._commit()
        self.outcome.decision_seconds += time.process_time() - started
        if not heard and not self.done:
            self._scan_on()
        self.outcome.master_busy_seconds += self._turn_cost
        self._master_free = self._now + self._turn_cost
        self._at(self._master_free, self._hand_over)
        self._turn_at(self._now if not self.done else self._master_free + COMMIT_SECONDS)

    def _commit(self) -> None:
        starving = self.wanted() > 0 and self._ledger.queue.waiting > 0
        if self._now >= self._next_commit or starving:
            self._job.commit()
            self._next_commit = self._now + COMMIT_SECONDS
            self._handing_out.told()

    def _scan_on(self) -> None:
        """Seal one batch more."""
        load, number = self._load, self._sealed
        names = [f"f{number:06}-{index:04}".encode() for index in range(load.files)]
        sizes = [load.file_bytes] * load.files
        part = DirectoryPart(self._directory, 0, b"d", b"/simulated/%d" % number, b"", 1, names=names, sizes=sizes)
        part.modes = part.inodes = [0] * load.files
        self._ledger.queue.enqueue(encode(BatchWork([], {}, {}, [part], [], [])), load.files, sum(sizes))
        self._turn_cost += load.files * self._costs.scan_entry_seconds
        self._sealed += 1
        self.done = self._sealed == load.batches

    def _hand_over(self) -> None:
        """Members draw while they have a free slot, by turns: who has waited longest is first, as in NATS."""
        while self._placement.waiting and self._hungry:
            link = next(iter(self._hungry))
            del self._hungry[link]
            drawn = self._placement.draw(link)
            if drawn is None:
                # What waits is to avoid this member: it asks again with the next turn.
                self._after(COMMIT_SECONDS, partial(self._ask, link))
                continue
            self._after(self._costs.latency_seconds, partial(self._arrive, link, drawn[0]))
            self._ask(link)

    def _ask(self, link: int) -> None:
        """Stand in line, if there is room for a task and it does not stand there yet."""
        if self._has_slot(link):
            self._hungry.setdefault(link)

    def _has_slot(self, link: int) -> bool:
        place = self._machines[link].place
        return place.in_window < _SLOTS_PER_WORKER * place.worker_limit

    def _complete(self, link: int, task: Task, size_bytes: int, files: int) -> None:
        self._turn_cost += files * self._costs.master_entry_seconds
        self._placement.settle(link, task.id, task.attempt)
        seq = batch_of(task.id)
        batch = self._ledger.queue.find(seq)
        if batch is None or not self._ledger.queue.complete(seq, task.attempt):
            self.outcome.dropped += 1
            return
        self.outcome.files += files
        self.outcome.bytes += size_bytes
        self.outcome.done[seq] = self._begun[seq]
        self._handing_out.completed(batch, BatchResult([], [], [], [], data_added_packed=size_bytes))

    # The members.

    def _machine(self, number: int, fleet: Fleet) -> _Machine:
        place = Place(number, f"member-{number}", f"member-{number}", number, fleet.workers, joined_at_seconds=0.0)
        self._placement.attach(place)
        self._placement.crew(number, [(worker, worker) for worker in range(1, fleet.workers + 1)])
        factor = fleet.slow_factor if number <= fleet.slow else 1.0
        return _Machine(place, factor, [_Worker(worker) for worker in range(1, fleet.workers + 1)])

    def _arrive(self, link: int, task: Task) -> None:
        machine = self._machines[link]
        machine.waiting.append(task)
        machine.waiting.sort(key=lambda waiting: waiting.id)
        self._begin(link)

    def _begin(self, link: int) -> None:
        """Idle workers take what waits here."""
        machine = self._machines[link]
        for worker in machine.workers:
            if worker.task is None and machine.waiting:
                self._work(link, worker, machine.waiting.pop(0))

    def _work(self, link: int, worker: _Worker, task: Task) -> None:
        worker.task = task
        self._begun[batch_of(task.id)] = self._begun.get(batch_of(task.id), 0) + 1
        files, size_bytes = _extent(task)
        costs, factor = self._costs, self._machines[link].factor
        seconds = factor * (files * costs.file_seconds + size_bytes * costs.byte_seconds)
        self._busy.append((self._now, self._now + seconds))
        self.outcome.worker_busy_seconds += seconds
        self._tell(lambda: self._taken(link, task, worker.number))
        self._after(seconds, lambda: self._end(link, worker, files, size_bytes))

    def _taken(self, link: int, task: Task, worker: int) -> None:
        number = self._placement.taken(link, task.id, task.attempt, worker)
        name = self._machines[link].place.name
        self._ledger.queue.taken(batch_of(task.id), task.attempt, name, number)
        self._handing_out.taken(batch_of(task.id))

    def _end(self, link: int, worker: _Worker, files: int, size_bytes: int) -> None:
        task, worker.task = worker.task, None
        assert task is not None
        self._tell(lambda: self._room(link))
        self._tell(lambda: self._complete(link, task, size_bytes, files))
        self._begin(link)

    def _room(self, link: int) -> None:
        self._machines[link].place.left_window += 1
        self._ask(link)

    def _withdraw(self, link: int, task: Task) -> None:
        """Give back what has not been begun."""
        machine = self._machines[link]
        if task in machine.waiting:
            machine.waiting.remove(task)
            self._tell(lambda: self._given_back(link, task))

    def _given_back(self, link: int, task: Task) -> None:
        self._placement.given_back(link, task.id, task.attempt)
        self._room(link)

    # The clock.

    def _tell(self, message: Callable[[], None]) -> None:
        """Let the master hear of something."""
        self._after(self._costs.latency_seconds, lambda: self._hear(message))

    def _hear(self, message: Callable[[], None]) -> None:
        self._inbox.append(message)
        if self._next_turn > max(self._now, self._master_free):
            self._turn_at(self._now)

    def _turn_at(self, moment: float) -> None:
        """The next turn is then, as soon as the master is free; one that was to come later does not."""
        self._next_turn = max(moment, self._master_free)
        due = self._next_turn

        def turn() -> None:
            if due == self._next_turn:
                self._turn()

        self._at(due, turn)

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        self._at(self._now + seconds, event)

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), event))

    def _idle_at_the_end(self) -> float:
        end = self.outcome.seconds
        begin = end * (1 - _IDLE_SHARE)
        busy = sum(max(0.0, min(until, end) - max(since, begin)) for since, until in self._busy)
        return max(0.0, 1 - busy / ((end - begin) * self._worker_count))


def _extent(task: Task) -> tuple[int, int]:
    """Files and bytes of a task."""
    parts = decode(task.payload, BatchWork).parts
    return sum(len(part.names) for part in parts), sum(sum(part.sizes) for part in parts)


def simulate(fleet: Fleet, load: Load, costs: Costs) -> Outcome:
    """One job from its beginning to its end."""
    with tempfile.TemporaryDirectory(prefix="argosy-simulation-", dir=_directory()) as directory:
        return Simulation(Path(directory), fleet, load, costs).run()


def _directory() -> str | None:
    """In memory where that is possible: the database is real, its disk is not what is asked for."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


HEADINGS = (
    "members",
    "slow",
    "seconds",
    "files/s",
    "of so many times one member",
    "master busy",
    "idle in the last tenth",
    "run again",
    "decisions, µs a batch",
)


def main() -> int:
    """Print a table in Markdown."""
    given = _parse()
    costs = Costs(
        given.file_seconds,
        given.byte_seconds,
        given.scan_entry_seconds,
        given.master_entry_seconds,
        given.master_batch_seconds,
        given.latency_seconds,
    )
    sys.stdout.write(f"| {' | '.join(HEADINGS)} |\n| {' | '.join('---' for _ in HEADINGS)} |\n")
    one = given.workers / (costs.file_seconds + given.file_bytes * costs.byte_seconds)
    for slow in given.slow:
        grown = []
        for members in given.members:
            fleet = Fleet(members, given.workers, min(members - 1, -(-members * slow // 100)), given.slow_factor)
            load = Load(members * given.workers * given.batches, given.files, given.file_bytes)
            outcome = simulate(fleet, load, costs)
            sys.stdout.write(_line(fleet, load, outcome, one))
            sys.stdout.flush()
            grown.append((float(members), round(outcome.files / outcome.seconds / one, 2)))
        if given.add is not None:
            add_members(given.add, Series(f"{given.name}, {slow}% slow" if slow else given.name, grown))
    return 0


def _line(fleet: Fleet, load: Load, outcome: Outcome, one: float) -> str:
    rate = outcome.files / outcome.seconds
    cells = (
        f"{fleet.members}",
        f"{fleet.slow}",
        f"{outcome.seconds:.1f}",
        f"{rate:,.0f}",
        f"{rate / one / fleet.members:.2f}",
        f"{outcome.master_busy_seconds / outcome.seconds:.0%}",
        f"{outcome.idle_at_the_end:.0%}",
        f"{outcome.runs_again}",
        f"{outcome.decision_seconds / load.batches * 1e6:.0f}",
    )
    return f"| {' | '.join(cells)} |\n"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_simulation", description="Simulate the queue.")
    costs = Costs()
    parser.add_argument("--members", default=[1, 10, 30, 100, 300], type=_numbers, metavar="LIST", help="so many")
    parser.add_argument(
        "--slow", default=[0], type=_numbers, metavar="LIST", help="percent of members that are slow (0)"
    )
    parser.add_argument(
        "--slow-factor", default=10.0, type=float, metavar="X", help="and take so many times as long (10)"
    )
    parser.add_argument("--add", type=Path, metavar="FILE", help="add the throughput to this file of the curves")
    parser.add_argument("--name", default="simulated", help="the line's name there")
    parser.add_argument("--workers", default=2, type=int, metavar="N", help="of each member (2)")
    parser.add_argument("--batches", default=20, type=int, metavar="N", help="for each worker (20)")
    parser.add_argument("--files", default=Load(0).files, type=int, metavar="N", help="of a batch")
    parser.add_argument("--file-bytes", default=Load(0).file_bytes, type=int, metavar="N", help="of a file")
    for name in ("file", "byte", "scan_entry", "master_entry", "master_batch", "latency"):
        default = getattr(costs, f"{name}_seconds")
        flag = f"--{name.replace('_', '-')}-seconds"
        parser.add_argument(flag, default=default, type=float, metavar="S", help=f"({default:g})")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
