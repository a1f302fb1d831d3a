"""A worker's way out: a bounded queue of frames that one thread writes to the parent.

The queue lets a worker go on while the parent is busy, and joins small frames into one write. Beyond
``LIMIT_BYTES`` a sender waits, so that a parent that does not read costs a bounded amount of memory.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from argosy.engine.framing import Kind, encode_frame

LIMIT_BYTES = 8 * 1024 * 1024
_WRITE_BYTES = 256 * 1024


class Outbox:
    """The Outlet of a worker's handler, and the sender of the worker's own messages. Thread-safe."""

    def __init__(self, descriptor: int, orphaned: Callable[[], None]) -> None:
        """``orphaned`` is called, from the writing thread, when the parent is gone."""
        self._descriptor = descriptor
        self._orphaned = orphaned
        self._frames: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._drained = threading.Condition(self._lock)
        self._held: dict[int, int] = {}
        threading.Thread(target=self._write_frames, name="engine-outbox", daemon=True).start()

    def report(self, payload: bytes) -> None:
        """See ``Outlet.report``."""
        self.send(Kind.REPORT, payload)

    def progress(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.progress``."""
        attempt = self._held.get(task_id)
        if attempt is not None:
            self.send(Kind.PROGRESS, payload, task_id, attempt)

    def complete(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.complete``."""
        self._settle(Kind.COMPLETE, task_id, payload)

    def fail(self, task_id: int, payload: bytes) -> None:
        """See ``Outlet.fail``."""
        self._settle(Kind.FAILED, task_id, payload)

    def begin(self, task_id: int, attempt: int) -> None:
        """From here on the handler may speak of this attempt.

        Returns once the kernel has the news: a worker that dies of this task must not leave the one before accused.
        """
        self._held[task_id] = attempt
        self.send(Kind.TAKEN, b"", task_id, attempt)
        self.drain()

    def raised(self, task_id: int, text: bytes) -> None:
        """``work()`` raised: the attempt failed, unless the handler had settled it before."""
        self._settle(Kind.RAISED, task_id, text)

    def send(self, kind: Kind, payload: bytes = b"", task_id: int = 0, attempt: int = 0) -> None:
        """Queue one frame; waits while too much is queued."""
        frame = encode_frame(kind, payload, task_id, attempt)
        with self._lock:
            # A frame above the limit goes alone.
            while self._waiting_bytes and self._waiting_bytes + len(frame) > LIMIT_BYTES:
                self._drained.wait()
            self._frames.append(frame)
            self._waiting_bytes += len(frame)
            if len(self._frames) == 1:
                self._filled.notify()

    def drain(self) -> None:
        """Wait until all that was sent is with the kernel."""
        with self._lock:
            while self._waiting_bytes:
                self._drained.wait()

    def _settle(self, kind: Kind, task_id: int, payload: bytes) -> None:
        # dict.pop is atomic: of two threads that settle a task one finds it.
        attempt = self._held.pop(task_id, None)
        if attempt is not None:
            self.send(kind, payload, task_id, attempt)

    def _write_frames(self) -> None:
        try:
            while True:
                batch = self._next_batch()
                view = memoryview(batch)
                while view:
                    view = view[os.write(self._descriptor, view) :]
                with self._lock:
                    self._waiting_bytes -= len(batch)
                    self._drained.notify_all()
        except OSError:
            self._orphaned()

    def _next_batch(self) -> bytes:
        with self._lock:
            while not self._frames:
                self._filled.wait()
            frames = [self._frames.popleft()]
            size = len(frames[0])
            while self._frames and size + len(self._frames[0]) <= _WRITE_BYTES:
                frames.append(self._frames.popleft())
                size += len(frames[-1])
        return frames[0] if len(frames) == 1 else b"".join(frames)
