"""Repairs a scene's repository in a process that dies at a crash point: HOME, what, the point's name, packs.

Or, as ``copy``, copies into it the repository in HOME/source-home.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from argosy.operations.copy.options import CopyObserver, CopyOptions
from argosy.operations.copy.run import run_copy
from argosy.operations.repair.index import IndexRepairOptions, run_repair_index
from argosy.operations.repair.options import RepairObserver
from argosy.operations.repair.packs import PacksRepairOptions, run_repair_packs
from argosy.operations.repair.snapshots import SnapshotsRepairOptions, run_repair_snapshots
from argosy.operations.snapshot_replacing import SnapshotListener
from tests.support.backups import Scene


def main() -> None:
    """Repair index, packs or snapshots, or copy."""
    home, what, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    access, observer = Scene(home).access(), RepairObserver()

    def crash_point(reached: str) -> None:
        if reached == name:
            os.kill(os.getpid(), signal.SIGKILL)

    if what == "index":
        run_repair_index(access, IndexRepairOptions(crash_point=crash_point), observer)
    elif what == "packs":
        pack_ids = [bytes.fromhex(text) for text in sys.argv[4:]]
        run_repair_packs(access, PacksRepairOptions(pack_ids, home, crash_point=crash_point), observer)
    elif what == "copy":
        source = Scene(home / "source-home").access()
        run_copy(source, access, CopyOptions(crash_point=crash_point), CopyObserver())
    else:
        options = SnapshotsRepairOptions(forget=True, crash_point=crash_point)
        run_repair_snapshots(access, options, observer, SnapshotListener())


if __name__ == "__main__":
    main()
