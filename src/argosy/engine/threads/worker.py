"""One worker: a thread that makes a handler, and calls it for each task."""

from __future__ import annotations

import logging
import threading

from argosy.engine.interface import Handler, Report, Task, TaskComplete, TaskFailed, TaskProgress, TaskTaken
from argosy.engine.threads.desk import Close, TaskDesk
from argosy.engine.threads.line import Broken, Line, Ready, Returned
from argosy.engine.worker_loop import error_text, load_factory

_log = logging.getLogger(__name__)


class ThreadOutlet:
    """See ``interface.Outlet``."""

    def __init__(self, line: Line, member: str, worker: int) -> None:
        self._line = line
        self._member = member
        self._worker = worker
        # So that nothing is said of a task once it is settled.
        self._settling = threading.Lock()
        self._held: dict[int, int] = {}

    @property
    def holding(self) -> tuple[int, ...]:
        """The ids of the tasks that are not settled, lowest first."""
        return tuple(sorted(self._held))  # without the lock: whoever has it may wait to be heard

    def begin(self, task: Task) -> None:
        """From here on the handler may speak of this attempt."""
        with self._settling:
            self._held[task.id] = task.attempt
        self._line.say(TaskTaken(task.id, task.attempt, self._member, self._worker))

    def report(self, payload: bytes) -> None:
        """See ``Outlet.report``."""
        self._line.say(Report(self._member, self._worker, payload), len(payload))

    def progress(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.progress``."""
        with self._settling:
            if task_id in self._held:
                event = TaskProgress(task_id, self._held[task_id], self._member, self._worker, payload)
                self._line.say(event, len(payload))

    def complete(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.complete``."""
        with self._settling:
            attempt = self._held.pop(task_id, None)
        if attempt is not None:
            self._line.say(TaskComplete(task_id, attempt, self._member, self._worker, payload), len(payload))

    def fail(self, task_id: int, payload: bytes, *, raised: bool = False) -> None:
        """See ``Outlet.fail``; ``raised``: by ``work()`` itself."""
        with self._settling:
            attempt = self._held.pop(task_id, None)
        if attempt is not None:
            event = TaskFailed(task_id, attempt, self._member, self._worker, payload, raised)
            self._line.say(event, len(payload))


class ThreadWorker(threading.Thread):
    """Works on what lies on the desk until that says close."""

    def __init__(self, number: int, outlet: ThreadOutlet, line: Line, desk: TaskDesk, idle_seconds: float) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.number = number
        self.outlet = outlet
        self.is_ready = False
        self._line = line
        self._desk = desk
        self._idle_seconds = idle_seconds
        self._handler: Handler | None = None
        self._noticing = threading.Lock()
        self._early_notices: list[bytes] = []
        self._opening = "", b""

    def open(self, handler: str, setup: bytes, notices: list[bytes]) -> None:
        """Start with this handler, which hears these notices first."""
        self._opening = handler, setup
        self._early_notices = notices
        self.start()

    def run(self) -> None:
        """Make the handler and work."""
        factory, setup = self._opening
        try:
            handler = load_factory(factory)(setup, self.outlet)
        except BaseException as error:  # noqa: BLE001 - the owner is told
            self._line.say(Broken(f"the workers cannot start: {error_text(error).decode()}"))
            return
        self._line.say(Ready(self.number))
        try:
            with self._noticing:
                self._handler = handler
                for notice in self._early_notices:
                    handler.notice(notice)
            self._serve(handler)
        except BaseException as error:  # noqa: BLE001 - as above
            self._line.say(Broken(f"worker {self.number} stopped: {error_text(error).decode()}"))

    def notice(self, payload: bytes) -> None:
        """Have the handler hear a notice now, or first of all."""
        with self._noticing:
            if self._handler is None:
                self._early_notices.append(payload)
                return
            try:
                self._handler.notice(payload)
            except Exception as error:  # noqa: BLE001 - as above
                self._line.say(Broken(f"worker {self.number} stopped: {error_text(error).decode()}"))

    def _serve(self, handler: Handler) -> None:
        flushes = 0
        is_idle_due = False
        while not isinstance(order := self._desk.take(flushes, self._idle_seconds if is_idle_due else None), Close):
            is_idle_due = isinstance(order, Task)
            if isinstance(order, Task):
                self._work(handler, order)
            else:
                flushes = order.flushes
                handler.idle()
        try:
            handler.close()
        except Exception as error:  # noqa: BLE001 - nobody waits for what it would say
            _log.warning("worker %d failed as it closed: %s", self.number, error_text(error).decode())

    def _work(self, handler: Handler, task: Task) -> None:
        self.outlet.begin(task)
        try:
            handler.work(task)
        except Exception as error:  # noqa: BLE001 - whatever work() raises fails this task alone
            self.outlet.fail(task.id, error_text(error), raised=True)
        self._line.say(Returned(task.id))
