"""What a master does for a job, whatever its kind; each kind has a module of its own."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from argosy.daemon.diary import Diary
from argosy.daemon.fitting import lock_names_at
from argosy.daemon.kinds import Kind
from argosy.daemon.protocol import Request, escaped
from argosy.daemon.runs import Run
from argosy.daemon.sight import Sight
from argosy.engine.interface import Engine
from argosy.engine.nats.engine import NatsEngine
from argosy.engine.nats.hub import Hub
from argosy.errors import ArgosyError, Interrupted, StateError
from argosy.operations.jobs import add_to_history
from argosy.operations.session import Access
from argosy.operations.unlock import run_unlock
from argosy.state.history import JobHistory

_log = logging.getLogger(__name__)

# At the end of a job its members wait for whoever has the last batch: over a link of 40 Mbit/s for 3 seconds.
BATCH_BYTES = 16 << 20


class Surroundings(msgspec.Struct, frozen=True):
    """What a master has for its jobs. ``is_closing``: whether it is the master's own end that stops them."""

    hub: Hub
    state_directory: Path
    cache_directory: Path
    is_closing: Callable[[], bool]

    def make_engine(self, _workers: int, _name: str) -> Engine:
        """See ``interface.MakeEngine``: the members have as many workers as they have."""
        return NatsEngine(self.hub)

    def workers(self) -> int:
        """How many workers the members have now, at least one."""
        return max(1, sum(member.workers for member in self.hub.members()))


class JobWork(ABC):
    """A job's request and surroundings; see ``runs.Work``."""

    kind: Kind

    def __init__(self, request: Request, surroundings: Surroundings) -> None:
        self.diary = Diary()
        self._request = request
        self._surroundings = surroundings

    @property
    @abstractmethod
    def paths(self) -> list[bytes]:
        """What is backed up or compared, or where to it is restored."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What is done, in words."""

    @abstractmethod
    def carry_out(self, run: Run) -> Any:
        """See ``runs.Work``."""

    @abstractmethod
    def look(self) -> Sight:
        """What the master sees now of source or target, and of the repository. From any thread, while it runs."""

    @property
    def location(self) -> str:
        """The repository."""
        return self._request.location

    def forget_secrets(self) -> None:
        """The job has ended: neither password nor credentials are needed any more."""
        options = msgspec.structs.replace(self._request.storage_options, credentials={})
        self._request = msgspec.structs.replace(self._request, password=b"", storage_options=options)

    def _access(self, run: Run) -> Access:
        request, observer = self._request, run.observer()

        def on_wait(text: str) -> None:
            self.diary.note(text)
            observer.message(text)

        return Access(
            location=request.location,
            password=lambda: request.password,
            cache_directory=self._surroundings.cache_directory,
            storage_options=request.storage_options,
            key_hint=request.key_hint,
            no_lock=request.no_lock,
            retry_lock_seconds=request.retry_lock_seconds,
            on_wait=on_wait,
            stop_requested=observer.stop_requested,
        )

    def _locks(self) -> list[str]:
        return lock_names_at(self._request.location, self._request.storage_options)


class Ending(msgspec.Struct, frozen=True):
    """How a job ended, for the history; see ``JobHistory``."""

    outcome: str
    counters: dict[str, int]
    snapshot: str = ""
    message: str = ""


class RecordedWork(JobWork):
    """A job without a file of its own: only the history knows of it when it has ended."""

    @abstractmethod
    def _operate(self, run: Run) -> Any:
        """The operation itself, to its result."""

    @abstractmethod
    def _ending(self, result: Any) -> Ending:
        """What a result comes to."""

    def carry_out(self, run: Run) -> Any:
        """Run the operation, and keep its end unless it is the master that ends."""
        started = time.time()
        try:
            result = self._operate(run)
        except Interrupted as error:
            if not self._surroundings.is_closing():
                self._keep(run, started, Ending("closed", {}, message=error.message))
            raise
        except ArgosyError as error:
            self._keep(run, started, Ending("failed", {}, message=error.message))
            raise
        self._keep(run, started, self._ending(result))
        return result

    def _remove_former_lock(self, run: Run, say: Callable[[str], None]) -> None:
        """The exclusive lock of the master that was killed in the midst of this would keep the job out for ever."""
        access = self._access(run)
        if run.former and not access.no_lock:
            for lock in run_unlock(access).removed:
                say(f"removed the {lock.description}: {lock.reason}")

    def _keep(self, run: Run, started: float, ending: Ending) -> None:
        shown = [path.decode("utf-8", "replace") for path in self.paths]
        history = JobHistory(
            run.job,
            self.kind.name,
            self.location,
            shown,
            started,
            time.time(),
            ending.outcome,
            ending.snapshot,
            escaped(ending.message),
            ending.counters,
            self.diary.faults,
            self.diary.log,
        )
        try:
            add_to_history(self._surroundings.state_directory, history)
        except StateError as error:
            # What was done is done.
            _log.warning("the history lacks job %s: %s", run.job, error.message)
