"""How much is repacked: counted, and told a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from argosy.operations.crew import MemberLook
from argosy.operations.prune.options import PruneProgress

_LOOK_SECONDS = 0.2


class Tally:
    """Of one run, which has so many packs of so many bytes to repack."""

    def __init__(self, tell: Callable[[PruneProgress], None], packs: int, pack_bytes: int) -> None:
        self._tell = tell
        self._packs = packs
        self._pack_bytes = pack_bytes
        self._packs_done = 0
        self._bytes_done = 0
        self._next_look = 0.0

    def count(self, packs: int, size_bytes: int) -> None:
        """So much more is done."""
        self._packs_done += packs
        self._bytes_done += size_bytes

    def look(self, members: Callable[[], list[MemberLook]] = list, *, last: bool = False) -> None:
        """Tell, if it is time, or the last."""
        now = time.monotonic()
        if now < self._next_look and not last:
            return
        self._next_look = now + _LOOK_SECONDS
        self._tell(PruneProgress(self._packs_done, self._packs, self._bytes_done, self._pack_bytes, members()))
