"""The batch that a scan thread is filling."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.archiver.messages import DirectoryPart
from argosy.filesystem.directory import Entry
from argosy.native.listing import Columns
from argosy.state.frontier import ScanDirectory


class BatchLimits(msgspec.Struct, frozen=True):
    """A batch is sealed when it has reached either."""

    files: int = 1024
    bytes: int = 64 << 20


class OpenBatch(msgspec.Struct):
    """Parts in scan order; ``ended`` are the directories whose last entry is here."""

    limits: BatchLimits
    parts: list[DirectoryPart] = msgspec.field(default_factory=list)
    ended: list[ScanDirectory] = msgspec.field(default_factory=list)
    links: list[tuple[DirectoryPart, Entry]] = msgspec.field(default_factory=list)
    uids: set[int] = msgspec.field(default_factory=set)
    gids: set[int] = msgspec.field(default_factory=set)
    files: int = 0
    bytes: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether sealing it would do nothing."""
        return not self.parts and not self.ended

    @property
    def full(self) -> bool:
        """Whether it has reached a limit; a directory weighs as much as a file."""
        return self.files + len(self.parts) >= self.limits.files or self.bytes >= self.limits.bytes

    def fits(self, files: int, size_bytes: int) -> bool:
        """Whether a whole directory still finds room."""
        return self.files + len(self.parts) + files <= self.limits.files and (
            not self.bytes or self.bytes + size_bytes <= self.limits.bytes
        )

    def add(self, part: DirectoryPart, entry: Entry) -> None:
        """Put one entry into its directory's part."""
        name, stat = entry
        if stat.st_dev != part.device or part.devices:
            if not part.devices:
                part.devices = [part.device] * len(part.names)
            part.devices.append(stat.st_dev)
        part.names.append(name)
        part.modes.append(stat.st_mode)
        part.inodes.append(stat.st_ino)
        part.sizes.append(stat.st_size)
        self.uids.add(stat.st_uid)
        self.gids.add(stat.st_gid)
        self.files += 1
        self.bytes += stat.st_size
        if stat.st_nlink > 1:
            self.links.append((part, entry))

    def add_all(self, part: DirectoryPart, entries: Sequence[Entry]) -> None:
        """Put a directory's entries into its part, a column at a time: a third of what ``add`` costs for each."""
        stats = [entry.stat for entry in entries]
        if part.devices or any(stat.st_dev != part.device for stat in stats):
            for entry in entries:
                self.add(part, entry)
            return
        sizes = [stat.st_size for stat in stats]
        part.names += [entry.name for entry in entries]
        part.modes += [stat.st_mode for stat in stats]
        part.inodes += [stat.st_ino for stat in stats]
        part.sizes += sizes
        self.uids.update([stat.st_uid for stat in stats])
        self.gids.update([stat.st_gid for stat in stats])
        self.files += len(entries)
        self.bytes += sum(sizes)
        self.links += [(part, entry) for entry in entries if entry.stat.st_nlink > 1]

    def add_columns(self, part: DirectoryPart, fresh: Columns) -> None:
        """Put all entries of a directory, none of which has a second link or another device, into its new part."""
        part.names, part.modes, part.inodes, part.sizes = fresh.names, fresh.modes, fresh.inodes, fresh.sizes
        self.uids |= fresh.uids
        self.gids |= fresh.gids
        self.files += len(fresh.names)
        self.bytes += sum(fresh.sizes)

    def count(self, key: str, number: int) -> None:
        """Count something with the transaction that seals this batch; "" counts for nothing."""
        if number and key:
            self.counts[key] = self.counts.get(key, 0) + number
