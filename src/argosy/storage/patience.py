"""How long a failing request is repeated, and how it is waited for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from argosy.errors import ArgosyError, StorageUnavailable

T = TypeVar("T")

# A server that never answered is more likely a wrong address than a passing fault: the user waits for a word.
FIRST_CONTACT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0


class Patience:
    """Repeats requests that fail for a passing reason, with doubled and jittered pauses, for a bounded time.

    ``limit_seconds`` counts from a request's start. Until the store's first answer (a refusal is one), the
    limit is FIRST_CONTACT_SECONDS. An attempt under way is never cut: it has its own time-out. Safe for
    threads.
    """

    def __init__(
        self,
        limit_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._pause = pause
        self._answered = False
        self._closed = threading.Event()

    def run(self, attempt: Callable[[], T]) -> T:
        """The attempt's result. It raises StorageUnavailable to be repeated; other errors pass through."""
        started = self._clock()
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                result = attempt()
            except StorageUnavailable:
                jittered = pause * random.uniform(0.5, 1.0)
                too_late = self._clock() - started + jittered > self._limit()
                if too_late or self._pause(self._closed, jittered):
                    raise
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except ArgosyError:
                self._answered = True
                raise
            else:
                self._answered = True
                return result

    def close(self) -> None:
        """End all pauses: what waits fails at once."""
        self._closed.set()

    def _limit(self) -> float:
        return self._limit_seconds if self._answered else min(FIRST_CONTACT_SECONDS, self._limit_seconds)


def interruptible(call: Callable[[], T]) -> T:
    """Run a blocking native call so that Ctrl-C ends the wait for it.

    Python delivers signals to the main thread between its own instructions, so a native call there would
    hold back even a second Ctrl-C until its time-out. The main thread therefore waits on a lock (which a
    signal interrupts) while another makes the call (0.1 ms); an abandoned call ends with its time-out or
    the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            errors.append(error)

    thread = threading.Thread(target=run, name="storage request", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
