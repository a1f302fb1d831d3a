"""What a prune is asked for and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from argosy.operations.crew import MemberLook
from argosy.operations.prune.plan import PruneLimits, PruneSummary
from argosy.restic_format.compression import CompressionMode


def _nothing(_: object) -> None:
    """What is not observed."""


class PruneOptions(msgspec.Struct, frozen=True):
    """``without``: snapshots that count as gone, for a dry run. ``crash_point`` is called where it may be killed.

    ``workers``: None is one a processor. Up to ``alone_bytes`` of packs are repacked without them, none with 0: they
    take a while to start. ``state_directory``: where to look for unfinished backups, which are told of.
    """

    limits: PruneLimits = msgspec.field(default_factory=PruneLimits)
    dry_run: bool = False
    without: frozenset[bytes] = frozenset()
    pack_size_bytes: int = 16 << 20
    compression: CompressionMode = "auto"
    verify: bool = True
    workers: int | None = None
    alone_bytes: int = 64 << 20
    state_directory: Path | None = None
    crash_point: Callable[[str], None] = _nothing


class PruneProgress(msgspec.Struct, frozen=True):
    """A look at a prune that repacks. ``packs`` and ``pack_bytes`` are to be repacked in all.

    ``members``: see ``MemberLook``; entries are packs.
    """

    packs_done: int
    packs: int
    bytes_done: int
    pack_bytes: int
    members: list[MemberLook] = msgspec.field(default_factory=list)


class PruneObserver(msgspec.Struct, frozen=True):
    """All are called from the thread that runs the prune. ``show``: the plan, before anything is changed.

    ``message``: what a user should know. ``detail``: what is done now.
    """

    message: Callable[[str], None] = _nothing
    detail: Callable[[str], None] = _nothing
    show: Callable[[PruneSummary], None] = _nothing
    progress: Callable[[PruneProgress], None] = _nothing
    stop_requested: Callable[[], bool] = lambda: False
