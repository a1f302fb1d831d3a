"""The parent snapshot's trees, as the scan compares with them and as new trees are built upon them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from argosy.archiver.parent import CompareOptions, ParentTree
from argosy.errors import ArgosyError
from argosy.repository.encoder import EncodedBlob
from argosy.restic_format.blob import BlobType
from argosy.restic_format.node import format_time

KEPT_BYTES = 64 << 20


class Blobs(Protocol):
    """What reads trees, verified by MAC and hash: the BlobReader."""

    def load_sealed(self, blob_id: bytes, blob_type: BlobType, /) -> tuple[EncodedBlob, bytes]:
        """A blob as it is stored, and its content."""

    def open_sealed(self, blob: EncodedBlob, /) -> bytes:
        """The content once more."""


class ParentTrees:
    """Loads trees by id. Thread-safe.

    Those that new ones will be built upon are kept as they are stored, which is a sixth of their size, as many as fit
    ``KEPT_BYTES``: to find and read one again takes as long as to open it.
    ``proved``: the parent was proved complete and all indexes of that time exist, so its blobs need no test.
    """

    def __init__(
        self,
        blobs: Blobs,
        contains_many: Callable[[Iterable[bytes]], set[bytes]],
        *,
        proved: bool,
    ) -> None:
        self._blobs = blobs
        self._contains_many = contains_many
        self.proved = proved
        self._kept: dict[bytes, EncodedBlob] = {}
        self._kept_bytes = 0
        self._mutex = threading.Lock()
        self.missing = 0

    def open(self, tree_id: bytes, options: CompareOptions) -> ParentTree | None:
        """A cursor over a tree; None if it cannot be read: then the directory is taken for a new one."""
        try:
            stored, tree = self._blobs.load_sealed(tree_id, BlobType.TREE)
            return ParentTree(tree, options, self._is_complete, format_time, stored)
        except ArgosyError:
            # A damaged parent must not stop the backup that may replace it; the count is reported.
            self.missing += 1
            return None

    def load(self, tree_id: bytes) -> bytes:
        """The bytes of a tree, verified by MAC and hash."""
        return self._blobs.load_sealed(tree_id, BlobType.TREE)[1]

    def keep(self, parent: ParentTree) -> None:
        """A new tree will be built upon this one: spare reading it again, if there is room."""
        stored = parent.stored
        if stored is None:
            return
        with self._mutex:
            if stored.id not in self._kept and self._kept_bytes + len(stored.sealed) <= KEPT_BYTES:
                self._kept[stored.id] = stored
                self._kept_bytes += len(stored.sealed)

    def take(self, tree_id: bytes) -> bytes:
        """As ``load``, for the tree that is built now: it need not be kept any longer."""
        with self._mutex:
            stored = self._kept.pop(tree_id, None)
            if stored is not None:
                self._kept_bytes -= len(stored.sealed)
        return self.load(tree_id) if stored is None else self._blobs.open_sealed(stored)

    def _is_complete(self, content: bytes) -> bool:
        """Whether every blob of a content list (JSON without its brackets) is in the repository."""
        if self.proved or not content:
            return True
        ids = {bytes.fromhex(quoted.strip()[1:-1].decode("ascii")) for quoted in content.split(b",")}
        return len(self._contains_many(ids)) == len(ids)
