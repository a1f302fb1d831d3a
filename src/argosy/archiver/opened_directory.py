"""An open directory of the source: its own metadata, which of its entries are wanted, and how they are encoded."""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Callable, Sequence

from argosy.archiver.scan_context import ScanContext
from argosy.filesystem.directory import Entry, UnreadableEntry
from argosy.filesystem.exclude import Selection
from argosy.filesystem.metadata import UnreadableXattr, read_xattrs_at, read_xattrs_fd
from argosy.filesystem.xattr_losses import XattrLosses
from argosy.restic_format.node import encode_tail
from argosy.state.frontier import ScanDirectory


class OpenedDirectory:
    """``prefix`` is its node but for the subtree, ``device`` its own; both are there after ``read_metadata``."""

    def __init__(self, context: ScanContext, directory: ScanDirectory, fd: int) -> None:
        self.fd = fd
        self.prefix = b""
        self.device = 0
        self._context = context
        self._ledger = context.ledger
        self._directory = directory

    def read_metadata(self) -> None:
        """Read what its node needs. OSError if the directory is no longer there to be read."""
        directory, owners = self._directory, self._ledger.owners
        stat = os.fstat(self.fd)
        user, group = owners.user(stat.st_uid), owners.group(stat.st_gid)
        prefix = self._context.encoder.prefix(directory.name, stat, user, group, stat.st_dev, stat.st_ino)
        unreadable: list[UnreadableXattr] = []
        self.prefix = prefix + encode_tail(None, read_xattrs_fd(self.fd, unreadable), 0)
        self.device = stat.st_dev
        self._report_lost_xattrs(b"", unreadable)

    def encode_xattrs(self, name: bytes) -> bytes:
        """What stands between a file's metadata and its content; says which extended attributes cannot be read."""
        unreadable: list[UnreadableXattr] = []
        tail = encode_tail(None, read_xattrs_at(self.fd, name, unreadable), 0)
        self._report_lost_xattrs(name, unreadable)
        return tail

    def _report_lost_xattrs(self, name: bytes, unreadable: list[UnreadableXattr]) -> None:
        """Say which extended attributes an entry (the directory itself: b"") is saved without."""
        if unreadable:
            losses = XattrLosses()
            losses.add(self.fd, name, self.device, unreadable)
            self._ledger.lost_attributes(losses.take())

    def report_unread(self, item: UnreadableEntry) -> None:
        """An entry that cannot be looked at is named and counted."""
        path = self._directory.path + b"/" + item.name
        self._ledger.reports.unread(path, item.error.strerror or str(item.error))
        self._ledger.state.count(unread=1)

    @property
    def is_elsewhere(self) -> bool:
        """--one-file-system: whether this is a directory of another file system, which stays empty."""
        return self._context.devices is not None and self.device not in self._context.devices

    def may_leave_out(self, names: Callable[[], list[bytes]]) -> bool:
        """Whether the rules may concern more entries than ``select`` is shown (see ``ExcludeRules.may_leave_out``)."""
        return self._context.rules.may_leave_out(self._shown_path(), self.fd, names)

    def _shown_path(self) -> bytes:
        path, shown_as = self._directory.path, self._context.shown_as
        return path if shown_as is None else shown_as(path)

    def wanted(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Without sockets (restic leaves them out) and without what the rules exclude."""
        selection = self.select(entries)
        self.report(selection)
        return selection.kept

    def select(self, entries: Sequence[Entry]) -> Selection:
        """As ``wanted``, without counting and warning yet."""
        context = self._context
        selection = context.rules.select(self._shown_path(), self.fd, entries)
        kept = [entry for entry in selection.kept if entry.stat.st_mode & 0o170000 != stat_module.S_IFSOCK]
        if context.devices is not None:
            kept = [entry for entry in kept if self._is_on_the_file_system(entry)]
        selection.kept = kept
        return selection

    def report(self, selection: Selection) -> None:
        """Count what a selection left out, and warn."""
        for warning in selection.warnings:
            self._ledger.reports.log(warning)
        self._context.excluded += selection.excluded
        self._context.snapshot_directories += len(selection.snapshot_directories)

    def _is_on_the_file_system(self, entry: Entry) -> bool:
        """--one-file-system: of another device only the directory on which it is mounted stays, empty."""
        devices = self._context.devices
        assert devices is not None
        if entry.stat.st_dev in devices:
            return True
        return stat_module.S_ISDIR(entry.stat.st_mode) and self.device in devices

    def encode(self, entry: Entry) -> bytes:
        """An entry's metadata, as its node begins."""
        name, stat = entry
        owners = self._ledger.owners
        user, group = owners.user(stat.st_uid), owners.group(stat.st_gid)
        return self._context.encoder.prefix(name, stat, user, group, stat.st_dev, stat.st_ino)
