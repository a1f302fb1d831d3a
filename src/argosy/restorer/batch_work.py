"""Working on one batch: look at each entry, make what is no file, write the files, then links, then directories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from argosy.errors import RestoreError
from argosy.restic_format.node import Node, decode_node
from argosy.restorer.blob_fetching import BlobFetcher, WantedBlobs
from argosy.restorer.content import BlobPlaces, Content
from argosy.restorer.directories import OpenDirectory, TargetDirectories, Unreachable
from argosy.restorer.existing import Extent, Look, look_at
from argosy.restorer.file_jobs import FAILURES, FileJob, FileRestorer
from argosy.restorer.finishing import Finisher
from argosy.restorer.fresh_files import FreshFiles
from argosy.restorer.locations import location_of
from argosy.restorer.messages import Link, Outcome, Part, RestoreSettings, RestoreWork
from argosy.restorer.metadata import MetadataSetter
from argosy.restorer.other_entries import link_to, make_entry, spared, stands_complete
from argosy.restorer.overwrite import Verdict
from argosy.restorer.target import reason_of, refuse_full
from argosy.restorer.tree_nodes import decode_nodes, usable_name

Purpose = tuple[FileJob, int]
ShowProgress = Callable[[int, int], None]

# Types that are no business of a batch: directories are finished on their own, sockets cannot be restored.
_SKIPPED = frozenset(("dir", "socket"))
_NEW = Look(Verdict.NEW)


class BatchRestorer:
    """Restores batches one by one."""

    def __init__(
        self,
        places: BlobPlaces,
        fetcher: BlobFetcher,
        directories: TargetDirectories,
        finisher: Finisher,
        settings: RestoreSettings,
        target: bytes,
        fresh: FreshFiles | None = None,
    ) -> None:
        self._places = places
        self._fetcher = fetcher
        self._directories = directories
        self._finisher = finisher
        self._settings = settings
        self._target = target
        self._fresh = fresh
        self._setter = MetadataSetter(settings.xattr_exclude, settings.xattr_include, self._report)
        self._outcome = Outcome()
        self._wanted: WantedBlobs[Purpose] = WantedBlobs()

    def run(self, work: RestoreWork, show: ShowProgress) -> Outcome:
        """Everything that the batch asks for. RestoreError if the target is full, StorageError if the store fails."""
        files = FileRestorer(self._directories, self._setter, self._settings, self._target)
        outcome = self._outcome = files.outcome
        self._setter.notes = outcome.notes
        if self._settings.recorded:
            outcome.written = [[] for _ in range(len(work.parts) + len(work.links))]
        try:
            broken = self._plan_parts(work.parts, files, show)
            self._fetch(files, show)
            for number, link in enumerate(work.links, len(work.parts)):
                self._link(number, link, files)
            self._fetch(files, show)
        finally:
            files.close()
        for part in work.parts:
            if part.whole and part.path not in broken:
                self._finisher.finish(part.path, part.node, part.kept, outcome)
                outcome.finished.append(part.directory)
        return outcome

    def _report(self, location: bytes, reason: str) -> None:
        self._outcome.errors.append((location, reason))

    # -- looking ------------------------------------------------------------------------------------------------

    def _plan_parts(self, parts: Sequence[Part], files: FileRestorer, show: ShowProgress) -> set[bytes]:
        """The directories that cannot be had. Most new files stand there already when this returns."""
        broken: set[bytes] = set()
        fresh = self._fresh
        if fresh is not None:
            fresh.clear()
        for number, part in enumerate(parts):
            if not self._plan_part(number, part, files):
                broken.add(part.path)
            if fresh is not None and (fresh.is_full or number == len(parts) - 1):
                for left in fresh.make(files.outcome, show):
                    self._plan_entry(left.number, left.part.path, left.directory, decode_node(left.raw), files)
        return broken

    def _plan_part(self, number: int, part: Part, files: FileRestorer) -> bool:
        try:
            directory: OpenDirectory | None = self._directories.get(part.path)
        except FileNotFoundError:
            directory = None  # a dry run, and the directory would be made
        except Unreachable as error:
            refuse_full(error.cause, self._target, b"/" + error.path)
            self._outcome.broken.append((error.path, reason_of(error)))
            return False
        if self._fresh is not None and directory is not None and self._fresh.take(number, part, directory):
            return True
        nodes, malformed = decode_nodes(part.tree)
        for shown, reason in malformed:
            self._report(location_of(part.path, shown), reason)
        for node in nodes:
            if node.type not in _SKIPPED:
                self._plan_entry(number, part.path, directory, node, files)
        return True

    def _plan_entry(
        self, number: int, path: bytes, directory: OpenDirectory | None, node: Node, files: FileRestorer
    ) -> None:
        name = usable_name(node.name)
        if name is None:
            raise RestoreError(f"a batch holds the unusable name {node.name!r}")
        try:
            if node.type == "file":
                self._plan_file(number, path, directory, name, node, files)
            else:
                self._restore_other(path, directory, name, node)
        except FAILURES as error:
            self._entry_failed(location_of(path, name), error)

    def _entry_failed(self, location: bytes, error: Exception) -> None:
        refuse_full(error, self._target, location)
        self._report(location, reason_of(error))

    def _plan_file(
        self, number: int, path: bytes, directory: OpenDirectory | None, name: bytes, node: Node, files: FileRestorer
    ) -> None:
        ids = node.content_ids()
        if len(ids) == 1 and directory is not None and directory.fresh and not self._settings.dry_run:
            # Nothing is there, and one blob is all: most files, so that they take this short way.
            place = self._places.find(ids[0])
            if place is not None:
                job = FileJob(number, path, name, node, place.plaintext_bytes, _NEW, 1)
                if job.size != node.size:
                    files.report_size(job)
                self._wanted.add(ids[0], place, (job, 0))
                return
        content = self._places.content(ids)
        look = _NEW
        if directory is not None and not directory.fresh:
            look = self._look(directory, name, node, content)
        matching = look.matching
        job = FileJob(number, path, name, node, content.size, look, len(content.ids) - len(matching))
        if content.size != node.size:
            files.report_size(job)
        if look.verdict is Verdict.KEPT:
            files.keep(job)
        elif look.verdict is Verdict.UNCHANGED or not job.remaining or self._settings.dry_run:
            files.finish_without_content(job)
        else:
            offset = 0
            for at, (blob_id, place) in enumerate(zip(content.ids, content.places, strict=True)):
                if at not in matching:
                    self._wanted.add(blob_id, place, (job, offset))
                offset += content.lengths[at]

    def _look(self, directory: OpenDirectory, name: bytes, node: Node, content: Content) -> Look:
        extents = []
        offset = 0
        for blob_id, length in zip(content.ids, content.lengths, strict=True):
            extents.append(Extent(blob_id, offset, length))
            offset += length
        return look_at(
            directory.fd,
            name,
            overwrite=self._settings.overwrite,
            mtime_ns=node.mtime_ns(),
            links=node.links,
            size_bytes=content.size,
            extents=extents,
            dry_run=self._settings.dry_run,
        )

    # -- carrying out -------------------------------------------------------------------------------------------

    def _fetch(self, files: FileRestorer, show: ShowProgress) -> None:
        wanted, self._wanted = self._wanted, WantedBlobs()
        outcome = files.outcome
        self._fetcher.deliver(wanted, files.take, files.missing, lambda: show(outcome.restored, outcome.restored_bytes))

    def _restore_other(self, path: bytes, directory: OpenDirectory | None, name: bytes, node: Node) -> None:
        location = location_of(path, name)
        if directory is not None and spared(directory, name, node, self._settings):
            self._count("unchanged", location)
            return
        if directory is not None and not self._settings.dry_run:
            make_entry(directory, name, node, recursive=self._settings.delete)
            self._setter.set_at(directory.fd, name, node, location)
        self._count("restored", location)

    def _link(self, number: int, link: Link, files: FileRestorer) -> None:
        node = decode_node(link.node)
        name = usable_name(node.name)
        if name is None:
            raise RestoreError(f"a batch holds the unusable name {node.name!r}")
        location = location_of(link.path, name)
        try:
            directory = self._directories.get(link.path)
        except FileNotFoundError:
            self._count("restored", location)  # a dry run
            return
        except FAILURES as error:
            self._entry_failed(location, error)
            return
        try:
            self._make_link(directory, name, node, link, location)
        except _LinkImpossible:
            self._plan_entry(number, link.path, directory, node, files)
        except FAILURES as error:
            self._entry_failed(location, error)

    def _make_link(self, directory: OpenDirectory, name: bytes, node: Node, link: Link, location: bytes) -> None:
        settings = self._settings
        if spared(directory, name, node, settings):
            self._count("unchanged", location)
            return
        if settings.dry_run:
            self._count("restored", location)
            return
        size = self._places.content(node.content_ids()).size if node.type == "file" else 0
        # The first name may have failed, or may have been left as it was: then this one gets its own content.
        first_directory = self._directories.get(link.first_path)
        if not stands_complete(first_directory, link.first_name, node, size):
            raise _LinkImpossible
        if not link_to(directory, name, first_directory, link.first_name, recursive=settings.delete):
            raise _LinkImpossible
        self._count("restored", location)

    def _count(self, action: str, location: bytes) -> None:
        outcome = self._outcome
        if action == "unchanged":
            outcome.skipped += 1
        else:
            outcome.restored += 1
        if self._settings.listing:
            outcome.items.append((action, location, None))


class _LinkImpossible(Exception):
    """The entry has to be restored on its own."""
