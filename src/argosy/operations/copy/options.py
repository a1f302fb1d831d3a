"""What a copy is asked for and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from argosy.errors import ArgosyError
from argosy.operations.saving import SavingOptions
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot


class CopyOptions(msgspec.Struct, frozen=True):
    """``names``: snapshots of the source, the start of ids or "latest"; else all that match ``wanted``.

    ``crash_point`` is called where the program may be killed.
    """

    names: Sequence[str] = ()
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    saving: SavingOptions = msgspec.field(default_factory=SavingOptions)
    crash_point: Callable[[str], None] = lambda _where: None


class CopyProgress(msgspec.Struct):
    """How a copy stands. ``snapshots`` are to be looked at; ``size_bytes`` counts contents, not compressed."""

    snapshots: int = 0
    copied: int = 0
    skipped: int = 0
    failed: int = 0
    trees: int = 0
    blobs: int = 0
    size_bytes: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 1 if some snapshot could not be copied."""
        return 1 if self.failed else 0


def _nothing(*_: object) -> None:
    """What is not observed."""


class CopyObserver(msgspec.Struct, frozen=True):
    """``warning``: what a user should know. ``copied``, ``skipped``: a snapshot, and its id in the target.

    ``failed``: one that could not be copied, or not be read.
    """

    warning: Callable[[str], None] = _nothing
    begun: Callable[[StoredSnapshot], None] = _nothing
    copied: Callable[[StoredSnapshot, bytes], None] = _nothing
    skipped: Callable[[StoredSnapshot, bytes], None] = _nothing
    failed: Callable[[bytes, ArgosyError], None] = _nothing
    progress: Callable[[CopyProgress], None] = _nothing
    stop_requested: Callable[[], bool] = lambda: False
