"""The quick way through a directory: the kernel lists it, and compares it with its parent's tree where there is one.

Of a directory that hardly changed only what did comes back to Python; of a fresh one that holds nothing but files, the
columns that a batch takes. The result is that of the slow way (``directory_scan`` with ``parent``), which is taken
wherever the kernel does not decide: there is no kernel, a blob of the parent may be missing, ctime does not count or
atime does, a rule may leave out a file, a name is escaped in JSON, the tree has an unusual shape, or the directory is a
huge one.
"""

from __future__ import annotations

from collections.abc import Callable

from argosy.archiver.comparison import Comparison, Standing
from argosy.archiver.nodes import NodeEncoder
from argosy.archiver.opened_directory import OpenedDirectory
from argosy.archiver.parent import CompareOptions, ParentTree
from argosy.archiver.parent_trees import ParentTrees
from argosy.errors import Damaged
from argosy.filesystem.directory import UnreadableEntry, stat_all
from argosy.filesystem.exclude import ExcludeRules
from argosy.filesystem.metadata import OwnerNames
from argosy.native import kernel
from argosy.native.listing import Columns, NativeListing, Verdict
from argosy.restic_format.node import owner_keys
from argosy.restic_format.printable import printable_ranges


class QuickListing:
    """Belongs to one scan thread."""

    def __init__(
        self, listing: NativeListing, *, compares: bool, larger_than_bytes: int | None, device_id_always: bool
    ) -> None:
        """``compares``: whether a parent's trees may be relied on."""
        self.compares = compares
        self._listing = listing
        self._larger_than_bytes = larger_than_bytes
        self._device_id_always = device_id_always

    def fresh(self, opened: OpenedDirectory, most: int, most_bytes: int) -> Columns | None:
        """All entries of a directory that has no parent's tree. OSError if it cannot be listed.

        None, to go the slow way: there are more than ``most``, one is larger than ``most_bytes``, or not every one is
        a file of the directory's own device with one name.
        """
        count = self._listing.read(opened.fd, most, is_leaf=True)
        if count is None or opened.may_leave_out(self._listing.names):
            return None
        if self._larger_than_bytes is not None:
            most_bytes = min(most_bytes, self._larger_than_bytes)
        return self._listing.columns(count, opened.device, most_bytes)

    def read(self, fd: int, most: int) -> int | None:
        """List the directory open at ``fd``: how many entries it has, or None: take the slow way. OSError as there."""
        return self._listing.read(fd, most)

    def compare(self, opened: OpenedDirectory, parent: ParentTree) -> Comparison | None:
        """What was read beside the parent's tree; None: compare it the slow way."""
        if opened.may_leave_out(self._listing.names):
            return None
        verdict = self._listing.compare(
            parent.tree,
            opened.device,
            larger_than_bytes=self._larger_than_bytes,
            device_id_always=self._device_id_always,
        )
        return None if verdict is None else _look_closer(verdict, opened, parent)

    def close(self) -> None:
        """Give its memory back."""
        self._listing.close()


def _look_closer(verdict: Verdict, opened: OpenedDirectory, parent: ParentTree) -> Comparison | None:
    """Judge what the kernel left to be judged; None if the tree has a shape that cannot be compared."""
    files, others = verdict.standing_files, verdict.standing_others
    standing = Standing(files + others, files, verdict.standing_bytes)
    comparison = Comparison(dropped=verdict.dropped, unlisted=standing)
    if not verdict.looks:
        return comparison
    unreadable: list[UnreadableEntry] = []
    selection = opened.select(stat_all(opened.fd, [name for name, _ in verdict.looks], unreadable))
    wanted = {entry.name: entry for entry in selection.kept}
    try:
        for name, place in verdict.looks:
            entry = wanted.get(name)
            if entry is not None:
                parent.compare_at(place, entry, opened.encode, comparison)
            elif place is not None:
                comparison.dropped.append(name)
    except Damaged:
        parent.rewind()
        return None
    opened.report(selection)
    for item in unreadable:
        opened.report_unread(item)
    return comparison


def quick_listings(
    parents: ParentTrees, compare: CompareOptions, rules: ExcludeRules, encoder: NodeEncoder, owners: OwnerNames
) -> Callable[[], QuickListing] | None:
    """Makes a listing for a scan thread; None without a kernel."""
    native = kernel()
    if native is None:
        return None
    compares = parents.proved and compare.prefix_may_stand

    def encode_owner(uid: int, gid: int) -> bytes:
        return owner_keys(uid, gid, owners.user(uid), owners.group(gid)).encode()

    def make() -> QuickListing:
        listing = native.listing(encode_owner, printable_ranges)
        return QuickListing(
            listing,
            compares=compares,
            larger_than_bytes=rules.larger_than_bytes,
            device_id_always=encoder.device_id_always,
        )

    return make
