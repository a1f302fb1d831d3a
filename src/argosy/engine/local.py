"""The engine of one machine: worker processes over socket pairs. No server, nothing listens.

What happens is decided in slots.py and respawn.py; here it is carried out. All I/O is within ``events``
(and what a socket takes at once within ``offer``), without blocking and in one thread, so that a full
socket in one direction never keeps the other waiting.

A worker dies with this process: its socket ends, and the kernel kills it when the thread that started it
ends (PR_SET_PDEATHSIG counts threads). That is why one thread owns the engine.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress

from argosy import native
from argosy.engine.farewell import ask_to_close
from argosy.engine.framing import Frame, Kind, Opening, encode_frame, encode_opening
from argosy.engine.interface import (
    Event,
    Member,
    MemberJoined,
    Report,
    Task,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskProgress,
    TaskTaken,
    WorkerState,
)
from argosy.engine.notices import LateNotices
from argosy.engine.nursery import Nursery
from argosy.engine.respawn import RespawnPolicy
from argosy.engine.slots import Flush, Instruction, Recall, Send, Slots, Spawn
from argosy.engine.supply import WorkerSupply
from argosy.engine.worker_process import WorkerProcess
from argosy.errors import EngineError

_log = logging.getLogger(__name__)

# A worker that leaves this many bytes of notices unread is stuck.
MAX_UNREAD_BYTES = 64 * 1024 * 1024


def worker_count() -> int:
    """How many workers suit this machine: one for each processor that this process may use."""
    return len(os.sched_getaffinity(0))


def make_local_engine(workers: int, name: str, nursery: Nursery | None = None) -> LocalEngine:
    """See ``interface.MakeEngine``; ``nursery`` as ``LocalEngine`` takes it."""
    return LocalEngine(workers, name=name, nursery=nursery)


class LocalEngine:
    """Runs tasks in up to ``workers`` processes; see ``interface.Engine`` for the promises."""

    def __init__(
        self,
        workers: int,
        *,
        idle_seconds: float = 5.0,
        close_seconds: float = 10.0,
        name: str = "local",
        nursery: Nursery | None = None,
    ) -> None:
        """``close_seconds`` is how long ``close`` waits for current work before it kills.

        ``nursery`` is one that was started before, for the handler that will be run; it ends with the engine.
        """
        if workers < 1:
            raise EngineError(f"an engine cannot work with {workers} workers", hint="Ask for at least one.")
        self._name = name
        self._idle_seconds = idle_seconds
        self._close_seconds = close_seconds
        self._limit = workers
        self._slots = Slots(workers)
        self._policy = RespawnPolicy()
        self._supply = WorkerSupply(nursery)
        self._workers: dict[int, WorkerProcess] = {}
        self._events: list[Event] = []
        self._opening = b""
        self._handler = ""
        self._notices = LateNotices()
        self._joined_at_seconds: float | None = None
        self._stirred = False
        self._failure: EngineError | None = None
        self._selector: selectors.BaseSelector | None = None
        self._wake_fd: int | None = None
        self._wake_lock = threading.RLock()

    @property
    def is_spread(self) -> bool:
        """See ``Engine.is_spread``."""
        return False

    def prepare(self, handler: str, count: int) -> None:
        """See ``Engine.prepare``."""
        # What the system refuses now is asked for again, and told, when the worker is needed.
        with suppress(OSError):
            while len(self._workers) + self._supply.prepared < min(count, self._limit):
                self._supply.prepare(handler)

    def start(self, setup: bytes, handler: str) -> None:
        """See ``Engine.start``."""
        if self._opening:
            raise EngineError("the engine was started before")
        self._handler = handler
        opening = Opening(handler, setup, self._idle_seconds, native.is_wanted())
        self._opening = encode_frame(Kind.OPEN, encode_opening(opening))
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_fd, selectors.EVENT_READ, self._woken)

    def expect(self, members: Collection[str]) -> None:
        """See ``Engine.expect``: what this process did not hear of is lost."""

    def offer(self, task: Task) -> None:
        """See ``Engine.offer``."""
        self._check_usable()
        self._slots.offer(task)
        self._hand_out()

    def wanted(self) -> int:
        """See ``Engine.wanted``."""
        return self._slots.wanted()

    def events(self, timeout_seconds: float) -> list[Event]:
        """See ``Engine.events``."""
        self._check_usable()
        deadline = time.monotonic() + timeout_seconds
        self._stirred = False
        # Here, not as soon as a worker is idle: the owner had its chance to offer it something first.
        self._carry_out(self._slots.plan_recalls())
        while True:
            for key, mask in self._io.select(self._patience_seconds(deadline)):
                key.data(mask)
            self._hand_out()
            if self._events or self._stirred or self._failure or time.monotonic() >= deadline:
                break
        if self._failure and not self._events:
            raise self._failure
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """See ``Engine.wake``."""
        # A descriptor closed meanwhile may be someone else's by now; hence the lock. It is re-entrant because
        # signal handlers call this too.
        with self._wake_lock:
            if self._wake_fd is not None:
                os.eventfd_write(self._wake_fd, 1)

    def members(self) -> list[Member]:
        """See ``Engine.members``."""
        if self._joined_at_seconds is None:
            return []
        workers = tuple(
            WorkerState(number, worker.pid, self._slots.holding(number))
            for number, worker in self._workers.items()
            if worker.is_ready
        )
        host = socket.gethostname()
        return [Member(self._name, host, os.getpid(), workers, self._joined_at_seconds, time.time())]

    def broadcast(self, payload: bytes, *, keep: bool = False) -> None:
        """See ``Engine.broadcast``. A worker that leaves ``MAX_UNREAD_BYTES`` of it unread is killed."""
        self._check_usable()
        frame = encode_frame(Kind.NOTICE, payload)
        self._notices.add(frame, keep=keep)
        for worker in self._workers.values():
            if worker.is_ready:
                self._send(worker, frame)
                if worker.unsent_bytes > MAX_UNREAD_BYTES:
                    worker.kill("was killed because it no longer reads its messages")

    def flush(self) -> None:
        """See ``Engine.flush``."""
        self._check_usable()
        self._carry_out(self._slots.flush())

    def expel(self, member: str, reason: str) -> None:
        """See ``Engine.expel``: the only member is all there is."""
        self._check_usable()
        if member == self._name:
            self._fail(EngineError(f"the member {member} was expelled: {reason}"))

    def withdraw(self, task_id: int, attempt: int) -> None:
        """Take a task back, for work elsewhere, unless its work has begun. ``take_withdrawn`` tells of success."""
        self._check_usable()
        self._carry_out(self._slots.withdraw(task_id, attempt))
        self.wake()

    def take_withdrawn(self) -> list[tuple[int, int]]:
        """Ids and attempts of tasks that were withdrawn since the last call: nothing more is heard of them."""
        return self._slots.take_withdrawn()

    def cancel(self) -> None:
        """See ``Engine.cancel``."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.bury()
        self._supply.close()
        self._release()

    def close(self) -> None:
        """See ``Engine.close``."""
        try:
            ask_to_close(self._workers.values(), time.monotonic() + self._close_seconds)
        finally:
            self.cancel()

    def _check_usable(self) -> None:
        if self._failure and not self._events:
            raise self._failure
        if self._selector is None:
            raise EngineError("the engine is closed" if self._opening else "the engine was not started")

    @property
    def _io(self) -> selectors.BaseSelector:
        assert self._selector is not None, "between start and close"
        return self._selector

    def _woken(self, _mask: int) -> None:
        assert self._wake_fd is not None
        os.eventfd_read(self._wake_fd)
        self._stirred = True

    def _patience_seconds(self, deadline: float) -> float:
        now = time.monotonic()
        patience = deadline - now
        pause = self._policy.pause_seconds(now)
        if pause > 0:
            patience = min(patience, pause)
        return max(patience, 0.0)

    def _hand_out(self) -> None:
        if self._failure is None:
            self._carry_out(self._slots.plan(may_spawn=self._policy.may_spawn(time.monotonic())))

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(number, task):
                    frame = encode_frame(Kind.TASK, task.payload, task.id, task.attempt)
                    self._send(self._workers[number], frame)
                case Recall(number, task_id, attempt):
                    self._send(self._workers[number], encode_frame(Kind.RECALL, b"", task_id, attempt))
                case Flush(number):
                    self._send(self._workers[number], encode_frame(Kind.FLUSH))
                case Spawn(number):
                    self._spawn(number)

    def _send(self, worker: WorkerProcess, frame: bytes) -> None:
        worker.send(frame)
        self._watch_socket(worker)

    def _watch_socket(self, worker: WorkerProcess) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent_bytes else 0)
        if self._io.get_key(worker.socket).events != wanted:
            self._io.modify(worker.socket, wanted, lambda mask: self._serve(worker, mask))

    def _spawn(self, number: int) -> None:
        try:
            worker = self._supply.take(self._handler)
            worker.open(number, self._opening)
        except OSError as error:
            self._slots.gone(number)
            self._start_failed(f"no process could be started: {error}")
            return
        self._workers[number] = worker
        self._io.register(worker.socket, selectors.EVENT_READ, lambda mask: self._serve(worker, mask))
        self._io.register(worker.output, selectors.EVENT_READ, lambda _mask: self._read_output(worker))
        self._watch_socket(worker)

    def _serve(self, worker: WorkerProcess, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            worker.write()
            self._watch_socket(worker)
        if not mask & selectors.EVENT_READ:
            return
        try:
            frames = worker.read()
            for frame in frames or ():
                self._receive(worker, frame)
        except EngineError as error:
            worker.kill(f"was killed because of what it sent: {error.message}")
            frames = None
        if frames is None:
            self._bury(worker)

    def _read_output(self, worker: WorkerProcess) -> None:
        # The worker may have been buried a moment ago, in the same round.
        if worker.number in self._workers and not worker.read_output():
            self._io.unregister(worker.output)

    def _receive(self, worker: WorkerProcess, frame: Frame) -> None:
        number = worker.number
        kind, task_id, attempt, payload = frame
        if kind == Kind.PROGRESS:
            if self._slots.is_held(number, task_id, attempt):
                self._events.append(TaskProgress(task_id, attempt, self._name, number, payload))
        elif kind == Kind.REPORT:
            # A factory may speak before its worker is ready.
            self._join()
            self._events.append(Report(self._name, number, payload))
        elif kind == Kind.COMPLETE:
            if self._slots.settle(number, task_id, attempt):
                self._events.append(TaskComplete(task_id, attempt, self._name, number, payload))
        elif kind in (Kind.FAILED, Kind.RAISED):
            if self._slots.settle(number, task_id, attempt):
                raised = kind == Kind.RAISED
                self._events.append(TaskFailed(task_id, attempt, self._name, number, payload, raised))
        elif kind == Kind.TAKEN:
            self._slots.taken(number, task_id, attempt)
            self._events.append(TaskTaken(task_id, attempt, self._name, number))
        else:
            self._follow(worker, frame)

    def _follow(self, worker: WorkerProcess, frame: Frame) -> None:
        kind, task_id, attempt, payload = frame
        if kind == Kind.RETURNED:
            self._slots.returned(worker.number, task_id, attempt)
            self._policy.worked()
            self._stirred = True
        elif kind == Kind.GIVEN_BACK:
            self._slots.given_back(worker.number, task_id, attempt)
            self._stirred = True
        elif kind == Kind.READY:
            self._became_ready(worker)
        elif kind == Kind.CRASHED:
            worker.kill(f"stopped: {payload.decode()}")
        elif kind == Kind.UNFIT:
            worker.kill(f"could not make its handler: {payload.decode()}")
            if not self._policy.has_started():
                hint = "Solve what it names, then run the command again."
                self._fail(EngineError(f"the workers cannot start: {payload.decode()}", hint=hint))
        else:
            raise EngineError(f"a frame of the unknown kind {kind}")

    def _became_ready(self, worker: WorkerProcess) -> None:
        worker.became_ready()
        self._slots.ready(worker.number)
        self._policy.ready()
        self._join()
        for notice in self._notices:
            self._send(worker, notice)

    def _join(self) -> None:
        if self._joined_at_seconds is None:
            self._joined_at_seconds = time.time()
            self._events.append(MemberJoined(self._name))

    def _bury(self, worker: WorkerProcess) -> None:
        self._io.unregister(worker.socket)
        if worker.output in self._io.get_map():
            self._io.unregister(worker.output)
        reason = worker.bury()
        # Only now: an interrupt before this line leaves the worker to cancel().
        del self._workers[worker.number]
        self._stirred = True
        for lapse in self._slots.gone(worker.number):
            self._events.append(
                TaskLapsed(lapse.task_id, lapse.attempt, self._name, worker.number, reason, lapse.taken)
            )
        if worker.is_ready:
            self._policy.died(time.monotonic(), at_start=False)
        else:
            self._start_failed(reason)

    def _start_failed(self, reason: str) -> None:
        self._policy.died(time.monotonic(), at_start=True)
        if self._policy.is_hopeless() and not self._slots.ready_count():
            self._fail(
                EngineError(
                    f"the workers cannot start, after several attempts: {reason}",
                    hint="Check that this machine has memory left and that Argosy is installed whole.",
                )
            )
        else:
            _log.warning("a worker did not start and will be started again: %s", reason)

    def _fail(self, failure: EngineError) -> None:
        self._failure = self._failure or failure
        for worker in self._workers.values():
            worker.kill()

    def _release(self) -> None:
        self._workers.clear()
        self._events.clear()
        self._opening = self._opening or b"closed"
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        with self._wake_lock:
            wake_fd, self._wake_fd = self._wake_fd, None
            if wake_fd is not None:
                os.close(wake_fd)
