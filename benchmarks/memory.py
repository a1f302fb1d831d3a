"""The memory of a process and all below it, from /proc.

PSS divides each shared page by the number of processes that share it, so that the sum over a tree counts a page once;
the resident sets of several Python processes count the interpreter several times.
"""

from __future__ import annotations

import os

_KIB = 1024


def tree_memory_bytes(process: int) -> int:
    """The sum of the PSS of ``process`` and its descendants; those that end meanwhile count as 0."""
    return sum(memory_bytes(member) for member in process_tree(process))


def process_tree(process: int) -> list[int]:
    """``process`` and its descendants."""
    tree = [process]
    for member in tree:  # grows while it is walked
        tree += _children(member)
    return tree


def memory_bytes(process: int) -> int:
    """The PSS of one process, or its resident set where the kernel does not tell; 0 if it has ended."""
    try:
        return _field(f"/proc/{process}/smaps_rollup", b"Pss:")
    except PermissionError:
        return _field(f"/proc/{process}/status", b"VmRSS:")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _children(process: int) -> list[int]:
    """The processes that any thread of ``process`` has started."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _field(path: str, name: bytes) -> int:
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * _KIB
    return 0
