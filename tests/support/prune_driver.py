"""Prunes the repository of a scene in a process that dies at a crash point: HOME, the point's name, its number.

With a further argument it is another signal than SIGKILL that it sends itself. It waits for another's lock.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import run_prune
from tests.support.backups import Scene
from tests.support.pruned import ALL_UNUSED, PACK_BYTES


def main() -> None:
    """Prune all that is unused."""
    home, name, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    number = int(sys.argv[4]) if len(sys.argv) > 4 else signal.SIGKILL
    left = [nth]

    def crash_point(reached: str) -> None:
        left[0] -= reached == name
        if reached == name and not left[0]:
            os.kill(os.getpid(), number)

    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES, crash_point=crash_point)
    access = msgspec.structs.replace(Scene(home).access(), retry_lock_seconds=300.0)
    run_prune(access, options, PruneObserver())


if __name__ == "__main__":
    main()
