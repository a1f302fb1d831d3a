"""What the master does with a batch's result: the moves from a completed batch to directories' assemblies.

The compare-and-set on the batch's attempt, its nodes, counters, named failures and follow-up work are one transaction.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections import defaultdict
from collections.abc import Callable

from argosy.archiver.big_files import BigFiles
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchResult, DirectoryPart, LinkFirst, PartResult
from argosy.archiver.nodes import rename_node, totals_of_node
from argosy.filesystem.directory import Entry
from argosy.restic_format.names import encode_name
from argosy.restic_format.node import finish_directory
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory

_MOST_TRIES = 5

KeepTree = Callable[[bytes, bytes, int], None]
"""(tree id, its sealed bytes or b"" where it is in the repository, its length)"""


class Results:
    """Applies batch results. Used by the coordinator alone."""

    def __init__(self, ledger: Ledger, keep_tree: KeepTree) -> None:
        self._ledger = ledger
        self._keep_tree = keep_tree
        self._big_files = BigFiles(ledger)

    def load(self) -> None:
        """After a crash: big files of which some segments are there."""
        self._big_files.load()

    def apply(self, seq: int, attempt: int, member: str, result: BatchResult) -> bool:
        """Accept a result; False (and nothing of it counts) when another attempt was accepted before."""
        ledger = self._ledger
        again = [(part, name, _look(part.path, name)) for part in result.parts for name in part.returned]
        with ledger.job.mutex:
            if not ledger.queue.complete(seq, attempt):
                ledger.state.count(results_dropped=1)
                return False
            self._apply_parts(result.parts)
            for part, name, stat in again:
                self._return(part, name, stat)
            for part in result.parts:
                if not (part.tree_id or (part.left_out and part.was_whole)):
                    ledger.assemblies.settle(part.directory_id)
            for segment in result.segments:
                self._big_files.add(segment)
            for link, node in result.links:
                self._resolve(link, node)
            for path, reason in result.unread:
                ledger.reports.unread(path, reason)
            ledger.state.count(
                unread=len(result.unread),
                vanished=result.vanished,
                total_files_processed=result.files,
                total_bytes_processed=result.size_bytes,
                data_blobs=result.data_blobs,
                data_added=result.data_added,
                data_added_packed=result.data_added_packed,
            )
            ledger.map.member_completed(member, result.files, result.size_bytes)
        self._big_files.join()
        return True

    def _apply_parts(self, parts: list[PartResult]) -> None:
        """Nodes into their directories; whole directories, as one run for each parent, into those."""
        assemblies = self._ledger.assemblies
        finished: defaultdict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        for part in parts:
            if part.tree_id:
                self._keep_tree(part.tree_id, part.sealed_tree, part.tree_bytes)
                finished[part.parent_id].append((part.name, finish_directory(part.prefix, part.tree_id)))
            elif part.was_whole and part.left_out:
                assemblies.settle(part.parent_id)
            else:
                if part.was_whole:
                    assemblies.open(Assembly(part.directory_id, part.parent_id, part.name, part.prefix))
                assemblies.add_part(part.directory_id, part.nodes)
        for parent_id, nodes in finished.items():
            nodes.sort()
            run = self._ledger.encode_run([name for name, _ in nodes], [node for _, node in nodes])
            assemblies.add_part(parent_id, run)
            assemblies.settle(parent_id, len(nodes))
            self._ledger.state.count(dirs_new=len(nodes))

    def _return(self, part: PartResult, name: bytes, stat: os.stat_result | None) -> None:
        """An entry that was replaced since the scan: look at what is there now, and queue that."""
        ledger = self._ledger
        if stat is None or stat_module.S_ISSOCK(stat.st_mode):
            ledger.state.count(vanished=1)
        elif stat_module.S_ISDIR(stat.st_mode):
            ledger.assemblies.expect(part.directory_id, 1)
            path = part.path + b"/" + name
            ledger.frontier.add([ScanDirectory(ledger.frontier.new_id(), part.directory_id, name, path, None)])
        elif part.tries >= _MOST_TRIES:
            ledger.reports.unread(part.path + b"/" + name, "it was replaced again and again while it was read")
            ledger.state.count(unread=1)
        else:
            entry = Entry(name, stat)
            ledger.requeue_entries(_single(part.directory_id, part.path, entry, part.tries + 1), stat)

    def _resolve(self, link: LinkFirst, node: bytes) -> None:
        """The first name of a hard link was read: the others take its node, or are read after all."""
        ledger = self._ledger
        if node:
            for directory_id, _, name in ledger.links.resolve(link.device, link.inode, node):
                run = ledger.encode_run([name], [rename_node(node, encode_name(name))])
                ledger.assemblies.add_part(directory_id, run)
                ledger.assemblies.settle(directory_id)
                ledger.state.count(**totals_of_node(node))
            return
        for directory_id, path, name in ledger.links.forget(link.device, link.inode):
            stat = _look(path, name)
            if stat is not None and not stat_module.S_ISDIR(stat.st_mode):
                ledger.requeue_entries(_single(directory_id, path, Entry(name, stat), 0), stat)
            else:
                ledger.state.count(vanished=1)
            ledger.assemblies.settle(directory_id)


def _look(path: bytes, name: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path + b"/" + name)
    except OSError:
        return None


def _single(directory_id: int, path: bytes, entry: Entry, tries: int) -> DirectoryPart:
    """A part of one entry, for a directory that has an assembly."""
    name, stat = entry
    part = DirectoryPart(directory_id, 0, b"", path, b"", stat.st_dev, tries=tries)
    part.names, part.modes, part.inodes, part.sizes = [name], [stat.st_mode], [stat.st_ino], [stat.st_size]
    return part
