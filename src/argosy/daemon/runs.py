"""One job after the other, and what each has said so far."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from argosy.daemon.protocol import Entry, Followed, Refusal, Told, Unread, refusal_of
from argosy.errors import ArgosyError, UsageError
from argosy.operations.backup.options import BackupObserver, BackupProgress, BackupResult

_log = logging.getLogger(__name__)

MOST_ENTRIES_KEPT = 10_000
# Well below what one message may hold; an entry is a path and a reason.
_BYTES_AT_ONCE = 256 * 1024
_PATIENCE_SECONDS = 2.0
_MOST_RUNS_KEPT = 50


class Run:
    """A job from its submission on. Its own thread says things, the loop's thread reads them."""

    def __init__(self, name: str, work: Work) -> None:
        self.id = name
        self.job = ""
        self.ended: BackupResult | Refusal | None = None
        self._work = work
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._first = 0
        self._progress: BackupProgress | None = None
        self._version = 0
        self._changed: Callable[[], None] = lambda: None

    def observer(self) -> BackupObserver:
        """What the operation tells, it tells this run."""
        return BackupObserver(
            progress=self._show,
            message=lambda text: self._say(Told(text)),
            unread=lambda path, reason: self._say(Unread(path, reason)),
            stop_requested=self._stop.is_set,
            begun=self._begun,
        )

    def stop(self) -> None:
        """Stop it so that it can be resumed; one that has not begun never does."""
        self._stop.set()

    def carry_out(self) -> None:
        """Run the work to its end, whatever that is."""
        try:
            if self._stop.is_set():
                raise UsageError("the job was cancelled before it began", hint="Submit it again.")
            work, self._work = self._work, _nothing  # it holds a password
            self._end(work(self))
        except ArgosyError as error:
            self._end(refusal_of(error))
        except Exception as error:  # noqa: BLE001 - one job's bug must not end the others'
            _log.error("%s", traceback.format_exc())
            self._end(Refusal("ArgosyError", f"this is a bug in Argosy: {type(error).__name__}: {error}", ""))

    def look(self, after: int) -> tuple[int, Followed]:
        """A number that grows with each change, and what was said from entry ``after`` on."""
        with self._lock:
            skipped = max(0, after - self._first)
            entries = _first_of(list(self._entries)[skipped:])
            following = max(after, self._first) + len(entries)
            is_all = following == self._first + len(self._entries)
            ended = self.ended if is_all else None
            return self._version, Followed(self.id, self.job, following, entries, self._progress, ended)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this after each change, from any thread."""
        self._changed = changed

    def _begun(self, job: str) -> None:
        self.job = job
        self._touch()

    def _say(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            if len(self._entries) > MOST_ENTRIES_KEPT:
                self._entries.popleft()
                self._first += 1
        self._touch()

    def _show(self, progress: BackupProgress) -> None:
        self._progress = progress
        self._touch()

    def _end(self, ended: BackupResult | Refusal) -> None:
        with self._lock:
            self.ended = ended
        self._touch()

    def _touch(self) -> None:
        self._version += 1
        self._changed()


Work: TypeAlias = Callable[[Run], BackupResult]


class Runs:
    """The queue of runs, worked on by one thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._runs: dict[str, Run] = {}
        self._waiting: deque[Run] = deque()
        self._arrived = threading.Condition()
        self._closing = False
        self._changed = asyncio.Event()
        self.current: Run | None = None
        self._thread = threading.Thread(target=self._work, name="jobs")
        self._thread.start()

    def submit(self, name: str, work: Work) -> tuple[Run, int]:
        """Queue a job under a name of its own: its run, and how many are before it."""
        run = Run(name, work)
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
        found = [run for run in self._runs.values() if name and (run.id.startswith(name) or run.job.startswith(name))]
        if len(found) == 1:
            return found[0]
        words = f"{len(found)} jobs" if found else "no job"
        raise UsageError(f"the master knows {words} of the id {name!r}", hint="'argosy status --cluster' lists them.")

    async def follow(self, run: Run, after: int) -> Followed:
        """What the run has said from entry ``after`` on, as soon as there is something, or after a short while."""
        deadline = self._loop.time() + _PATIENCE_SECONDS
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
            self.current.carry_out()
            with self._arrived:
                self.current = None

    def _touched(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever would hear of it
            self._loop.call_soon_threadsafe(self._changed.set)

    def _forget_old(self) -> None:
        ended = [run for run in self._runs.values() if run.ended is not None]
        for run in ended[: max(0, len(self._runs) - _MOST_RUNS_KEPT)]:
            del self._runs[run.id]


def _nothing(_run: Run) -> BackupResult:
    raise AssertionError("a run is carried out once")


def _first_of(entries: list[Entry]) -> list[Entry]:
    """As many entries from the first one on as one message may hold."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.text) if isinstance(entry, Told) else len(entry.path) + len(entry.reason)
        if size > _BYTES_AT_ONCE and count:
            return entries[:count]
    return entries
