"""The queue beside a plain model: whatever happens, and wherever it crashes, each batch is completed exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from argosy.state import queue as queue_module
from argosy.state.job_database import JobDatabase
from argosy.state.queue import BatchQueue
from tests.properties.job_machine import CALM, JobMachine, Step, steps

NUMBERS = st.integers(0, 1000)


@dataclass
class Plain:
    """What is not complete: payload by number."""

    payloads: dict[int, bytes] = field(default_factory=dict)
    upcoming: int = 1


class QueueMachine(JobMachine):
    """``ready`` may be handed out; ``latest`` is each batch's attempt of this run, ``leased`` those with a member."""

    limits = ((queue_module, "PAYLOADS_IN_MEMORY_BYTES", 8),)

    def __init__(self) -> None:
        self.plain, self.durable = Plain(), Plain()
        self.handed: list[tuple[int, int]] = []
        super().__init__()

    def attach(self, job: JobDatabase) -> None:
        self.queue = BatchQueue(job)
        assert self.queue.load() == len(self.durable.payloads)
        self.plain = Plain(dict(self.durable.payloads), self.durable.upcoming)
        self.ready: set[int] = set()
        self.getting_ready: set[int] = set()
        self.latest: dict[int, int] = {}
        self.leased: set[int] = set()

    def note(self) -> None:
        self.durable = Plain(dict(self.plain.payloads), self.plain.upcoming)
        self.getting_ready = self.plain.payloads.keys() - self.ready - self.leased

    @rule(number=NUMBERS)
    def enqueue(self, number: int) -> None:
        """Batches are numbered one after the other, crashes or not."""
        payload = b"%d" % number
        assert self.queue.enqueue(payload, 1, 10) == self.plain.upcoming
        self.plain.payloads[self.plain.upcoming] = payload
        self.plain.upcoming += 1

    @rule()
    def lease(self, _: int = 0) -> None:
        """The lowest that is durable; and never twice under one attempt, in any run."""
        leased = self.queue.lease()
        if not self.ready:
            assert leased is None
            return
        assert leased is not None
        batch, payload = leased
        assert batch.seq == min(self.ready)
        assert payload == self.plain.payloads[batch.seq]
        assert (batch.seq, batch.attempt) not in self.handed
        self.handed.append((batch.seq, batch.attempt))
        self.ready.remove(batch.seq)
        self.leased.add(batch.seq)
        self.latest[batch.seq] = batch.attempt

    @rule(number=NUMBERS)
    def give_back(self, number: int) -> None:
        """Of any attempt that ever was."""
        if not self.handed:
            return
        seq, attempt = self.handed[number % len(self.handed)]
        good = seq in self.leased and self.latest[seq] == attempt
        assert (self.queue.give_back(seq, attempt, failed=bool(number % 2)) is not None) == good
        if good:
            self.leased.remove(seq)
            self.ready.add(seq)

    @rule(number=NUMBERS)
    def complete(self, number: int) -> None:
        """Of any attempt that ever was: only the latest of this run is accepted, once."""
        if not self.handed:
            return
        seq, attempt = self.handed[number % len(self.handed)]
        good = seq in self.plain.payloads and self.latest.get(seq) == attempt
        assert self.queue.complete(seq, attempt) == good
        if good:
            del self.plain.payloads[seq]
            self.leased.discard(seq)
            self.ready.discard(seq)

    @rule(number=NUMBERS)
    def split(self, number: int) -> None:
        """Two batches in the place of one that was handed out, of one moment."""
        current = sorted((seq, attempt) for seq, attempt in self.latest.items() if seq in self.plain.payloads)
        if not current:
            return
        seq, attempt = current[number % len(current)]
        with self.job.mutex:
            assert self.queue.complete(seq, attempt)
            del self.plain.payloads[seq]
            self.leased.discard(seq)
            self.ready.discard(seq)
            self.enqueue(number)
            self.enqueue(number + 1)

    @rule(number=NUMBERS)
    def news(self, number: int) -> None:
        """Of any attempt that ever was: it changes nothing that counts."""
        if self.handed:
            seq, attempt = self.handed[number % len(self.handed)]
            self.queue.taken(seq, attempt, "member", 1)
            self.queue.progress(seq, attempt, 0, number % 10)

    @rule(number=NUMBERS)
    def replace_payload(self, number: int) -> None:
        """Later attempts get another one."""
        if self.plain.payloads:
            seq = sorted(self.plain.payloads)[number % len(self.plain.payloads)]
            self.plain.payloads[seq] += b"!"
            self.queue.replace_payload(seq, self.plain.payloads[seq])

    @rule(others=steps("enqueue", "lease", "give_back", "complete", "split", "news", "replace_payload"))
    def commit(self, others: list[Step]) -> None:
        """What was sealed before it may be handed out after it."""
        self.commit_while(others)
        self.ready |= self.getting_ready & self.plain.payloads.keys() - self.leased

    @rule()
    def crash(self) -> None:
        """All that is not complete waits again."""
        self.reopen()

    @invariant()
    def numbers_agree(self) -> None:
        """What the display and the scan's controller see."""
        assert self.queue.unfinished == len(self.plain.payloads)
        assert self.queue.waiting == len(self.plain.payloads) - len(self.leased)
        assert 0 <= self.queue.remaining_bytes() <= 10 * len(self.plain.payloads)

    def check_at_the_end(self) -> None:
        """Every batch that is left can be completed, and then nothing of it stays."""
        self.crash()
        self.commit([])
        while self.ready:
            self.lease()
            assert self.queue.complete(*self.handed[-1])
            del self.plain.payloads[self.handed[-1][0]]
        assert not self.plain.payloads
        assert self.queue.lease() is None
        self.job.commit()
        assert self.job.read("SELECT * FROM batches") == []
        assert self.queue._payload_bytes == 0


TestQueue = QueueMachine.TestCase
TestQueue.settings = CALM
