"""The parent snapshot's trees, as the scan compares with them and as new trees are built upon them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from argosy.archiver.parent import CompareOptions, ParentTree
from argosy.errors import ArgosyError
from argosy.restic_format.node import format_time

KEPT_BYTES = 64 << 20


class ParentTrees:
    """Loads trees by id; keeps those that new ones will be built upon (as many as fit ``KEPT_BYTES``). Thread-safe.

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
        self._kept: dict[bytes, bytes] = {}
        self._kept_bytes = 0
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
        return self._load(tree_id)

    def keep(self, tree_id: bytes, tree: bytes) -> None:
        """The scan has read a tree upon which a new one will be built: spare reading it again, if there is room."""
        with self._mutex:
            if tree_id not in self._kept and self._kept_bytes + len(tree) <= KEPT_BYTES:
                self._kept[tree_id] = tree
                self._kept_bytes += len(tree)

    def take(self, tree_id: bytes) -> bytes:
        """As ``load``, for the tree that is built now: it need not be kept any longer."""
        with self._mutex:
            tree = self._kept.pop(tree_id, None)
            if tree is not None:
                self._kept_bytes -= len(tree)
                return tree
        return self._load(tree_id)

    def _is_complete(self, content: bytes) -> bool:
        """Whether every blob of a content list (JSON without its brackets) is in the repository."""
        if self.proved or not content:
            return True
        ids = {bytes.fromhex(quoted.strip()[1:-1].decode("ascii")) for quoted in content.split(b",")}
        return len(self._contains_many(ids)) == len(ids)
