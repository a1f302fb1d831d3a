"""Reading the blobs of a batch: by pack and offset, neighbours together, each verified by MAC and hash.

Of a remote store the next ranges are fetched by threads while a range is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar

from argosy.errors import Damaged, StorageError, StorageNotFound
from argosy.repository.blob_location import Location
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind, object_name
from argosy.repository.opening import BlobContent, blobs_opener
from argosy.repository.pack_ranges import PackRanges
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

# Of large blobs a few fit a range: their hashes are computed two at a time. Measured: 1, 2, 4, 8 MiB; 4 is best.
_LOCAL_RANGE_BYTES = 4 * 1024 * 1024
_REMOTE_RANGE_BYTES = 8 * 1024 * 1024
# What may be read in vain between two blobs rather than with a request of its own (see repository/blobs.py).
_LOCAL_GAP_BYTES = 32 * 1024
_REMOTE_GAP_BYTES = 1024 * 1024
_FETCHED_AHEAD = 4

# (offset, length, uncompressed length, blob id, what the caller wants it for)
Wanted = tuple[int, int, int, bytes, T]
# Pack, offset, length and purpose of ranges, from the most bytes to be read in vain, and at once.
RangesOf = Callable[[int, int], Iterator[tuple[bytes, int, int, R]]]

_OFFSET = itemgetter(0)
_BLOB_ID = itemgetter(3)


class WantedBlobs(Generic[T]):
    """What a batch wants of each pack, in the order in which packs were first named."""

    def __init__(self) -> None:
        self._packs: dict[bytes, list[Wanted[T]]] = {}

    def add(self, blob_id: bytes, place: Location, purpose: T) -> None:
        """Want a blob for ``purpose``; the same blob may be wanted several times."""
        wanted = (place.offset, place.length, place.uncompressed_length, blob_id, purpose)
        pack = self._packs.get(place.pack_id)
        if pack is None:
            self._packs[place.pack_id] = [wanted]
        else:
            pack.append(wanted)

    def ranges(self, gap_bytes: int, most_bytes: int) -> Iterator[tuple[bytes, int, int, list[Wanted[T]]]]:
        """Pack, offset and length of each range to read, with what is wanted of it, by offset."""
        for pack_id, wanted in self._packs.items():
            wanted.sort(key=_OFFSET)
            start, first = 0, wanted[0][0]
            end = first + wanted[0][1]
            for at, item in enumerate(wanted):
                offset, item_end = item[0], item[0] + item[1]
                if offset - end > gap_bytes or item_end - first > most_bytes:
                    if at > start:
                        yield pack_id, first, end - first, wanted[start:at]
                    start, first = at, offset
                end = max(end, item_end)
            yield pack_id, first, end - first, wanted[start:]


class BlobFetcher:
    """Delivers blobs of data. Not thread-safe."""

    def __init__(self, repository: Repository, reader: BlobReader) -> None:
        self._opener = blobs_opener(repository.key)
        self._storage = repository.storage
        self._reader = reader
        self._ranges = PackRanges(self._storage)

    def deliver(
        self,
        wanted: WantedBlobs[T],
        take: Callable[[T, BlobContent], None],
        missing: Callable[[T, str], None],
        show: Callable[[], None] = lambda: None,
    ) -> None:
        """Call ``take`` with the content for each purpose, or ``missing`` with the reason why there is none.

        The content is good until ``take`` returns. ``show`` is called now and then.

        A range that cannot be read, and a blob that is damaged, is looked for once more at all its places. Errors of
        a remote store leave as they are; those of a local one count as damage, since other packs may be readable.
        """
        for data, start, items in self.read(wanted.ranges):
            groups = [list(group) for _, group in groupby(items, _BLOB_ID)]
            blobs = [
                (offset - start, length, uncompressed_length, blob_id)
                for ((offset, length, uncompressed_length, blob_id, _), *_) in groups
            ]
            next_groups = iter(groups)
            for contents in self._opener.open_all(data, blobs):
                for opened, group in zip(contents, next_groups, strict=False):
                    if opened is not None and len(group) == 1:
                        take(group[0][4], opened)
                    else:
                        self._deliver_one(group, opened, take, missing)
                show()

    def _deliver_one(
        self,
        group: list[Wanted[T]],
        opened: BlobContent | None,
        take: Callable[[T, BlobContent], None],
        missing: Callable[[T, str], None],
    ) -> None:
        content = self._load_again(group[0][3]) if opened is None else opened
        for item in group:
            if isinstance(content, str):
                missing(item[4], content)
            else:
                take(item[4], content)

    def close(self) -> None:
        """Close the packs kept open."""
        self._ranges.close()

    def _load_again(self, blob_id: bytes) -> bytes | str:
        """The content from any of the blob's places, or why there is none."""
        try:
            return self._reader.load_blob(blob_id, BlobType.DATA)
        except Damaged as error:
            return error.message
        except StorageError as error:
            if not self._storage.is_local:
                raise
            return error.message

    def read(self, ranges: RangesOf[R]) -> Iterator[tuple[bytes | memoryview, int, R]]:
        """The bytes of each range (none, or not all, if it cannot be read), where it starts, and what it is for.

        ``ranges`` are asked for with the bytes that may be read in vain, and the most to be read at once.
        """
        if self._ranges.is_direct:
            for pack_id, start, length, purpose in ranges(_LOCAL_GAP_BYTES, _LOCAL_RANGE_BYTES):
                yield self._ranges.read(pack_id, start, length), start, purpose
        else:
            gap_bytes = _LOCAL_GAP_BYTES if self._storage.is_local else _REMOTE_GAP_BYTES
            yield from self._read_ahead(ranges(gap_bytes, _REMOTE_RANGE_BYTES))

    def _read_ahead(self, ranges: Iterator[tuple[bytes, int, int, R]]) -> Iterator[tuple[bytes | memoryview, int, R]]:
        from concurrent.futures import ThreadPoolExecutor  # 10 ms, and a local restore does not always read ahead

        with ThreadPoolExecutor(_FETCHED_AHEAD, thread_name_prefix="fetch") as threads:
            waiting: list[tuple[Future[bytes], int, R]] = []
            try:
                while True:
                    for pack_id, start, length, purpose in islice(ranges, _FETCHED_AHEAD + 1 - len(waiting)):
                        waiting.append((threads.submit(self._get_range, pack_id, start, length), start, purpose))
                    if not waiting:
                        return
                    future, first, wanted_now = waiting.pop(0)
                    yield future.result(), first, wanted_now
            finally:
                for future, _, _ in waiting:
                    future.cancel()

    def _get_range(self, pack_id: bytes, start: int, length: int) -> bytes:
        try:
            return self._storage.get_range(object_name(FileKind.PACK, pack_id), start, length)
        except (Damaged, StorageNotFound):
            return b""
        except StorageError:
            if not self._storage.is_local:
                raise
            return b""
