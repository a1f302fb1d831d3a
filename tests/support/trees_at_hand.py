"""Trees at hand, in place of a repository's."""

from __future__ import annotations

from collections.abc import Callable

from argosy.repository.encoder import EncodedBlob
from argosy.restic_format.blob import BlobType


class TreesAtHand:
    """Reads trees as a BlobReader does, without a repository: ``load`` has them by id; nothing is sealed."""

    def __init__(self, load: Callable[[bytes], bytes]) -> None:
        self._load = load

    def load_sealed(self, blob_id: bytes, blob_type: BlobType, /) -> tuple[EncodedBlob, bytes]:
        """The tree, twice."""
        tree = self._load(blob_id)
        return EncodedBlob(blob_id, blob_type, tree, 0), tree

    def open_sealed(self, blob: EncodedBlob, /) -> bytes:
        """The tree."""
        return bytes(blob.sealed)
