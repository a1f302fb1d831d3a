"""Handlers for tests of the engines. A task's payload is a verb and its argument: ``b"echo hello"``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from argosy import native
from argosy.engine.framing import Kind
from argosy.engine.interface import Handler, Outlet, Task
from argosy.engine.outbox import Outbox
from argosy.errors import StorageDenied

SCRIPTED = f"{__name__}:make_scripted"


class Scripted:
    """Does what the verb of each task says; ``setup`` is the path of a file that ``close`` makes, if any."""

    def __init__(self, setup: bytes, outlet: Outlet) -> None:
        self._setup = setup
        self._outlet = outlet
        self._kept: list[int] = []
        self._notices: list[bytes] = []
        if setup == b"speak at once":
            outlet.report(b"at once")

    def work(self, task: Task) -> None:
        verb, _, argument = task.payload.partition(b" ")
        getattr(self, f"_do_{verb.decode()}")(task.id, argument)

    def notice(self, payload: bytes) -> None:
        if payload == b"raise":
            raise ValueError("the notice was refused")
        self._notices.append(payload)
        self._outlet.report(b"notice " + payload)

    def idle(self) -> None:
        if self._setup == b"raise when idle":
            raise ValueError("idle was refused")
        self._outlet.report(b"idle")
        self._release(b"idle")

    def close(self) -> None:
        if self._setup == b"raise when closed":
            raise ValueError("the close was refused")
        if self._setup.startswith(b"/"):
            Path(os.fsdecode(self._setup)).write_text(str(os.getpid()))

    def _release(self, payload: bytes) -> None:
        for task_id in self._kept:
            self._outlet.complete(task_id, payload)
        self._kept.clear()

    def _do_native(self, task_id: int, argument: bytes) -> None:
        del argument
        self._outlet.complete(task_id, b"wanted" if native.is_wanted() else b"turned off")

    def _do_echo(self, task_id: int, argument: bytes) -> None:
        self._outlet.complete(task_id, argument)

    def _do_setup(self, task_id: int, _argument: bytes) -> None:
        self._outlet.complete(task_id, self._setup)

    def _do_notices(self, task_id: int, _argument: bytes) -> None:
        self._outlet.complete(task_id, b",".join(self._notices))

    def _do_hold(self, task_id: int, _argument: bytes) -> None:
        self._kept.append(task_id)

    def _do_release(self, task_id: int, argument: bytes) -> None:
        self._release(argument)
        self._outlet.complete(task_id, argument)

    def _do_gate(self, task_id: int, argument: bytes) -> None:
        """Wait until somebody opens the FIFO for writing, and closes it."""
        Path(os.fsdecode(argument)).read_bytes()
        self._outlet.complete(task_id, b"gate")

    def _do_ponder(self, task_id: int, argument: bytes) -> None:
        """Wait like ``gate``, but complete only when idle."""
        Path(os.fsdecode(argument)).read_bytes()
        self._kept.append(task_id)

    def _do_busy(self, _task_id: int, _argument: bytes) -> NoReturn:
        """Compute for ever without a system call."""
        while True:
            pass

    def _do_raise(self, _task_id: int, argument: bytes) -> None:
        raise ValueError(argument.decode())

    def _do_refuse(self, task_id: int, argument: bytes) -> None:
        self._outlet.fail(task_id, argument)

    def _do_twice(self, task_id: int, _argument: bytes) -> None:
        """Settle one task in every way, then say more about it."""
        self._outlet.complete(task_id, b"first")
        self._outlet.complete(task_id, b"second")
        self._outlet.fail(task_id, b"third")
        self._outlet.progress(task_id, b"fourth")
        raise ValueError("fifth")

    def _do_stranger(self, task_id: int, argument: bytes) -> None:
        """Speak of a task that the worker was not given."""
        self._outlet.progress(int(argument), b"not mine")
        self._outlet.complete(int(argument), b"not mine")
        self._outlet.complete(task_id, b"mine")

    def _do_count(self, task_id: int, argument: bytes) -> None:
        """Progress and reports in turn, numbered."""
        for number in range(int(argument)):
            self._outlet.progress(task_id, b"%d" % number)
            self._outlet.report(b"%d" % number)
        self._outlet.complete(task_id, argument)

    def _do_later(self, task_id: int, argument: bytes) -> None:
        """Complete from another thread, after work() has returned or not."""
        threading.Thread(target=self._outlet.complete, args=(task_id, argument)).start()

    def _do_big(self, task_id: int, argument: bytes) -> None:
        self._outlet.complete(task_id, bytes(int(argument)))

    def _do_length(self, task_id: int, argument: bytes) -> None:
        self._outlet.complete(task_id, b"%d" % len(argument))

    def _do_pour(self, task_id: int, argument: bytes) -> None:
        """Many MiB of reports."""
        for _ in range(int(argument)):
            self._outlet.report(bytes(1024 * 1024))
        self._outlet.complete(task_id, b"poured")

    def _do_die(self, _task_id: int, argument: bytes) -> None:
        os.kill(os.getpid(), int(argument))
        signal.pause()

    def _do_exit(self, _task_id: int, argument: bytes) -> None:
        sys.exit(int(argument))

    def _do_print(self, task_id: int, argument: bytes) -> None:
        print(argument.decode(), flush=True)  # noqa: T201 - what a careless library does
        self._outlet.complete(task_id, b"printed")


class Forger(Scripted):
    """Sends frames of the local engine for each task in an order that only a race between threads makes."""

    def work(self, task: Task) -> None:
        outbox = self._outlet
        assert isinstance(outbox, Outbox)
        outbox.complete(task.id, b"done")
        outbox.send(Kind.PROGRESS, b"late", task.id, task.attempt)
        outbox.send(Kind.COMPLETE, b"late", task.id, task.attempt)
        outbox.send(Kind.FAILED, b"late", task.id, task.attempt)
        if task.payload == b"and then nonsense":
            outbox.send(Kind.TAKEN, b"", task.id + 1, task.attempt)


def make_forger(setup: bytes, outlet: Outlet) -> Handler:
    return Forger(setup, outlet)


def make_scripted(setup: bytes, outlet: Outlet) -> Handler:
    return Scripted(setup, outlet)


def make_refused(_setup: bytes, _outlet: Outlet) -> Handler:
    raise StorageDenied("the store refused the key of bucket/x", hint="Check the access key.")


def make_broken(_setup: bytes, _outlet: Outlet) -> Handler:
    raise KeyError("prefix")


def make_dying(_setup: bytes, _outlet: Outlet) -> Handler:
    """Print, then die in the middle of the start."""
    os.write(2, b"cannot map the library\n")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def make_dying_second(setup: bytes, outlet: Outlet) -> Handler:
    """Die in the middle of the start, except for the first worker that makes the file named by ``setup``."""
    try:
        os.close(os.open(os.fsdecode(setup), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        os.kill(os.getpid(), signal.SIGKILL)
    return Scripted(b"", outlet)
