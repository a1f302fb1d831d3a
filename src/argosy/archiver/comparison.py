"""What a run of a directory's entries came to beside its tree in the parent snapshot."""

from __future__ import annotations

import stat as stat_module
from collections.abc import Sequence
from itertools import chain

import msgspec

from argosy.filesystem.directory import Entry


class Standing(msgspec.Struct, frozen=True):
    """How many entries stand, how many of them are files, and these files' size."""

    entries: int = 0
    files: int = 0
    size_bytes: int = 0


class Comparison(msgspec.Struct):
    """What a run of entries came to. ``dropped`` are names of the parent's tree whose nodes do not stand.

    ``changed`` are names of ``fresh`` files that the parent has, ``reused`` has (entry, prefix, content list) of files
    whose content is good and whose metadata is not as it was. ``unlisted`` says of entries that the kernel compared,
    and that stand like those in ``standing``, only how many they are.
    """

    fresh: list[Entry] = msgspec.field(default_factory=list)
    changed: set[bytes] = msgspec.field(default_factory=set)
    reused: list[tuple[Entry, bytes, bytes]] = msgspec.field(default_factory=list)
    directories: list[tuple[Entry, bytes | None]] = msgspec.field(default_factory=list)
    dropped: list[bytes] = msgspec.field(default_factory=list)
    standing: list[Entry] = msgspec.field(default_factory=list)
    standing_nodes: list[tuple[bytes, bytes]] = msgspec.field(default_factory=list)
    unlisted: Standing = Standing()

    @property
    def stands(self) -> bool:
        """Whether any node of the parent's tree stands."""
        return bool(self.standing) or self.unlisted.entries > 0

    def add_unjudged(self, entries: Sequence[Entry]) -> None:
        """Entries of a directory that has nothing to be compared with."""
        for entry in entries:
            if entry.stat.st_mode & 0o170000 == stat_module.S_IFDIR:
                self.directories.append((entry, None))
            else:
                self.fresh.append(entry)

    def counter_of(self, fresh: Entry) -> str:
        """What to count with the transaction that seals a fresh entry; "" for what is no file."""
        if not stat_module.S_ISREG(fresh.stat.st_mode):
            return ""
        return "files_changed" if fresh.name in self.changed else "files_new"

    def unmodified_counts(self) -> dict[str, int]:
        """What to count of the files that stand, and of those whose content does."""
        kept = chain(self.standing, (entry for entry, _, _ in self.reused))
        sizes = [entry.stat.st_size for entry in kept if stat_module.S_ISREG(entry.stat.st_mode)]
        count, size = len(sizes) + self.unlisted.files, sum(sizes) + self.unlisted.size_bytes
        return {"files_unmodified": count, "total_files_processed": count, "total_bytes_processed": size}
