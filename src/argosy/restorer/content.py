"""The content of a file: its blobs, where they are, and how much they make up together."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.errors import Damaged
from argosy.repository.lookup import DedupLookup, Location
from argosy.restic_format.blob import BlobType
from argosy.restic_format.crypto import OVERHEAD_BYTES
from argosy.restic_format.ids import ID_BYTES


@dataclass(frozen=True, slots=True)
class Content:
    """A file's blobs, the first place of each, and the bytes that they make up. A node may claim another size."""

    ids: list[bytes]
    places: list[Location]
    lengths: list[int]
    size: int


def find_content(lookup: DedupLookup, ids: list[bytes]) -> Content:
    """Where these blobs are. Damaged if one is in no index."""
    places: list[Location] = []
    for blob_id in ids:
        found = lookup.find(blob_id, BlobType.DATA)
        if not found:
            raise Damaged(
                f"blob {blob_id.hex()} is in no index", hint="Run `argosy check` to see what else is missing."
            )
        places.append(found[0])
    lengths = [plain_length(place) for place in places]
    return Content(ids, places, lengths, sum(lengths))


def plain_length(place: Location) -> int:
    """How many bytes of content the blob at a place has."""
    return place.uncompressed_length or place.length - OVERHEAD_BYTES


def split_ids(joined: bytes) -> list[bytes]:
    """The ids that were joined."""
    return [joined[at : at + ID_BYTES] for at in range(0, len(joined), ID_BYTES)]
