"""The working folder: where it lies, whether it has room, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY_FOLDER = Path("/dev/shm")
# Of the large files both repositories lie there beside the source, later beside what is restored.
FULL_SCALE_BYTES = 5_500_000_000
LEAST_BYTES = 300_000_000
# Left to the programs that are measured when the working folder itself is memory.
SPARE_MEMORY_BYTES = 2_000_000_000


class NoRoom(Exception):
    """The working folder has too little room."""


def bytes_needed(scale: float) -> int:
    """How much room a run takes at most."""
    return max(LEAST_BYTES, int(FULL_SCALE_BYTES * scale))


@contextlib.contextmanager
def workplace(chosen: Path | None, scale: float) -> Iterator[Path]:
    """A new folder, in ``chosen``, or else in memory if there is room, or else among temporary files.

    It is removed at the end, whatever happens. NoRoom if there is too little.
    """
    needed = bytes_needed(scale)
    parent = chosen or (MEMORY_FOLDER if _memory_has_room(needed) else Path(tempfile.gettempdir()))
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise NoRoom(
            f"{parent} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed: "
            "name another with --directory, or take less data with --scale"
        )
    directory = Path(tempfile.mkdtemp(prefix="argosy-benchmark-", dir=parent))
    try:
        yield directory
    finally:
        # Errors are ignored so that one odd file does not keep the rest from being removed.
        shutil.rmtree(directory, ignore_errors=True)


def file_system(directory: Path) -> str:
    """The type of the file system that a folder lies on, such as tmpfs or ext4."""
    found = ("", "unknown")
    path = os.path.realpath(directory)
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, mount, kind, *_ = line.split(" ")
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]


def _memory_has_room(needed: int) -> bool:
    if not MEMORY_FOLDER.is_dir() or not os.access(MEMORY_FOLDER, os.W_OK):
        return False
    available = 0
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    return min(shutil.disk_usage(MEMORY_FOLDER).free, available - SPARE_MEMORY_BYTES) >= needed
