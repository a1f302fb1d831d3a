"""A worker process: takes tasks from its parent, runs the handler, and ends when the parent does.

Threads: the main one calls the handler; one reads the parent's frames (so that a notice is heard during
work, and the parent's end is noticed at any time); one writes (outbox.py).
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from argosy import native
from argosy.engine.framing import Frame, FrameDecoder, Kind, decode_opening
from argosy.engine.interface import Handler, HandlerFactory, Task
from argosy.engine.outbox import Outbox
from argosy.errors import ArgosyError, EngineError

EXIT_ORPHANED = 3
EXIT_CRASHED = 4
_READ_BYTES = 256 * 1024
_ERROR_TEXT_CHARACTERS = 8192
_ROOM_FOR_DESCRIPTORS = 512


def run(descriptor: int) -> NoReturn:
    """Serve the parent at the other end of the socket; never returns."""
    faulthandler.enable()
    _make_room(descriptor)
    Worker(descriptor).run()
    _exit(0)


def _make_room(descriptor: int) -> None:
    """Have the system's table of this process's descriptors as large as it will be, while there is one thread.

    Once several share it, Linux waits for all processors whenever it doubles (fs/file.c, expand_fdtable): 10 to 50 ms.
    """
    with suppress(OSError):  # the limit may be lower
        os.close(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ROOM_FOR_DESCRIPTORS - 1))


class Worker:
    """One worker's parts: inbox, outbox and handler."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._inbox = Inbox()
        self._outbox = Outbox(descriptor, orphaned=_exit_orphaned)
        self._handler: Handler | None = None
        threading.Thread(target=self._read_frames, name="engine-reader", daemon=True).start()

    def run(self) -> None:
        """Make the handler, then work until the parent says CLOSE."""
        opening = decode_opening(self._inbox.take(None).payload)
        if not opening.native:
            native.turn_off("it is turned off")
        try:
            handler = load_factory(opening.handler)(opening.setup, self._outbox)
        except BaseException as error:  # noqa: BLE001 - the parent is told, then the process ends
            self._end(Kind.UNFIT, error)
        self._handler = handler
        self._outbox.send(Kind.READY)
        try:
            self._serve(handler, opening.idle_seconds)
            handler.close()
        except BaseException as error:  # noqa: BLE001 - as above
            self._end(Kind.CRASHED, error)
        self._outbox.drain()

    def _serve(self, handler: Handler, idle_seconds: float) -> None:
        is_idle_due = False
        while True:
            frame = self._inbox.take(idle_seconds if is_idle_due else None)
            if frame.kind == Kind.CLOSE:
                return
            if frame.kind == Kind.TASK:
                self._work(handler, Task(frame.task_id, frame.attempt, frame.payload))
                is_idle_due = True
            else:
                handler.idle()
                is_idle_due = False

    def _work(self, handler: Handler, task: Task) -> None:
        self._outbox.begin(task.id, task.attempt)
        try:
            handler.work(task)
        except Exception as error:  # noqa: BLE001 - whatever work() raises fails this task alone
            self._outbox.raised(task.id, error_text(error))
        self._outbox.send(Kind.RETURNED, b"", task.id, task.attempt)

    def _read_frames(self) -> None:
        decoder = FrameDecoder()
        try:
            while data := self._read():
                for frame in decoder.feed(data):
                    self._receive(frame)
        except BaseException as error:  # noqa: BLE001 - a worker that cannot hear must not go on
            self._end(Kind.CRASHED, error)
        _exit_orphaned()

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _READ_BYTES)
        except ConnectionError:
            return b""

    def _receive(self, frame: Frame) -> None:
        if frame.kind == Kind.NOTICE:
            # The parent sends notices only to workers that said READY, so there is a handler.
            assert self._handler is not None
            self._handler.notice(frame.payload)
        elif frame.kind == Kind.RECALL:
            if self._inbox.withdraw(frame.task_id, frame.attempt):
                self._outbox.send(Kind.GIVEN_BACK, b"", frame.task_id, frame.attempt)
        else:
            self._inbox.put(frame)

    def _end(self, kind: Kind, error: BaseException) -> NoReturn:
        self._outbox.send(kind, error_text(error))
        self._outbox.drain()
        _exit(EXIT_CRASHED)


class Inbox:
    """Frames that wait for the main thread; the parent's window bounds them. Thread-safe."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._arrived = threading.Condition()

    def put(self, frame: Frame) -> None:
        """Add a frame. CLOSE drops what waits and comes next."""
        with self._arrived:
            if frame.kind == Kind.CLOSE:
                self._frames.clear()
            self._frames.append(frame)
            self._arrived.notify()

    def take(self, idle_seconds: float | None) -> Frame:
        """The next frame; a FLUSH if none came within ``idle_seconds``."""
        with self._arrived:
            if self._arrived.wait_for(lambda: self._frames, idle_seconds):
                return self._frames.popleft()
            return Frame(Kind.FLUSH, 0, 0, b"")

    def withdraw(self, task_id: int, attempt: int) -> bool:
        """Remove a task that still waits; False if its work has begun."""
        with self._arrived:
            for position, frame in enumerate(self._frames):
                if frame[:3] == (Kind.TASK, task_id, attempt):
                    del self._frames[position]
                    return True
        return False


def load_factory(handler: str) -> HandlerFactory:
    """Import the factory named ``"package.module:callable"``."""
    module_name, separator, name = handler.partition(":")
    if not separator:
        raise EngineError(f"{handler!r} does not name a handler as package.module:callable")
    factory: HandlerFactory = getattr(import_module(module_name), name)
    return factory


def error_text(error: BaseException) -> bytes:
    """An error in bounded words: an ArgosyError's message and hint, or else its type, text and place."""
    if isinstance(error, ArgosyError):
        text = f"{error.message}. {error.hint}" if error.hint else error.message
    else:
        text = f"{type(error).__name__}: {error}{_place(error)}"
    return text[:_ERROR_TEXT_CHARACTERS].encode(errors="backslashreplace")


def _place(error: BaseException) -> str:
    traceback = error.__traceback__
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f" ({os.path.basename(code.co_filename)}:{traceback.tb_lineno} in {code.co_name})"


def _exit_orphaned() -> NoReturn:
    # The parent is gone, and with it whoever would hear of this work; the next master offers it again.
    os._exit(EXIT_ORPHANED)


def _exit(code: int) -> NoReturn:
    # Without the interpreter's own end, which would wait for threads (a storage library's, say) for ever.
    with suppress(OSError):  # the parent may have closed its end of the pipe
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
