"""What a prune is asked for and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from argosy.operations.prune.plan import PruneLimits, PrunePlan
from argosy.restic_format.compression import CompressionMode


def _nothing(_: object) -> None:
    """What is not observed."""


class PruneOptions(msgspec.Struct, frozen=True):
    """``without``: snapshots that count as gone, for a dry run. ``crash_point`` is called where it may be killed.

    ``workers``: None is one a processor. Up to ``alone_bytes`` are repacked without them: they take a while to start.
    """

    limits: PruneLimits = msgspec.field(default_factory=PruneLimits)
    dry_run: bool = False
    without: Collection[bytes] = ()
    pack_size_bytes: int = 16 << 20
    compression: CompressionMode = "auto"
    verify: bool = True
    workers: int | None = None
    alone_bytes: int = 64 << 20
    crash_point: Callable[[str], None] = _nothing


class PruneObserver(msgspec.Struct, frozen=True):
    """``message``: what is going on; ``show``: the plan, before anything is changed."""

    message: Callable[[str], None] = _nothing
    show: Callable[[PrunePlan], None] = _nothing
    stop_requested: Callable[[], bool] = lambda: False
