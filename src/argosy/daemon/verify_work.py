"""A comparison of a snapshot with a directory as a master runs it: its members read the directory."""

from __future__ import annotations

import os
from typing import cast

import msgspec

from argosy.daemon.kinds import VERIFY
from argosy.daemon.protocol import Request, VerifyOrder
from argosy.daemon.runs import Run
from argosy.daemon.sight import Sight, look_at, sample_paths
from argosy.daemon.work import Ending, RecordedWork, Surroundings
from argosy.operations.verify.messages import UNREADABLE, Difference
from argosy.operations.verify.options import VerifyObserver, VerifyResult
from argosy.operations.verify.report import remove_unfinished
from argosy.operations.verify.run import run_verify


class VerifyWork(RecordedWork):
    """See ``JobWork``."""

    kind = VERIFY

    def __init__(self, request: Request, order: VerifyOrder, surroundings: Surroundings) -> None:
        super().__init__(request, surroundings)
        self._options = order.options

    @property
    def paths(self) -> list[bytes]:
        """The directory."""
        return [self._options.source]

    @property
    def words(self) -> str:
        """What is done, in words."""
        options = self._options
        return f"a comparison of {options.snapshot} in {self.location} with {os.fsdecode(options.source)}"

    def look(self) -> Sight:
        """The directory and some of its entries. Of the repository its members need nothing."""
        # What a link points at, not the link: a member may have the directory itself there.
        return Sight(look_at(sample_paths([os.path.join(self._options.source, b".")])), [])

    def _operate(self, run: Run) -> VerifyResult:
        around = self._surroundings
        options = msgspec.structs.replace(self._options, workers=around.workers())
        if run.former and options.report is not None:
            remove_unfinished(options.report)
        return run_verify(self._access(run), options, self._observer(run), around.make_engine)

    def _observer(self, run: Run) -> VerifyObserver:
        """What the operation tells: followers hear it, and the diary keeps some of it."""
        told = cast("VerifyObserver", run.observer())

        def message(text: str) -> None:
            self.diary.note(text)
            told.message(text)

        def found(difference: Difference) -> None:
            words = difference.reason if difference.kind == UNREADABLE else difference.kind.replace("_", " ")
            self.diary.fault(os.fsdecode(difference.path), words)
            told.found(difference)

        def problem(path: bytes, reason: str) -> None:
            self.diary.fault(os.fsdecode(path), reason)
            told.problem(path, reason)

        return msgspec.structs.replace(told, message=message, found=found, problem=problem)

    def _ending(self, result: VerifyResult) -> Ending:
        counters = {
            "files_compared": result.files,
            "bytes_compared": result.size_bytes,
            "differences": result.differences,
            "unread": result.differences + result.unreadable + result.problems,
        }
        outcome = "damaged" if result.problems else "different" if result.differences else "done"
        if outcome == "done" and result.unreadable:
            outcome = "incomplete"
        return Ending(outcome, counters, result.snapshot.id.hex())
