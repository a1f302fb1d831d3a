"""What workers say to the owner of the engine, in order, and not more of it than he can hear."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

import msgspec

from argosy.engine.interface import Event

# Beyond this a worker waits until it is heard.
_UNHEARD_MOST_BYTES = 1024 * 1024


class Ready(msgspec.Struct):
    """A worker made its handler."""

    worker: int


class Returned(msgspec.Struct):
    """``work()`` returned."""

    task_id: int


class Broken(msgspec.Struct):
    """A handler raised what ends the engine."""

    reason: str


class Woken(msgspec.Struct):
    """Somebody called ``wake``."""


Said = Event | Ready | Returned | Broken | Woken


class Line:
    """Thread-safe. The thread that makes it is the owner's, and never waits for room."""

    def __init__(self) -> None:
        # Its ``put`` may even be called by a signal handler that interrupts its ``get``.
        self._said: SimpleQueue[tuple[Said, int]] = SimpleQueue()
        self._unheard_bytes = 0
        self._heard = threading.Condition()
        self._owner = threading.get_ident()
        self._is_closed = False

    def say(self, said: Said, size_bytes: int = 0) -> None:
        """Tell the owner something that takes so much memory."""
        if size_bytes:
            with self._heard:
                if threading.get_ident() != self._owner:
                    self._heard.wait_for(lambda: self._has_room(size_bytes))
                self._unheard_bytes += size_bytes
        self._said.put((said, size_bytes))

    def hear(self, timeout_seconds: float) -> list[Said]:
        """What was said since the last call, waiting for the first of it."""
        heard: list[Said] = []
        size_bytes = 0
        try:
            while True:
                said, more_bytes = self._said.get(not heard, timeout_seconds)
                heard.append(said)
                size_bytes += more_bytes
        except Empty:
            pass
        if size_bytes:
            with self._heard:
                self._unheard_bytes -= size_bytes
                self._heard.notify_all()
        return heard

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._heard:
            self._is_closed = True
            self._heard.notify_all()

    def _has_room(self, size_bytes: int) -> bool:
        # A message above the limit goes alone.
        is_room = not self._unheard_bytes or self._unheard_bytes + size_bytes <= _UNHEARD_MOST_BYTES
        return is_room or self._is_closed
