"""Giving batches to the engine: in order, but for those whose content is being stored already; smaller toward the end,
and once more where one holds all up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence

from argosy.archiver.cutting import TailCutter
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchResult, BatchWork, decode
from argosy.archiver.scan import Scanner
from argosy.archiver.twins import Marks, Twins, marks_of
from argosy.engine.interface import Engine, Member, Task
from argosy.operations.backup.stragglers import Stragglers
from argosy.state.queue import Batch

_RUN = 1 << 56
"""Added to a batch's number, once for each earlier run of it, it is the engine's number for one run more: behind all
others, and a task of its own."""

_LOOK_AHEAD = 64


def batch_of(task_id: int) -> int:
    """The number of the batch that a task stands for."""
    return task_id % _RUN


class HandingOut:
    """Used by the coordinator alone, which tells it what becomes of batches."""

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        scanner: Scanner,
        *,
        after_scan: bool,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """``after_scan`` holds all batches back until the scan has ended. ``now_seconds`` is the clock."""
        self._ledger = ledger
        self._engine = engine
        self._scanner = scanner
        self._after_scan = after_scan
        self._now_seconds = now_seconds
        self._tail = TailCutter(ledger)
        self._stragglers = Stragglers()
        self._twins = Twins()
        self._marks: dict[int, Marks] = {}
        self._all_are_twins = False
        self._flushed_for = -1
        self._offered = 0

    def offer(self) -> None:
        """Offer as much as the engine wants now."""
        if self._after_scan and not self._scanner.done:
            return
        wanted = self._engine.wanted()
        if wanted > 0:
            sharers = self._sharers()
            self._offer_next(wanted, sharers)
            if sharers and self._is_at_the_end():
                self._offer_again()
        self._flush_at_the_end()

    def taken(self, seq: int) -> None:
        """A worker began the batch."""
        self._stragglers.taken(seq, self._now_seconds())

    def given_back(self, seq: int) -> None:
        """The batch waits again."""
        self._stragglers.given_back(seq)
        self._twins.lost(seq)

    def completed(self, batch: Batch, result: BatchResult) -> None:
        """The batch's result was accepted."""
        self._stragglers.completed(batch, result.data_added_packed, self._now_seconds())
        self._twins.stored(batch.seq)

    def told(self) -> None:
        """The workers know of all that is recorded."""
        self._twins.told()

    def _offer_next(self, wanted: int, sharers: int) -> None:
        for _ in range(wanted):
            chosen = self._choose()
            leased = None if chosen is None else self._ledger.queue.lease(chosen)
            if leased is None:
                return
            batch, payload = leased
            marks = self._marks.pop(batch.seq, {})
            if sharers and self._tail.cut(batch, payload, sharers, self._stragglers.weight_a_second):
                # Its halves are handed out once they are durable: at the next turn.
                continue
            # What failed somewhere is tried somewhere else: then it is known whose fault it is.
            failed_at = (batch.member,) if batch.suspicions and batch.member else ()
            self._twins.begun(batch.seq, marks)
            self._give(Task(batch.seq, batch.attempt, payload, avoid=failed_at))

    def _choose(self) -> int | None:
        """The lowest waiting batch, or the next one that has no twin under way; None if there is none near."""
        queue = self._ledger.queue
        for seq in (seq for count in (1, _LOOK_AHEAD) for seq in queue.lowest(count)[count > 1 :]):
            if not self._engine.is_spread or not self._twins.is_one(self._marks_of(seq)):
                self._all_are_twins = False
                return seq
        self._all_are_twins = bool(queue.lowest(1))
        return None

    def _marks_of(self, seq: int) -> Marks:
        if seq not in self._marks:
            payload = self._ledger.queue.payload(seq)
            self._marks[seq] = {} if payload is None else marks_of(decode(payload, BatchWork))
        return self._marks[seq]

    def _is_at_the_end(self) -> bool:
        """Whether there is nothing to be handed out before something else is complete."""
        return not self._ledger.queue.waiting or self._all_are_twins

    def _offer_again(self) -> None:
        """The batches that slow members hold up, to others; the first result of each counts."""
        late = {
            batch.seq: batch for batch in self._stragglers.late(self._ledger.queue.handed_out(), self._now_seconds())
        }
        members = {member.name: _tasks_of(member) for member in (self._engine.members() if late else ())}
        quick = {name for name, tasks in members.items() if not any(self._is_behind(task, late) for task in tasks)}
        for batch in late.values():
            if self._engine.wanted() <= 0:
                return
            holders = [name for name, tasks in members.items() for task in tasks if batch_of(task) == batch.seq]
            # A run that is with no member waits for the first that comes: another one would wait beside it.
            if len(holders) == batch.runs and (takers := quick or members.keys() - set(holders)):
                self._run_again(batch, holders, tuple(sorted(members.keys() - takers)))

    def _run_again(self, batch: Batch, holders: Sequence[str], avoid: tuple[str, ...]) -> None:
        payload = self._ledger.queue.lease_again(batch.seq)
        if payload is None:
            return
        where = " and ".join(sorted(set(holders)))
        times = "a second time" if batch.run == 1 else "once more"
        self._ledger.reports.log(f"batch {batch.seq} takes long at {where}: it is run {times} elsewhere")
        self._stragglers.handed_out_again(batch.seq, self._now_seconds())
        self._give(Task(batch.run * _RUN + batch.seq, batch.attempt, payload, avoid=avoid))

    def _is_behind(self, task_id: int, late: Container[int]) -> bool:
        """Whether a member that has this task holds its batch up, or did so until it was given to another."""
        seq = batch_of(task_id)
        batch = self._ledger.queue.find(seq)
        return batch is None or seq in late or task_id // _RUN < batch.run

    def _give(self, task: Task) -> None:
        self._stragglers.handed_out(batch_of(task.id), self._now_seconds())
        self._engine.offer(task)
        self._offered += 1

    def _sharers(self) -> int:
        """The workers that share what is left; 0 while the scan may find more, and on one machine, where nobody waits
        for another's link.
        """
        members = self._engine.members() if self._scanner.done else ()
        return sum(len(member.workers) for member in members) if len(members) > 1 else 0

    def _flush_at_the_end(self) -> None:
        """Once nothing more is to be offered, open packs must not wait to become full."""
        queue = self._ledger.queue
        if self._scanner.done and queue.unfinished and self._is_at_the_end() and self._flushed_for != self._offered:
            self._flushed_for = self._offered
            self._engine.flush()


def _tasks_of(member: Member) -> tuple[int, ...]:
    """All tasks that are with a member, whether its workers have begun them or not."""
    return member.waiting + tuple(task for worker in member.workers for task in worker.holding)
