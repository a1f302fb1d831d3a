"""Threads that build trees while the scan and the workers go on.

To merge, hash, compress and seal a tree needs no interpreter where the native kernel does it. With small trees one
thread does as much as several: they would pass the interpreter to each other more often than they work without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from argosy.state.assemblies import Assemblies

MOST_THREADS = 4
"""More would wait for the interpreter, which they need for a tenth of their time and more."""

LEAST_SHARED_BYTES = 100_000
"""Of a tree: its 300 entries or so are a quarter of a millisecond's work without the interpreter."""


class TreeThreads:
    """Call ``build`` for each directory that becomes ready; it returns how long the tree is.

    One thread works at first, all of them from the first tree of ``LEAST_SHARED_BYTES`` on. ``error`` is the first
    failure; ``wake`` tells of it.
    """

    def __init__(
        self, assemblies: Assemblies, build: Callable[[int], int], wake: Callable[[], None], *, threads: int
    ) -> None:
        self._assemblies = assemblies
        self._build = build
        self._wake = wake
        self._stopping = False
        # Set once the threads but for the first are to work, or to end.
        self._others_called = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"trees-{number}", daemon=True)
            for number in range(min(threads, MOST_THREADS))
        ]
        self.error: BaseException | None = None

    def start(self) -> None:
        """Start them; returns at once."""
        for thread in self._threads:
            thread.start()

    @property
    def is_stopping(self) -> bool:
        """Whether no other tree will be begun."""
        return self._stopping

    def stop(self) -> None:
        """Stop after the trees that are being built; waits for the threads."""
        with self._assemblies.became_ready:
            self._stopping = True
            self._assemblies.became_ready.notify_all()
        self._others_called.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        try:
            if number:
                self._others_called.wait()
            while (directory_id := self._next()) is not None:
                if self._build(directory_id) >= LEAST_SHARED_BYTES:
                    self._others_called.set()
        except BaseException as error:  # noqa: BLE001 - handed to the coordinator, which raises it
            self.error = self.error or error
            self._wake()

    def _next(self) -> int | None:
        ready, became_ready = self._assemblies.ready, self._assemblies.became_ready
        with became_ready:
            became_ready.wait_for(lambda: self._stopping or ready)
            return None if self._stopping else ready.popleft()
