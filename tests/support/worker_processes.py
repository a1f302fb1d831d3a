"""Finds the worker processes below a process: its nursery's children (engine/nursery.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

WORKER, NURSERY = "argosy-worker", "argosy-nursery"


def workers_of(pid: int | str = "self") -> list[int]:
    """The pids of a process's workers, those of its children's included."""
    return [below for below in _descendants(pid) if is_worker(below)]


def nurseries_of(pid: int | str = "self") -> list[int]:
    """The pids of the processes that fork its workers."""
    return [below for below in _descendants(pid) if _name(below) == NURSERY]


def is_worker(pid: int) -> bool:
    """Whether a process is a worker."""
    return _name(pid) == WORKER


def _descendants(pid: int | str) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (thread / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in map(int, children):
            yield child
            yield from _descendants(child)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
