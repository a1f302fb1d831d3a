"""Places of blobs of data that were met lately, in little memory: whole packs, since neighbours in a snapshot are
neighbours in a pack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from argosy import native
from argosy.repository.blob_location import PLACE, Location
from argosy.restic_format.blob import BlobType
from argosy.restic_format.pack import decode_header

if TYPE_CHECKING:
    from argosy.native.tables import NativeTable

_MOST_OFFSET = 2**32


class NearBlobs(Protocol):
    """Not thread-safe."""

    def __len__(self) -> int: ...

    def get(self, blob_id: bytes) -> Location | None:
        """The place of a blob that was added."""

    def add(self, blob_id: bytes, place: Location) -> None:
        """Add one that is not there."""

    def add_pack(self, pack_id: bytes, header: bytes) -> None:
        """Add what a pack's header (opened) lists. Damaged, or less is added, if it is malformed."""


def near_blobs() -> NearBlobs:
    """None yet, in the way that takes least in this process."""
    kernel = native.kernel()
    if kernel is None:
        return PythonNearBlobs()
    from argosy.native.tables import NativeTable

    return NativeNearBlobs(NativeTable(kernel.library, PLACE.size))


class PythonNearBlobs:
    """See ``NearBlobs``; 300 bytes a blob."""

    def __init__(self) -> None:
        self._places: dict[bytes, Location] = {}

    def __len__(self) -> int:
        return len(self._places)

    def get(self, blob_id: bytes) -> Location | None:
        """See ``NearBlobs.get``."""
        return self._places.get(blob_id)

    def add(self, blob_id: bytes, place: Location) -> None:
        """See ``NearBlobs.add``."""
        self._places[blob_id] = place

    def add_pack(self, pack_id: bytes, header: bytes) -> None:
        """See ``NearBlobs.add_pack``."""
        for blob in decode_header(header, f"header of pack {pack_id.hex()}"):
            if blob.type == BlobType.DATA:
                place = Location(pack_id, blob.offset, blob.length, blob.uncompressed_length)
                self._places.setdefault(blob.id, place)


class NativeNearBlobs:
    """See ``NearBlobs``; 60 bytes a blob. The kernel finds in ``table`` what it restores by itself."""

    def __init__(self, table: NativeTable) -> None:
        self.table = table
        self._numbers: dict[bytes, int] = {}
        self._pack_ids: list[bytes] = []

    def __len__(self) -> int:
        return len(self.table)

    def get(self, blob_id: bytes) -> Location | None:
        """See ``NearBlobs.get``."""
        found = self.table.get(blob_id)
        if found is None:
            return None
        number, *place = PLACE.unpack(found)
        return Location(self._pack_ids[number], *place)

    def add(self, blob_id: bytes, place: Location) -> None:
        """See ``NearBlobs.add``. Nothing is added that no pack of a sensible size has."""
        if place.offset < _MOST_OFFSET:
            row = PLACE.pack(self._number(place.pack_id), place.offset, place.length, place.uncompressed_length)
            self.table.add_fresh(blob_id, row)

    def add_pack(self, pack_id: bytes, header: bytes) -> None:
        """See ``NearBlobs.add_pack``."""
        self.table.add_data(self._number(pack_id), header)

    def pack_id(self, number: int) -> bytes:
        """The pack that has this number in the table."""
        return self._pack_ids[number]

    def _number(self, pack_id: bytes) -> int:
        number = self._numbers.setdefault(pack_id, len(self._pack_ids))
        if number == len(self._pack_ids):
            self._pack_ids.append(pack_id)
        return number
