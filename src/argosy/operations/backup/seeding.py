"""The first rows of a new job: the top of the snapshot's tree, and the targets below it."""

from __future__ import annotations

import os
import stat as stat_module

from argosy.archiver.ledger import Ledger, encode_names
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.parent import child_subtrees
from argosy.archiver.parent_trees import ParentTrees
from argosy.archiver.returning import return_entry
from argosy.archiver.targets import TopNode, lstat_top, stat_above
from argosy.archiver.trees import ROOT_DIRECTORY
from argosy.errors import ArgosyError
from argosy.filesystem.metadata import read_xattrs_fd
from argosy.restic_format.node import encode_tail
from argosy.state.assemblies import Assembly
from argosy.state.frontier import ScanDirectory


class Seeder:
    """Puts a job's targets into its frontier, and the directories above them into assemblies."""

    def __init__(self, ledger: Ledger, encoder: NodeEncoder, parents: ParentTrees) -> None:
        self._ledger = ledger
        self._encoder = encoder
        self._parents = parents

    def seed(self, top: TopNode, base_tree: bytes | None) -> None:
        """Seed a new job; ``base_tree`` is the parent snapshot's root tree."""
        with self._ledger.job.mutex:
            root = self._ledger.frontier.new_id()
            assert root == ROOT_DIRECTORY
            if top.is_target:
                self._ledger.frontier.add([ScanDirectory(root, 0, b"", top.path, base_tree)])
            else:
                self._open(top, root, 0, b"", base_tree)

    def _open(self, node: TopNode, directory_id: int, parent_id: int, prefix: bytes, base_tree: bytes | None) -> None:
        ledger = self._ledger
        subtrees = self._subtrees(base_tree)
        if subtrees is None:
            base_tree, subtrees = None, {}
        # Everything in it comes as a part; the parent's tree only tells whether the directory has changed.
        dropped = encode_names(sorted(subtrees))
        ledger.assemblies.open(Assembly(directory_id, parent_id, node.name, prefix, base_tree, dropped))
        for name in sorted(node.children):
            child = node.children[name]
            stat = lstat_top(child.path) if child.is_target else stat_above(child.path)
            if child.is_target and not stat_module.S_ISDIR(stat.st_mode):
                return_entry(ledger, directory_id, os.path.dirname(child.path) or b"/", name, stat, 0)
                ledger.state.count(files_new=stat_module.S_ISREG(stat.st_mode))
                continue
            child_id = ledger.frontier.new_id()
            ledger.assemblies.expect(directory_id, 1)
            if child.is_target:
                found = ScanDirectory(child_id, directory_id, name, child.path, subtrees.get(name))
                ledger.frontier.add([found])
            else:
                self._open(child, child_id, directory_id, self._prefix(name, child.path, stat), subtrees.get(name))
        ledger.assemblies.settle(directory_id)

    def _prefix(self, name: bytes, path: bytes, stat: os.stat_result) -> bytes:
        owners = self._ledger.owners
        user, group = owners.user(stat.st_uid), owners.group(stat.st_gid)
        prefix = self._encoder.prefix(name, stat, user, group, stat.st_dev, stat.st_ino)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            # A directory above the source that may be passed through but not read: its attributes stay unknown.
            return prefix
        try:
            return prefix + encode_tail(None, read_xattrs_fd(fd, []), 0)
        finally:
            os.close(fd)

    def _subtrees(self, tree_id: bytes | None) -> dict[bytes, bytes | None] | None:
        """The parent's entries here; None if they cannot be read: then nothing may be built upon them."""
        if tree_id is None:
            return {}
        try:
            return child_subtrees(self._parents.load(tree_id))
        except ArgosyError:
            # A damaged parent must not stop the backup that may replace it.
            self._parents.missing += 1
            return None
