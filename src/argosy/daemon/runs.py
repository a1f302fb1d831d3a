"""One job after the other, and what each has said so far."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from argosy.daemon.diary import Diary
from argosy.daemon.kinds import Kind, encode_value
from argosy.daemon.protocol import Ended, Followed, Refusal, Said, refusal_of
from argosy.daemon.sight import Sight
from argosy.errors import ArgosyError, UsageError

_log = logging.getLogger(__name__)

MOST_ENTRIES_KEPT = 10_000
# Well below what one message may hold; an entry is a path and a reason.
_BYTES_AT_ONCE = 256 * 1024
_PATIENCE_SECONDS = 2.0
_MOST_RUNS_KEPT = 50


class Work(Protocol):
    """What is done in a run. ``paths`` are what is backed up or compared, or where to it is restored."""

    @property
    def kind(self) -> Kind:
        """What kind of job it is."""

    @property
    def diary(self) -> Diary:
        """What has happened."""

    @property
    def location(self) -> str:
        """The repository."""

    @property
    def paths(self) -> list[bytes]:
        """See the class."""

    @property
    def words(self) -> str:
        """What is done, in words."""

    def look(self) -> Sight:
        """What the master sees now of source or target, and of the repository. From any thread, while it runs."""

    def carry_out(self, run: Run) -> Any:
        """Do it, in the run's thread; the operation's result. ``run.observer()`` hears of it."""

    def forget_secrets(self) -> None:
        """It has ended: the password is needed no more."""


class Run:
    """A job from its submission on. Its own thread says things, the loop's thread reads them.

    ``job`` is what users call it: the run's own id, or the one of the job that it goes on with. ``former`` is that of a
    run which the master's end has interrupted.
    """

    def __init__(self, name: str, work: Work, former: str = "") -> None:
        self.id = name
        self.former = former
        self.job = former or name
        self.work = work
        self.submitted_at = time.time()
        self.active_at = self.submitted_at
        self.begun = False
        self.ended: Ended | Refusal | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._entries: deque[Said] = deque()
        self._first = 0
        self.progress = b""
        self._version = 0
        self._changed: Callable[[], None] = lambda: None

    def observer(self) -> Any:
        """What the operation tells, it tells this run. It is of the kind's own type."""
        return self.work.kind.teller(self._say, self._show, self._stop.is_set)

    def stop(self) -> None:
        """Stop it so that it can be resumed; one that has not begun never does."""
        self._stop.set()

    def carry_out(self, ending: HearEnd) -> None:
        """Run the work to its end, whatever that is; ``ending`` hears of it before it is known."""
        ended = self._result()
        self.work.forget_secrets()
        ending(self, ended)
        with self._lock:
            self.ended = ended
        self._touch()

    def _result(self) -> Ended | Refusal:
        try:
            if self._stop.is_set():
                raise UsageError("the job was cancelled before it began", hint="Submit it again.")
            self.begun = True
            return Ended(encode_value(self.work.carry_out(self)))
        except ArgosyError as error:
            return refusal_of(error)
        except Exception as error:  # noqa: BLE001 - one job's bug must not end the others'
            _log.error("%s", traceback.format_exc())
            return Refusal("ArgosyError", f"this is a bug in Argosy: {type(error).__name__}: {error}", "")

    def look(self, after: int) -> tuple[int, Followed]:
        """A number that grows with each change, and what was said from entry ``after`` on."""
        with self._lock:
            skipped, missed = max(0, after - self._first), max(0, self._first - after)
            entries = _first_of(list(self._entries)[skipped:])
            following = max(after, self._first) + len(entries)
            is_all = following == self._first + len(self._entries)
            ended = self.ended if is_all else None
            work = self.work
            return self._version, Followed(
                self.id, self.job, work.kind.name, work.paths, following, missed, entries, self.progress, ended
            )

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this after each change, from any thread."""
        self._changed = changed

    def goes_on_with(self, job: str) -> None:
        """It is this job, that an earlier run began."""
        self.job = job
        self._touch()

    def _say(self, entry: Said) -> None:
        with self._lock:
            self._entries.append(entry)
            if len(self._entries) > MOST_ENTRIES_KEPT:
                self._entries.popleft()
                self._first += 1
        self._touch()

    def _show(self, progress: bytes) -> None:
        self.progress = progress
        self._touch()

    def _touch(self) -> None:
        self.active_at = time.time()
        self._version += 1
        self._changed()


HearEnd: TypeAlias = Callable[[Run, Ended | Refusal], None]


class Runs:
    """The queue of runs, worked on by one thread, which calls ``ending`` at the end of each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ending: HearEnd = lambda _run, _ended: None) -> None:
        self._loop = loop
        self._ending = ending
        self._runs: dict[str, Run] = {}
        self._waiting: deque[Run] = deque()
        self._arrived = threading.Condition()
        self._closing = False
        self._changed = asyncio.Event()
        self.current: Run | None = None
        self._thread = threading.Thread(target=self._work, name="jobs")
        self._thread.start()

    def submit(self, name: str, work: Work, former: str = "") -> tuple[Run, int]:
        """Queue a job under a name of its own: its run, and how many are before it."""
        run = Run(name, work, former)
        run.watch(self._touched)
        with self._arrived:
            ahead = len(self._waiting) + (self.current is not None)
            self._runs[run.id] = run
            self._waiting.append(run)
            self._forget_old()
            self._arrived.notify()
        return run, ahead

    def find(self, name: str) -> Run:
        """The run of this id, or of the job whose id begins so; UsageError if there is none or more than one."""
        if name in self._runs:
            return self._runs[name]
        found = [
            run
            for run in self._runs.values()
            if name and any(known.startswith(name) for known in (run.id, run.job, run.former))
        ]
        if len(found) == 1:
            return found[0]
        words = f"{len(found)} jobs" if found else "no job"
        raise UsageError(f"the master knows {words} of the id {name!r}", hint="'argosy status --cluster' lists them.")

    def open(self) -> list[Run]:
        """Those that have not ended, newest first."""
        return [run for run in reversed(self._runs.values()) if run.ended is None]

    async def follow(self, run: Run, after: int, *, patient: bool = True) -> Followed:
        """What the run has said from entry ``after`` on, as soon as there is something, or after a short while."""
        deadline = self._loop.time() + (_PATIENCE_SECONDS if patient else 0.0)
        before, found = run.look(after)
        while not found.entries and found.ended is None and (patience := deadline - self._loop.time()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), patience)
            except TimeoutError:
                break
            version, found = run.look(after)
            if version != before:
                break
        return found

    def close(self) -> None:
        """Stop the running job so that it can be resumed, drop the waiting ones, and wait for the end."""
        with self._arrived:
            self._closing = True
            self._arrived.notify()
            for run in self._runs.values():
                run.stop()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                self.current = self._waiting.popleft()
            self.current.carry_out(self._ending)
            with self._arrived:
                self.current = None

    def _touched(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever would hear of it
            self._loop.call_soon_threadsafe(self._changed.set)

    def _forget_old(self) -> None:
        ended = [run for run in self._runs.values() if run.ended is not None]
        for run in ended[: max(0, len(self._runs) - _MOST_RUNS_KEPT)]:
            del self._runs[run.id]


def _first_of(entries: list[Said]) -> list[Said]:
    """As many entries from the first one on as one message may hold."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.arguments)
        if size > _BYTES_AT_ONCE and count:
            return entries[:count]
    return entries
