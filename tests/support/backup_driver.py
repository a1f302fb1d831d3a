"""Runs one backup as a process that tests may kill: reads an order from stdin, a JSON line, and says what it came to.

The order: ``home`` (of the scene), ``paths``, ``options``; ``cluster``: this process is a master, and a proxy beside;
``crash`` and ``nth`` kill the process group when that crash point is reached for the nth time; ``after_directories``
holds the scan after so many directories, and kills with the next commit; ``limits`` sets module constants,
``{"archiver.trees.LARGE_TREE_BYTES": 1}``; ``faults`` go to the workers (``backup_workers.py``); ``power`` is the
directory of a disk that forgets (``power_loss.py``).

A result says how much processor time the process had used when it came to write the snapshot, and how often it had
passed each crash point by then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from argosy.archiver.directory_scan import DirectoryScanner
from argosy.engine.local import LocalEngine
from argosy.errors import ArgosyError
from argosy.operations.backup.options import BackupResult
from argosy.operations.jobs import open_history
from argosy.state.frontier import ScanDirectory
from tests.support.backup_workers import FAULTY_WORKER, leave_unsynced
from tests.support.backups import WORKER_FAULTS, Scene
from tests.support.power_loss import forget_what_is_not_synced


def main() -> int:
    """Run the backup; the exit code is the one that the command would have."""
    order = json.loads(sys.stdin.readline())
    scene = Scene(Path(order["home"]))
    set_limits(order.get("limits", {}))
    faults = order.get("faults", {})
    use_workers({**faults, **{key: order[key] for key in ("home", "limits", "power") if key in order}})
    if faults.get("unsynced"):
        leave_unsynced()
    if order.get("power"):
        forget_what_is_not_synced(Path(order["power"]), scene.home)
    log = ScanLog(scene.home / "scanned", order.get("after_directories"))
    options = dict(order["options"])
    passed = Passed()
    options["crash_point"] = passed.reached
    if "crash" in order:
        options["crash_point"] = dying_at(order["crash"], order.get("nth", 1))
    if "after_directories" in order:
        options["crash_point"] = log.die_while_held
    try:
        with machines_for(scene, cluster=order["cluster"]):
            result = scene.backup(*map(Path, order["paths"]), **options)
    except ArgosyError as error:
        say({"error": type(error).__name__, "message": error.message, "hint": error.hint, **heard(scene)})
        return error.exit_code
    say(
        {
            **described(result, scene.state),
            **heard(scene),
            "before_snapshot": passed.processor_seconds,
            "passed": passed.points,
        }
    )
    return result.exit_code


@contextmanager
def machines_for(scene: Scene, *, cluster: bool) -> Iterator[None]:
    """Let the scene's backup run on workers of this process, or as a cluster's master, with a proxy."""
    if not cluster:
        yield
        return
    from tests.support.clustered import clustered_here  # only then: it imports what takes a moment

    with clustered_here(scene) as scene.machines:
        yield


class Passed:
    """A crash point that counts how often each was passed, and the processor time, until the snapshot is written."""

    def __init__(self) -> None:
        self.processor_seconds = 0.0
        self.points: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        """Count, and look at the clock."""
        if not self.processor_seconds:
            self.points[point] += 1
        if point == "before the snapshot is put":
            self.processor_seconds = time.process_time()


def dying_at(name: str, nth: int) -> Callable[[str], None]:
    """A crash point that kills the whole process group when it is reached for the nth time."""
    left = nth

    def reached(point: str) -> None:
        nonlocal left
        left -= point == name
        if point == name and not left:
            os.killpg(0, signal.SIGKILL)

    return reached


def set_limits(limits: Mapping[str, int]) -> None:
    """Set module constants; a constant that no module has is a mistake of the test."""
    for place, value in limits.items():
        module_name, _, constant = place.rpartition(".")
        module = import_module(f"argosy.{module_name}")
        assert hasattr(module, constant), place
        setattr(module, constant, value)


def use_workers(faults: Mapping[str, Any]) -> None:
    """Let the engine start workers that have these faults."""
    os.environ[WORKER_FAULTS] = json.dumps(faults)
    start = LocalEngine.start

    def start_faulty(self: LocalEngine, setup: bytes, handler: str) -> None:  # noqa: ARG001 - replaced by ours
        start(self, setup, FAULTY_WORKER)

    LocalEngine.start = start_faulty  # type: ignore[method-assign]  # a process of its own, thrown away after


class ScanLog:
    """Appends the path of each directory that is listed to a file that survives this process.

    With ``most`` the scan is held once it has listed so many directories.
    """

    def __init__(self, path: Path, most: int | None) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._left = most
        self._mutex = threading.Lock()
        self._held = threading.Event()
        self._scan = DirectoryScanner.scan
        log = self
        DirectoryScanner.scan = lambda self, directory: log.note(self, directory)  # type: ignore[method-assign]  # ours

    def note(self, scanner: DirectoryScanner, directory: ScanDirectory) -> None:
        """Write it down, then let it be scanned, or wait for the end."""
        with self._mutex:
            held = self._left == 0
            if self._left:
                self._left -= 1
        if held:
            self._held.set()
            threading.Event().wait()
        os.write(self._fd, json.dumps(os.fsdecode(directory.path)).encode("ascii") + b"\n")
        self._scan(scanner, directory)

    def die_while_held(self, point: str) -> None:
        """A crash point: kills the whole process group once the scan is held."""
        if point == "after a commit" and self._held.is_set():
            os.killpg(0, signal.SIGKILL)


def described(result: BackupResult, state: Path) -> dict[str, Any]:
    """A result as JSON takes it, with the job's log."""
    job = open_history(state).find(result.job_id)
    logged = [] if job is None else job.log
    return {
        "tree": result.tree_id.hex(),
        "snapshot": None if result.snapshot_id is None else result.snapshot_id.hex(),
        "job": result.job_id,
        "counters": result.counters,
        "unread": result.unread,
        "resumed": result.resumed,
        "log": [text for _, text in logged],
    }


def heard(scene: Scene) -> dict[str, Any]:
    """What the observer was told."""
    return {
        "messages": scene.heard.messages,
        "unread_entries": [(os.fsdecode(path), reason) for path, reason in scene.heard.unread],
    }


def say(document: Mapping[str, Any]) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
