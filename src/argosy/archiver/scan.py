"""The scan: threads that take directories from the frontier, list them, compare them and fill batches.

``Scanner`` owns the threads and how many of them work; ``directory_scan`` says what one directory comes to.
"""

from __future__ import annotations

import threading
import time

from argosy.archiver.controller import ScanReading, ThreadController
from argosy.archiver.directory_scan import DirectoryScanner
from argosy.archiver.open_batch import BatchLimits, OpenBatch
from argosy.archiver.scan_context import ScanContext

_TICK_SECONDS = 1.0
_IDLE_SECONDS = 0.02
_STARVED_BATCH_SECONDS = 0.1

QUICK_THREADS = 2
"""Threads to begin with where the kernel compares, without the interpreter's lock; else one fills a processor."""


class Scanner:
    """Runs the scan of a job in threads of this process."""

    def __init__(
        self,
        context: ScanContext,
        limits: BatchLimits,
        *,
        threads: int | None,
        most_threads: int,
        workers: int,
    ) -> None:
        self._context = context
        self._limits = limits
        self._fixed = threads
        self._workers = workers
        first = 1 if context.new_quick_listing is None else min(QUICK_THREADS, most_threads)
        self._controller = ThreadController(most_threads, first)
        self._target = threads or first
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._mutex = threading.Lock()
        self._alive = 0
        self._entries_before = 0
        self._next_tick = time.monotonic() + _TICK_SECONDS
        self.error: BaseException | None = None

    def start(self) -> None:
        """Start the threads, or start them again where all have ended; returns at once."""
        self._threads = []
        for _ in range(self._target):
            self._start_thread()

    def tick(self) -> None:
        """Let the controller look at the queue; called often by the coordinator, acts once a second."""
        if self._fixed is not None or time.monotonic() < self._next_tick or self.done:
            return
        self._next_tick = time.monotonic() + _TICK_SECONDS
        ledger, entries = self._context.ledger, self._context.entries
        reading = ScanReading(
            ledger.queue.waiting, self._workers, entries - self._entries_before, ledger.frontier.pending
        )
        self._entries_before = entries
        self._target = self._controller.decide(reading)
        while len(self._threads) < self._target:
            self._start_thread()

    def stop(self) -> None:
        """Stop after the directories being listed now, without sealing what is open; waits for the threads."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def done(self) -> bool:
        """Whether every thread has ended (with ``error`` set if one failed)."""
        with self._mutex:
            return bool(self._threads) and self._alive == 0

    @property
    def entries(self) -> int:
        """Entries looked at in this run."""
        return self._context.entries

    @property
    def left_out(self) -> tuple[int, int]:
        """(entries that rules left out, the storage's own snapshot directories that were skipped)."""
        return self._context.excluded, self._context.snapshot_directories

    @property
    def active_threads(self) -> int:
        """Threads that are to work now."""
        return min(self._target, self._alive)

    def _start_thread(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._run, args=(number,), name=f"scan-{number}", daemon=True)
        with self._mutex:
            self._alive += 1
        self._threads.append(thread)
        thread.start()

    def _run(self, number: int) -> None:
        try:
            _ScanThread(number, self._context, self._limits, self._stopping, lambda: self._target).run()
        except BaseException as error:  # noqa: BLE001 - handed to the coordinator, which raises it
            self.error = self.error or error
            self._stopping.set()
        finally:
            with self._mutex:
                self._alive -= 1
            self._context.ledger.map.thread_ended(number)
            self._context.ledger.wake()


class _ScanThread:
    """One thread's loop."""

    def __init__(
        self, number: int, context: ScanContext, limits: BatchLimits, stopping: threading.Event, target: object
    ) -> None:
        assert callable(target)
        self._number = number
        self._context = context
        self._ledger = context.ledger
        self._stopping = stopping
        self._target = target
        self._limits = limits
        self._scanner = DirectoryScanner(context, self._new_batch, number)
        self._opened = time.monotonic()

    def run(self) -> None:
        """Until the frontier is empty or the scan is stopped."""
        try:
            self._work()
        finally:
            self._scanner.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if self._number >= self._target():
                self._scanner.seal()
                if self._ledger.frontier.empty:
                    return
                self._stopping.wait(_IDLE_SECONDS)
                continue
            directory = self._ledger.frontier.take(self._number)
            if directory is not None:
                self._scanner.scan(directory)
                self._seal_for_the_starving()
            elif not self._wait_for_more():
                return

    def _wait_for_more(self) -> bool:
        """Nothing is pending: other threads may still find directories. False once the scan has ended."""
        if not self._scanner.batch.empty:
            self._scanner.seal()
            return True
        if self._ledger.frontier.empty:
            return False
        self._stopping.wait(_IDLE_SECONDS)
        return True

    def _seal_for_the_starving(self) -> None:
        """A slow source fills batches slowly: do not let workers wait for a full one.

        Nor does a scan that finds little to upload: its first batch is sealed as soon as it holds something, so that a
        worker starts beside the scan and is ready when the rest comes.
        """
        batch = self._scanner.batch
        at_once = self._scanner.quick is not None and self._ledger.queue.is_fresh
        if batch.empty or (not at_once and time.monotonic() - self._opened < _STARVED_BATCH_SECONDS):
            return
        if self._ledger.queue.waiting == 0:
            self._scanner.seal()
        self._opened = time.monotonic()

    def _new_batch(self) -> OpenBatch:
        self._opened = time.monotonic()
        return OpenBatch(self._limits)
