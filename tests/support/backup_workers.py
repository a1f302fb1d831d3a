"""Workers with faults: what the source does to them while they read, and limits made small.

The faults stand in the environment variable WORKER_FAULTS, as JSON: ``limits`` as in ``backup_driver.py``; ``power`` is
a disk that forgets what is not synced below ``home``; ``unsynced`` lets the store sync nothing; ``disturb`` maps the
name of a file to what happens to it while it is read, once or as [what, how often]; ``marks`` is a directory that
counts:

    vanish      it is removed before it is opened
    replace     another file takes its place before it is opened
    directory   a directory takes its place before it is opened
    symlink     a symbolic link takes its place before it is opened
    deny        it can no longer be read
    grow        100 bytes are appended after its size was looked at
    shrink      it is cut to half after its size was looked at
    empty       it is cut to nothing after its size was looked at
    stale       opening it answers ESTALE, as a share does that goes away
    kill        the worker dies
"""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from argosy.archiver import batch_work, fetching, file_reader
from argosy.archiver.pipeline import BackupWorker, backup_worker
from argosy.engine.interface import Outlet
from argosy.native.reading import NativeReading
from argosy.storage import local
from tests.support.power_loss import forget_what_is_not_synced

FAULTY_WORKER = f"{__name__}:faulty_worker"
WORKER_FAULTS = "ARGOSY_TEST_WORKER_FAULTS"

_AFTER_OPENING = frozenset({"grow", "shrink", "empty"})
# What the kernel meets by itself once it has happened, just before it reads; else the file is left to Python's reading,
# because the fault stands between its steps. (``tests/contract/test_small_files.py`` has such faults for the kernel.)
_SHOWN_TO_THE_KERNEL = frozenset({"vanish", "replace", "directory", "symlink"})


def faulty_worker(setup: bytes, outlet: Outlet) -> BackupWorker:
    """The engine's factory of workers with the faults that the environment names."""
    faults = json.loads(os.environ[WORKER_FAULTS])
    for place, value in faults.get("limits", {}).items():
        module_name, _, constant = place.rpartition(".")
        setattr(import_module(f"argosy.{module_name}"), constant, value)
    if faults.get("power"):
        forget_what_is_not_synced(Path(faults["power"]), Path(faults["home"]))
    if faults.get("unsynced"):
        leave_unsynced()
    if faults.get("disturb"):
        Disturbance(faults["disturb"], Path(faults["marks"])).begin()
    return backup_worker(setup, outlet)


def leave_unsynced() -> None:
    """Let the local store promise durability without giving it."""
    local._sync = lambda fd: None  # noqa: ARG005 - named as the function that it replaces


class Disturbance:
    """Does something to a file at the moment when it is read; ``marks`` counts across workers and runs."""

    def __init__(self, plans: Mapping[str, Any], marks: Path) -> None:
        self._plans = {os.fsencode(name): plan for name, plan in plans.items()}
        self._marks = marks

    def begin(self) -> None:
        """Stand in front of the functions that open and read."""
        for module in (fetching, batch_work):
            module.open_file = self._before_opening(module.open_file)  # type: ignore[attr-defined]  # a test double
        fetching.read_small = self._before_reading(fetching.read_small)  # type: ignore[attr-defined]  # the same
        file_reader.read_into = self._before_reading(file_reader.read_into)  # type: ignore[attr-defined]  # the same
        NativeReading.read = self._before_the_kernel(NativeReading.read)  # type: ignore[method-assign]  # the same

    def _before_the_kernel(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def read(reading: Any, dir_fd: int, names: list[bytes], modes: list[int], *rest: Any, **options: Any) -> Any:
            shown = list(modes)
            for index, name in enumerate(names):
                plan = self._plans.get(name)
                if isinstance(plan, str) and plan in _SHOWN_TO_THE_KERNEL:
                    if self._due(name, after_opening=False) is not None:
                        act(plan, os.readlink(b"/proc/self/fd/%d" % dir_fd) + b"/" + name)
                elif plan is not None:
                    shown[index] = 0  # no regular file: the kernel passes over it
            return function(reading, dir_fd, names, shown, *rest, **options)

        return read

    def _before_opening(self, function: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
        def opened(dir_fd: int, name: bytes) -> int:
            plan = self._due(name, after_opening=False)
            if plan is not None:
                act(plan, os.readlink(b"/proc/self/fd/%d" % dir_fd) + b"/" + name)
            return function(dir_fd, name)

        return opened

    def _before_reading(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def read(fd: int, *rest: Any) -> Any:
            path = os.readlink(b"/proc/self/fd/%d" % fd)
            plan = self._due(os.path.basename(path), after_opening=True)
            if plan is not None:
                act(plan, path)
            return function(fd, *rest)

        return read

    def _due(self, name: bytes, *, after_opening: bool) -> str | None:
        plan = self._plans.get(name)
        if plan is None:
            return None
        kind, times = (plan, 1) if isinstance(plan, str) else plan
        if (kind in _AFTER_OPENING) != after_opening:
            return None
        for number in range(times):
            try:
                os.close(os.open(self._marks / f"{name.hex()}-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            return str(kind)
        return None


def act(plan: str, path: bytes) -> None:
    """Let it happen."""
    match plan:
        case "vanish":
            os.unlink(path)
        case "replace":
            Path(os.fsdecode(path + b".new")).write_bytes(b"the other file")
            os.rename(path + b".new", path)
        case "directory":
            os.unlink(path)
            os.mkdir(path)
            Path(os.fsdecode(path), "inner").write_bytes(b"inside")
        case "symlink":
            os.symlink("elsewhere", path + b".new")
            os.rename(path + b".new", path)  # at once: another worker may be about to open it
        case "deny":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        case "stale":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        case "grow":
            with open(path, "ab") as file:
                file.write(b"x" * 100)
        case "shrink":
            os.truncate(path, os.stat(path).st_size // 2)
        case "empty":
            os.truncate(path, 0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            raise AssertionError(plan)
