"""The parent snapshot's trees, as the scan compares with them and as new trees are built upon them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

from argosy.archiver.parent import CompareOptions, ParentTree
from argosy.errors import ArgosyError
from argosy.restic_format.node import format_time

CACHED_BYTES = 64 << 20


class ParentTrees:
    """Loads trees by id and keeps the latest in memory (bounded). Thread-safe.

    ``proved``: the parent was proved complete and all indexes of that time exist, so its blobs need no test.
    """

    def __init__(
        self,
        load: Callable[[bytes], bytes],
        contains_many: Callable[[Iterable[bytes]], set[bytes]],
        *,
        proved: bool,
    ) -> None:
        self._load = load
        self._contains_many = contains_many
        self.proved = proved
        self._cache: OrderedDict[bytes, bytes] = OrderedDict()
        self._cached_bytes = 0
        self._mutex = threading.Lock()
        self.missing = 0

    def open(self, tree_id: bytes, options: CompareOptions) -> ParentTree | None:
        """A cursor over a tree; None if it cannot be read: then the directory is taken for a new one."""
        try:
            tree = self.load(tree_id)
            return ParentTree(tree, options, self._is_complete, format_time)
        except ArgosyError:
            # A damaged parent must not stop the backup that may replace it; the count is reported.
            self.missing += 1
            return None

    def load(self, tree_id: bytes) -> bytes:
        """The bytes of a tree, verified by MAC and hash."""
        with self._mutex:
            tree = self._cache.get(tree_id)
            if tree is not None:
                self._cache.move_to_end(tree_id)
                return tree
        tree = self._load(tree_id)
        with self._mutex:
            if tree_id not in self._cache and len(tree) < CACHED_BYTES:
                self._cache[tree_id] = tree
                self._cached_bytes += len(tree)
                while self._cached_bytes > CACHED_BYTES:
                    _, dropped = self._cache.popitem(last=False)
                    self._cached_bytes -= len(dropped)
        return tree

    def _is_complete(self, content: bytes) -> bool:
        """Whether every blob of a content list (JSON without its brackets) is in the repository."""
        if self.proved or not content:
            return True
        ids = {bytes.fromhex(quoted.strip()[1:-1].decode("ascii")) for quoted in content.split(b",")}
        return len(self._contains_many(ids)) == len(ids)
