"""A prune as a master runs it: its members copy what is needed of packs into new ones, it does the rest."""

from __future__ import annotations

import time
from typing import cast

import msgspec

from argosy.daemon.kinds import PRUNE
from argosy.daemon.protocol import PruneOrder, Request
from argosy.daemon.runs import Run
from argosy.daemon.sight import Sight
from argosy.daemon.work import Ending, RecordedWork, Surroundings
from argosy.errors import Interrupted
from argosy.operations.prune.options import PruneObserver
from argosy.operations.prune.plan import PruneSummary
from argosy.operations.prune.run import run_prune

_LOOK_SECONDS = 0.2


class PruneWork(RecordedWork):
    """See ``JobWork``."""

    kind = PRUNE

    def __init__(self, request: Request, order: PruneOrder, surroundings: Surroundings) -> None:
        super().__init__(request, surroundings)
        self._order = order

    @property
    def paths(self) -> list[bytes]:
        """There are none: it is about the repository."""
        return []

    @property
    def words(self) -> str:
        """What is done, in words."""
        return f"a prune of {self.location}"

    def look(self) -> Sight:
        """The repository's locks."""
        return Sight([], self._locks())

    def _operate(self, run: Run) -> PruneSummary:
        around, observer = self._surroundings, self._observer(run)
        self._remove_former_lock(run, observer.message)
        if not self._order.dry_run:
            self._wait_for_member(observer)
        options = self._order.options(around.workers(), around.state_directory)
        plan = run_prune(self._access(run), options, observer, around.make_engine)
        return plan.summary(dry_run=self._order.dry_run)

    def _wait_for_member(self, observer: PruneObserver) -> None:
        """Others may use the repository while nobody is there to copy packs: the lock comes after."""
        hub = self._surroundings.hub
        if hub.members():
            return
        observer.message("no member is there: the prune waits for one before it locks the repository")
        with hub.calling():
            while not hub.members():
                if observer.stop_requested():
                    raise Interrupted("stopped on request", hint="Nothing was changed. Run the prune again.")
                time.sleep(_LOOK_SECONDS)

    def _observer(self, run: Run) -> PruneObserver:
        """What the operation tells: followers hear it, and the diary keeps some of it."""
        told = cast("PruneObserver", run.observer())

        def message(text: str) -> None:
            self.diary.note(text)
            told.message(text)

        return msgspec.structs.replace(told, message=message)

    def _ending(self, result: PruneSummary) -> Ending:
        counters = {
            "packs_kept": result.keep,
            "packs_repacked": result.repack,
            "bytes_repacked": result.stats.to_repack.size_bytes,
            "packs_removed": result.remove + result.unindexed,
            "bytes_freed": result.freed_bytes,
        }
        return Ending("done", {} if result.dry_run else counters)
