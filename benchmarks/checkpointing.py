"""Argosy, with the time of its checkpoints taken: ``python -P checkpointing.py FIGURES WORDS…`` runs ``argosy WORDS…``.

FIGURES becomes a JSON file: how many commits there were, and the processor's and the clock's seconds within them. The
clock's count where the coordinator waits for the disk; scan threads go on meanwhile.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from argosy.cli.main import main
from argosy.state.job_database import JobDatabase


def run(figures: Path, words: list[str]) -> None:
    """Run the program; its exit code leaves as SystemExit, as it does from the program itself."""
    spent = {"commits": 0.0, "cpu_seconds": 0.0, "wall_seconds": 0.0}
    commit = JobDatabase.commit

    def timed_commit(job: JobDatabase) -> bool:
        cpu, wall = time.thread_time(), time.perf_counter()
        try:
            return commit(job)
        finally:
            spent["commits"] += 1
            spent["cpu_seconds"] += time.thread_time() - cpu
            spent["wall_seconds"] += time.perf_counter() - wall

    JobDatabase.commit = timed_commit  # type: ignore[method-assign, assignment]
    sys.argv[1:] = words
    try:
        main()
    finally:
        figures.write_text(json.dumps(spent), encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
