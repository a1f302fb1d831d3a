"""What all scan threads of a job share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from argosy.archiver.ledger import Ledger
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.parent import CompareOptions
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.source import Source
from argosy.filesystem.exclude import ExcludeRules

if TYPE_CHECKING:
    from argosy.archiver.quick_listing import QuickListing


class ScanContext(msgspec.Struct):
    """What the scan needs, and what it counts.

    ``shown_as`` maps a source path to the one that rules are matched against (--as). ``devices`` are the roots' devices
    for --one-file-system, else None. ``entries`` counts what was looked at, ``excluded`` what rules left out,
    ``snapshot_directories`` the storage's own snapshots that were skipped. ``new_quick_listing`` is None where
    there is no kernel.
    """

    ledger: Ledger
    source: Source
    encoder: NodeEncoder
    parents: ParentTrees
    compare: CompareOptions
    spill_directory: Path
    rules: ExcludeRules
    shown_as: Callable[[bytes], bytes] | None = None
    devices: frozenset[int] | None = None
    entries: int = 0
    excluded: int = 0
    snapshot_directories: int = 0
    new_quick_listing: Callable[[], QuickListing] | None = None
