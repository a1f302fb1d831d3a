"""What the master does with a batch's result: the moves from a completed batch to directories' assemblies.

The compare-and-set on the batch's attempt, its nodes, counters, named failures and follow-up work are one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from argosy.archiver.big_files import BigFiles
from argosy.archiver.ledger import Ledger
from argosy.archiver.messages import BatchResult, LinkFirst, PartResult
from argosy.archiver.nodes import rename_node, totals_of_node
from argosy.archiver.returning import look_again, return_entry
from argosy.restic_format.names import encode_name
from argosy.restic_format.node import finish_directory
from argosy.state.assemblies import Assembly

KeepTree = Callable[[bytes, bytes, int], None]
"""(tree id, its sealed bytes or b"" where it is in the repository, its length)"""


class Results:
    """Applies batch results. Used by the coordinator alone."""

    def __init__(self, ledger: Ledger, keep_tree: KeepTree) -> None:
        self._ledger = ledger
        self._keep_tree = keep_tree
        self._big_files = BigFiles(ledger)

    def load(self) -> None:
        """After a crash: big files of which some segments are there, or all and only the node was not made."""
        self._big_files.load()
        self._big_files.join()

    def apply(self, seq: int, attempt: int, member: str, result: BatchResult) -> bool:
        """Accept a result; False (and nothing of it counts) when another attempt was accepted before."""
        ledger = self._ledger
        again = [(part, name, look_again(part.path, name)) for part in result.parts for name in part.returned]
        with ledger.job.mutex:
            if not ledger.queue.complete(seq, attempt):
                ledger.state.count(results_dropped=1)
                return False
            self._apply_parts(result.parts)
            for part, name, seen in again:
                return_entry(ledger, part.directory_id, part.path, name, seen, part.tries + 1)
            for part in result.parts:
                if not (part.tree_id or (part.left_out and part.was_whole)):
                    ledger.assemblies.settle(part.directory_id)
            for segment in result.segments:
                self._big_files.add(segment)
            for link, node in result.links:
                self._resolve(link, node)
            for path, reason in result.unread:
                ledger.reports.unread(path, reason)
            ledger.attributes.add(result.xattr_losses)
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
            return_entry(ledger, directory_id, path, name, look_again(path, name), 0)
            ledger.assemblies.settle(directory_id)
