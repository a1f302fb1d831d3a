"""What many trees name, read and looked at by the native kernel, a range of a pack at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from argosy.repository.blobs import BlobReader, SealedRange
from argosy.restic_format.blob import BlobType
from argosy.restic_format.tree import TreeNames

if TYPE_CHECKING:
    from argosy.native.bindings import Session


def read_tree_names(
    reader: BlobReader, session: Session, tree_ids: Sequence[bytes]
) -> Iterator[tuple[bytes, TreeNames | None]]:
    """Each tree once, with what it names; None where the kernel does not find it sound, and all in it as restic writes.

    Those are to be looked at in Python. Errors as ``BlobReader.read_sealed``.
    """
    for sealed_range in reader.read_sealed(tree_ids, BlobType.TREE):
        yield from _names(session, sealed_range)


def _names(session: Session, sealed_range: SealedRange) -> Iterator[tuple[bytes, TreeNames | None]]:
    from argosy.native.documents import read_trees

    start, data, blobs = sealed_range
    rows = [(place.offset - start, place.length, place.uncompressed_length, identity) for place, identity in blobs]
    for (_, identity), found in zip(blobs, read_trees(session, data, rows), strict=True):
        yield identity, None if found is None else TreeNames(*found)
