"""Small new files in directories that this worker has just made: most files of most restores, made by the native kernel
from the tree's JSON, without a Python object for each.

``BatchRestorer`` and ``FileRestorer`` are the definition: whatever the kernel does not make, for whatever reason, comes
back to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from argosy import native
from argosy.native.restoring import NativeRestoring, Span, directory_rows, owners_in
from argosy.restic_format.crypto import MasterKey
from argosy.restorer.blob_fetching import BlobFetcher
from argosy.restorer.content import BlobPlaces
from argosy.restorer.directories import OpenDirectory, TargetDirectories
from argosy.restorer.locations import location_of
from argosy.restorer.messages import Outcome, Part, RestoreSettings
from argosy.restorer.near_blobs import NativeNearBlobs

# Their directories stay open meanwhile; as many as these are open anyway (directories.OPEN_MOST).
_PARTS_MOST = 192


class LeftNode(msgspec.Struct, frozen=True):
    """A node of a part, as JSON, that the kernel did not restore."""

    number: int
    part: Part
    directory: OpenDirectory
    raw: bytes


class FreshFiles:
    """Takes parts of one batch until it ``is_full``, makes their files, and takes more."""

    def __init__(
        self,
        restoring: NativeRestoring,
        places: BlobPlaces,
        fetcher: BlobFetcher,
        directories: TargetDirectories,
        settings: RestoreSettings,
    ) -> None:
        self._restoring = restoring
        self._places = places
        self._fetcher = fetcher
        self._directories = directories
        self._settings = settings
        self._parts: list[tuple[int, Part, OpenDirectory]] = []

    @property
    def is_full(self) -> bool:
        """Whether what was taken is to be made before more is."""
        return len(self._parts) >= _PARTS_MOST

    def clear(self) -> None:
        """Begin a batch."""
        self._parts.clear()
        self._restoring.clear()

    def take(self, number: int, part: Part, directory: OpenDirectory) -> bool:
        """Take the entries of a part of the batch; False if they are to be restored one by one."""
        if not directory.fresh or not self._restoring.plan(part.tree, len(self._parts)):
            return False
        self._parts.append((number, part, directory))
        return True

    def make(self, outcome: Outcome, show: Callable[[int, int], None]) -> Iterator[LeftNode]:
        """Make the files of what was taken, note them in ``outcome``, and give all other entries back."""
        if not self._parts:
            return
        near = self._find_places()
        rows = directory_rows([(-1 if each.gives_acl else each.fd, each.owner) for _, _, each in self._parts])
        made = 0

        def ranges(gap_bytes: int, most_bytes: int) -> Iterator[tuple[bytes, int, int, Span]]:
            for span in self._restoring.spans(gap_bytes, most_bytes):
                yield near.pack_id(span.pack), span.offset, span.length, span

        for data, _, span in self._fetcher.read(ranges):
            self._directories.hold()
            files, size_bytes = self._restoring.make(data, span, rows)
            made += files
            outcome.restored += files
            outcome.restored_bytes += size_bytes
            show(outcome.restored, outcome.restored_bytes)
        for (_, _, directory), owner in zip(self._parts, owners_in(rows), strict=True):
            directory.owner = owner or directory.owner  # another part of the same directory may have learned it
        yield from self._settle(made, outcome)
        self.clear()

    def _find_places(self) -> NativeNearBlobs:
        places = self._places
        places.forget_if_many()
        near = places.near
        assert isinstance(near, NativeNearBlobs)
        for number, blob_id in self._restoring.without_place(near.table):
            if places.bring_near(blob_id) is None or near.get(blob_id) is None:
                self._restoring.leave(number)
        return near

    def _settle(self, made: int, outcome: Outcome) -> Iterator[LeftNode]:
        settings = self._settings
        if made == len(self._restoring) and not (settings.recorded or settings.listing):
            return
        for entry in self._restoring.entries():
            number, part, directory = self._parts[entry.part]
            if not entry.is_made:
                yield LeftNode(number, part, directory, part.tree[entry.start : entry.end])
                continue
            if settings.recorded:
                outcome.written[number].append(entry.name)
            if settings.listing:
                outcome.items.append(("restored", location_of(part.path, entry.name), entry.size))


def fresh_files(
    key: MasterKey,
    places: BlobPlaces,
    fetcher: BlobFetcher,
    directories: TargetDirectories,
    settings: RestoreSettings,
) -> FreshFiles | None:
    """None if all files are to be made one by one: without the kernel, or where making them takes more."""
    if settings.dry_run or settings.sparse or settings.overwrite.goes_by_existence:
        return None
    session = native.session(key.material)
    if session is None:
        return None
    return FreshFiles(NativeRestoring(session), places, fetcher, directories, settings)
