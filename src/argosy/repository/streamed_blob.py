"""A blob whose content is too large for memory: the tree of a directory with millions of entries."""

from __future__ import annotations

from collections.abc import Iterator

from argosy.restic_format.crypto import Buffer, Opener
from argosy.restic_format.damage import damaged
from argosy.restic_format.stored_content import content_id, content_pieces
from argosy.restic_format.tree_parts import cut_tree


class StreamedBlob:
    """The content in pieces, any number of times; memory for what is stored of it, which for trees is a tenth.

    ``stored`` is what was sealed: a compressed frame, or (``uncompressed_length`` 0) the content itself.
    """

    def __init__(self, opener: Opener, identity: bytes, sealed: Buffer, uncompressed_length: int, what: str) -> None:
        """Damaged (naming ``what``) unless MAC, length and hash hold: the content is inflated once to see that."""
        self.stored = opener.open(sealed, what)
        self.uncompressed_length = uncompressed_length
        self._what = what
        if content_id(self.stored, uncompressed_length, what) != identity:
            raise damaged(what, "its content has another hash")

    def __iter__(self) -> Iterator[Buffer]:
        """The content from its beginning."""
        return content_pieces(self.stored, self.uncompressed_length, self._what)


class HugeTree:
    """A tree in parts: trees that together hold its nodes, in order; any number of times."""

    def __init__(self, blob: StreamedBlob) -> None:
        self.blob = blob

    def __iter__(self) -> Iterator[bytes]:
        """The parts from the first one on."""
        return cut_tree(self.blob)


TreeParts = tuple[bytes] | HugeTree
"""A tree as a whole, or in parts if it is huge."""
