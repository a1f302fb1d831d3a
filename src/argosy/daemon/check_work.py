"""A check as a master runs it: its members look at trees and read packs."""

from __future__ import annotations

from typing import cast

import msgspec

from argosy.daemon.kinds import CHECK
from argosy.daemon.protocol import CheckOrder, Request
from argosy.daemon.runs import Run
from argosy.daemon.sight import Sight
from argosy.daemon.work import Ending, RecordedWork, Surroundings
from argosy.operations.check.options import CheckObserver, CheckResult, Problem
from argosy.operations.check.run import run_check


class CheckWork(RecordedWork):
    """See ``JobWork``."""

    kind = CHECK

    def __init__(self, request: Request, order: CheckOrder, surroundings: Surroundings) -> None:
        super().__init__(request, surroundings)
        self._options = order.options

    @property
    def paths(self) -> list[bytes]:
        """There are none: it is the repository that is looked at."""
        return []

    @property
    def words(self) -> str:
        """What is done, in words."""
        return f"a check of {self.location}"

    def look(self) -> Sight:
        """The repository's locks."""
        return Sight([], self._locks())

    def _operate(self, run: Run) -> CheckResult:
        observer = self._observer(run)
        self._remove_former_lock(run, observer.message)
        options = msgspec.structs.replace(self._options, workers=self._surroundings.workers())
        around = self._surroundings
        return run_check(
            self._access(run), options, observer, state_directory=around.state_directory, make_engine=around.make_engine
        )

    def _observer(self, run: Run) -> CheckObserver:
        """What the operation tells: followers hear it, and the diary keeps some of it."""
        told = cast("CheckObserver", run.observer())

        def message(text: str) -> None:
            self.diary.note(text)
            told.message(text)

        def problem(found: Problem) -> None:
            self.diary.fault(found.what, found.reason)
            told.problem(found)

        return msgspec.structs.replace(told, message=message, problem=problem)

    def _ending(self, result: CheckResult) -> Ending:
        counters = {
            "snapshots": result.snapshots,
            "trees": result.trees,
            "packs": result.packs,
            "packs_read": result.packs_read,
            "bytes_read": result.bytes_read,
            "unread": result.problems,
        }
        return Ending("damaged" if result.problems else "done", counters)
