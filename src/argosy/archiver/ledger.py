"""The job's models together: the moves that must happen in one transaction.

Scan threads and the coordinator share it; each public method takes the job's mutex once, so that a commit sees all of a
move or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import msgspec

from argosy.archiver.attribute_report import AttributeReport
from argosy.archiver.messages import SEGMENT_BYTES, BatchWork, DirectoryPart, LinkFirst, Segment, decode, encode
from argosy.archiver.nodes import rename_node, totals_of_node
from argosy.archiver.open_batch import OpenBatch
from argosy.archiver.runs import encode_run
from argosy.filesystem.directory import Entry
from argosy.filesystem.metadata import OwnerNames
from argosy.filesystem.xattr_losses import XattrLoss
from argosy.restic_format.compression import Compressor
from argosy.restic_format.names import encode_name
from argosy.state.assemblies import Assemblies, Assembly
from argosy.state.frontier import Frontier, ScanDirectory
from argosy.state.hard_links import HardLinks
from argosy.state.job_database import JobDatabase
from argosy.state.packs import OpenTrees, RecordedPacks
from argosy.state.queue import BatchQueue
from argosy.state.record import JobState, Reports
from argosy.state.state_map import StateMap


class Ledger:
    """Everything that a backup job must remember."""

    def __init__(self, job: JobDatabase, roots: list[tuple[bytes, int]], owners: OwnerNames) -> None:
        self.job = job
        self.state = JobState(job)
        self.queue = BatchQueue(job)
        self.assemblies = Assemblies(job)
        self.frontier = Frontier(job)
        self.links = HardLinks(job)
        self.packs = RecordedPacks(job)
        self.open_trees = OpenTrees(job)
        self.map = StateMap(job)
        self.reports = Reports(job)
        self.attributes = AttributeReport(self.state, self.reports)
        self.owners = owners
        self.roots = roots
        self.wake: Callable[[], None] = lambda: None
        # Runs that the master encodes are few and short-lived.
        self._compressor = Compressor("fastest")

    def load(self) -> int:
        """Load an interrupted job; returns how many directories had been in progress."""
        self.state.load_counters()
        self.queue.load()
        self.assemblies.load()
        self.packs.load()
        self.map.load()
        return self.frontier.load()

    def encode_run(self, names: Sequence[bytes], nodes: Sequence[bytes]) -> bytes:
        """A run of nodes as the database keeps it."""
        with self.job.mutex:
            return encode_run(names, nodes, self._compressor)

    def directory_unchanged(self, directory: ScanDirectory, node: bytes, counts: dict[str, int]) -> None:
        """Nothing below ``directory`` is new and it has no subdirectories: its node goes straight to its parent."""
        run = self.encode_run([directory.name], [node])
        with self.job.mutex:
            self.assemblies.add_part(directory.parent_id, run)
            self.assemblies.settle(directory.parent_id)
            self.state.count(dirs_unmodified=1, **counts)
            self.frontier.finish(directory)

    def directory_left_out(self, directory: ScanDirectory) -> None:
        """The directory vanished or cannot be read: its parent goes on without it."""
        with self.job.mutex:
            # What an earlier scan of it had sealed is kept: then its assembly goes on without the rest.
            begun = self.assemblies.find(directory.id) is not None
            self.assemblies.settle(directory.id if begun else directory.parent_id)
            self.frontier.finish(directory)

    def directory_listed(
        self,
        directory: ScanDirectory,
        assembly: Assembly,
        subdirectories: Sequence[ScanDirectory],
        reused: bytes | None,
    ) -> None:
        """A directory that needs an assembly was listed; a second scan of it replaces what the first had found.

        ``reused`` is a run of nodes whose content the scan took from the parent snapshot.
        """
        with self.job.mutex:
            there = self.assemblies.open(assembly)
            if there is not assembly:
                there.prefix, there.base_tree, there.deleted = assembly.prefix, assembly.base_tree, assembly.deleted
                self.assemblies.changed(there)
            if reused is not None:
                self.assemblies.add_part(directory.id, reused)
            if subdirectories:
                self.assemblies.expect(directory.id, len(subdirectories))
                self.frontier.register_subdirectories(directory, subdirectories)

    def directory_ended(self, directory: ScanDirectory, counts: Mapping[str, int]) -> None:
        """All entries of a directory with an assembly are sealed, or none needed a batch."""
        with self.job.mutex:
            self.state.count(**counts)
            self.assemblies.settle(directory.id)
            self.frontier.finish(directory)

    def lost_attributes(self, losses: Sequence[XattrLoss]) -> None:
        """Extended attributes that the scan could not read."""
        with self.job.mutex:
            self.attributes.add(losses)

    def seal(self, batch: OpenBatch, partial: tuple[ScanDirectory, bytes] | None) -> None:
        """Make the open batch part of the queue; ``partial`` is a directory that goes on, sealed through that name."""
        with self.job.mutex:
            firsts = self._sort_links(batch)
            parts = [part for part in batch.parts if part.names or part.whole]
            for part in parts:
                if not part.whole:
                    self.assemblies.expect(part.directory_id, 1)
            if parts:
                work = BatchWork(self.roots, self._users(batch.uids), self._groups(batch.gids), parts, [], firsts)
                self.queue.enqueue(encode(work), batch.files, batch.bytes)
            if partial is not None:
                self.frontier.advance(*partial)
            whole = {part.directory_id for part in parts if part.whole}
            for directory in batch.ended:
                if directory.id not in whole:
                    self.assemblies.settle(directory.id)
                self.frontier.finish(directory)
            self.state.count(**batch.counts)
        self.wake()

    def seal_big_file(
        self, directory: ScanDirectory, entry: Entry, *, through: bool = True, tries: int = 0, counter: str = ""
    ) -> None:
        """Queue all segments of a file above SEGMENT_BYTES, each a batch of its own, in one transaction."""
        stat = entry.stat
        count = -(-stat.st_size // SEGMENT_BYTES)
        with self.job.mutex:
            self.assemblies.expect(directory.id, 1)
            sealing = self.queue.next_number
            for index in range(count):
                segment = Segment(
                    directory.id,
                    directory.path,
                    entry.name,
                    stat.st_dev,
                    stat.st_ino,
                    stat.st_size,
                    index,
                    count,
                    tries,
                    sealing,
                )
                owners, groups = self._users({stat.st_uid}), self._groups({stat.st_gid})
                size = min(SEGMENT_BYTES, stat.st_size - index * SEGMENT_BYTES)
                work = BatchWork(self.roots, owners, groups, [], [segment], [])
                self.queue.enqueue(encode(work), 1 if index == 0 else 0, size)
            if through:
                self.frontier.advance(directory, entry.name)
            if counter:
                self.state.count(**{counter: 1})
        self.wake()

    def seal_in_sequence(self, changing: Segment, stat: os.stat_result) -> None:
        """Queue a big file that kept changing as one segment, which is saved as it is read."""
        directory_id, path, name = changing.directory_id, changing.path, changing.name
        with self.job.mutex:
            sealing = self.queue.next_number
            segment = Segment(directory_id, path, name, stat.st_dev, stat.st_ino, stat.st_size, 0, 1, sealing=sealing)
            self.assemblies.expect(changing.directory_id, 1)
            owners, groups = self._users({stat.st_uid}), self._groups({stat.st_gid})
            self.queue.enqueue(encode(BatchWork(self.roots, owners, groups, [], [segment], [])), 1, stat.st_size)

    def requeue_entries(self, part: DirectoryPart, stat: os.stat_result) -> None:
        """Queue an entry that came back from a worker, as a batch of its own."""
        with self.job.mutex:
            self.assemblies.expect(part.directory_id, 1)
            owners, groups = self._users({stat.st_uid}), self._groups({stat.st_gid})
            work = BatchWork(self.roots, owners, groups, [part], [], [])
            self.queue.enqueue(encode(work), len(part.names), sum(part.sizes))

    def make_lenient(self, seq: int) -> None:
        """A batch failed on its source again and again while the source as a whole stands: name what fails."""
        payload = self.queue.payload(seq)
        if payload is not None:
            work = decode(payload, BatchWork)
            work.lenient = True
            self.queue.replace_payload(seq, encode(work))

    def _sort_links(self, batch: OpenBatch) -> list[LinkFirst]:
        """Of files with several names only the first name that is met stays in a batch."""
        firsts: list[LinkFirst] = []
        for part, (name, stat) in batch.links:
            if self.links.is_first(stat.st_dev, stat.st_ino):
                firsts.append(LinkFirst(part.directory_id, name, stat.st_dev, stat.st_ino))
                continue
            _remove_entry(part, name)
            batch.files -= 1
            batch.bytes -= stat.st_size
            node = self.links.node(stat.st_dev, stat.st_ino)
            if node is None:
                self.assemblies.expect(part.directory_id, 1)
                self.links.wait(stat.st_dev, stat.st_ino, (part.directory_id, part.path, name))
            else:
                run = encode_run([name], [rename_node(node, encode_name(name))], self._compressor)
                self.assemblies.add_part(part.directory_id, run)
                self.state.count(**totals_of_node(node))
        return firsts

    def _users(self, uids: set[int]) -> dict[int, str]:
        return {uid: self.owners.user(uid) for uid in uids}

    def _groups(self, gids: set[int]) -> dict[int, str]:
        return {gid: self.owners.group(gid) for gid in gids}


def encode_names(names: Sequence[bytes]) -> bytes:
    """A list of raw names, as an assembly keeps its dropped ones."""
    return msgspec.msgpack.encode(names)


def decode_names(value: bytes | None) -> frozenset[bytes]:
    """The names of ``encode_names``; none for None."""
    return frozenset() if value is None else frozenset(msgspec.msgpack.decode(value, type=list[bytes]))


def _remove_entry(part: DirectoryPart, name: bytes) -> None:
    index = part.names.index(name)
    for column in (part.names, part.modes, part.inodes, part.sizes, part.devices):
        if column:
            del column[index]
