"""The blobs in use, each with a mark of one byte, and what is found out about whole packs with them.

A mark says how many copies of the blob were seen: none yet (``MISSING``), one or the chosen one (``ONE``), so many that
are left to choose from, and of several the last one (``LAST``). Later it says whether a blob is still to be copied.
With the native kernel a blob takes 40 bytes; without it ``IdTable`` holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from argosy import native
from argosy.operations.blob_tables import split_ids
from argosy.operations.id_table import IdTable
from argosy.restic_format.blob import BlobType
from argosy.restic_format.pack import decode_header

if TYPE_CHECKING:
    from argosy.native.tables import NativeMarks

MISSING = 0
ONE = 1
LAST = 255
_MOST = 254


class PackCount(msgspec.Struct):
    """Of a pack's ``blobs`` those that are used, their bytes, and those of which there are ``copies``."""

    used_blobs: int = 0
    used_bytes: int = 0
    copies: int = 0
    blobs: int = 0


class BlobMarks(Protocol):
    """Not thread-safe. Packs are given by their headers (not sealed)."""

    def add(self, blob_type: BlobType, ids: bytes) -> None:
        """Add blobs (ids joined) that may be there already, with the mark ``MISSING``."""

    def see(self, header: bytes) -> bool:
        """Count each marked blob of a pack once more; whether one of them was seen before."""

    def count(self, header: bytes) -> PackCount:
        """How much of a pack is used; copies count as unused for now."""

    def choose(self, header: bytes, count: PackCount) -> PackCount:
        """Choose which copies in the pack are the used ones; the count with them.

        A pack that holds other used blobs, or nothing but copies, gets the copy before one that could go whole.
        """

    def change(self, header: bytes, old: int | None, new: int, blobs: int) -> bytearray:
        """Change the mark ``old`` (None: any) of a pack's blobs, of which there are so many.

        A byte for each: 1 where it was changed.
        """

    def with_mark(self, mark: int, most: int) -> tuple[int, list[tuple[BlobType, bytes]]]:
        """How many blobs have a mark, and up to ``most`` of them."""

    def clear(self) -> None:
        """Forget all blobs, and give the memory back."""


def blob_marks() -> BlobMarks:
    """An empty table, in the faster implementation that this process has."""
    kernel = native.kernel()
    if kernel is None:
        return PythonBlobMarks()
    from argosy.native.tables import NativeMarks

    return NativeBlobMarks(NativeMarks(kernel.library))


class NativeBlobMarks:
    """See ``BlobMarks``; one call of the kernel a pack."""

    def __init__(self, marks: NativeMarks) -> None:
        self._take(marks)

    def add(self, blob_type: BlobType, ids: bytes) -> None:
        """See ``BlobMarks.add``."""
        self._tables[blob_type].add(ids)

    def see(self, header: bytes) -> bool:
        """See ``BlobMarks.see``."""
        return self._marks.see(header)

    def count(self, header: bytes) -> PackCount:
        """See ``BlobMarks.count``."""
        return PackCount(*self._marks.count(header))

    def choose(self, header: bytes, count: PackCount) -> PackCount:
        """See ``BlobMarks.choose``."""
        return PackCount(*self._marks.choose(header, [count.used_blobs, count.used_bytes, count.copies, count.blobs]))

    def change(self, header: bytes, old: int | None, new: int, blobs: int) -> bytearray:
        """See ``BlobMarks.change``."""
        return bytearray(self._marks.change(header, -1 if old is None else old, new, blobs))

    def with_mark(self, mark: int, most: int) -> tuple[int, list[tuple[BlobType, bytes]]]:
        """See ``BlobMarks.with_mark``."""
        total, found = 0, list[tuple[BlobType, bytes]]()
        for blob_type, table in self._tables.items():
            count, ids = table.with_byte(mark, most - len(found))
            total += count
            found += [(blob_type, identity) for identity in ids]
        return total, found

    def clear(self) -> None:
        """See ``BlobMarks.clear``."""
        self._take(self._marks.empty())

    def _take(self, marks: NativeMarks) -> None:
        self._marks = marks
        self._tables = {BlobType.DATA: marks.data, BlobType.TREE: marks.trees}


class PythonBlobMarks:
    """See ``BlobMarks``; several calls a blob."""

    def __init__(self) -> None:
        self.clear()

    def add(self, blob_type: BlobType, ids: bytes) -> None:
        """See ``BlobMarks.add``."""
        for identity in split_ids(ids):
            self._tables[blob_type].add(identity, bytes((MISSING,)))

    def see(self, header: bytes) -> bool:
        """See ``BlobMarks.see``."""
        several = False
        for blob in decode_header(header, "header"):
            mark = self._get(blob.type, blob.id)
            if mark is not None and mark < _MOST:
                several = several or mark == ONE
                self._set(blob.type, blob.id, mark + 1)
        return several

    def count(self, header: bytes) -> PackCount:
        """See ``BlobMarks.count``."""
        count = PackCount()
        for blob in decode_header(header, "header"):
            mark = self._get(blob.type, blob.id)
            count.blobs += 1
            if mark == ONE:
                count.used_blobs += 1
                count.used_bytes += blob.length
            elif mark is not None:
                count.copies += 1
        return count

    def choose(self, header: bytes, count: PackCount) -> PackCount:
        """See ``BlobMarks.choose``."""
        nothing_but_copies = count.copies == count.blobs
        for blob in decode_header(header, "header"):
            left = self._get(blob.type, blob.id)
            if left is None or left == ONE:
                continue
            if count.used_blobs or nothing_but_copies or left == LAST:
                count.used_blobs += 1
                count.used_bytes += blob.length
                self._set(blob.type, blob.id, ONE)
            else:
                self._set(blob.type, blob.id, LAST if left == ONE + 1 else left - 1)
        return count

    def change(self, header: bytes, old: int | None, new: int, blobs: int) -> bytearray:
        """See ``BlobMarks.change``."""
        changed = bytearray(blobs)
        for number, blob in enumerate(decode_header(header, "header")):
            mark = self._get(blob.type, blob.id)
            if mark is not None and old in (None, mark):
                self._set(blob.type, blob.id, new)
                changed[number] = 1
        return changed

    def with_mark(self, mark: int, most: int) -> tuple[int, list[tuple[BlobType, bytes]]]:
        """See ``BlobMarks.with_mark``."""
        found = [
            (blob_type, identity)
            for blob_type, table in self._tables.items()
            for identity, payload in table
            if payload[0] == mark
        ]
        return len(found), found[:most]

    def clear(self) -> None:
        """See ``BlobMarks.clear``."""
        self._tables = {blob_type: IdTable(1) for blob_type in BlobType}

    def _get(self, blob_type: BlobType, blob_id: bytes) -> int | None:
        payload = self._tables[blob_type].get(blob_id)
        return None if payload is None else payload[0]

    def _set(self, blob_type: BlobType, blob_id: bytes, mark: int) -> None:
        self._tables[blob_type].replace(blob_id, bytes((mark,)))
