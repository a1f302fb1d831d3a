"""What a user can ask of a verification, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from argosy.operations.crew import MemberLook
from argosy.operations.verify.messages import Difference
from argosy.repository.snapshots import LATEST, SnapshotFilter, StoredSnapshot
from argosy.restorer.selection import SelectionSpec

EXIT_UNREADABLE = 3
EXIT_DIFFERENT = 4
IGNORABLE = ("mode", "owner", "mtime", "links", "xattrs")


class VerifyOptions(msgspec.Struct, frozen=True):
    """Flags of `argosy verify`.

    ``snapshot`` is ``latest`` (among those that ``wanted`` matches) or the start of an id, perhaps with ``:SUBPATH``.
    ``ignored``: which of ``IGNORABLE`` are not compared. ``report``: the file that the report is written to.
    """

    source: bytes
    snapshot: str = LATEST
    wanted: SnapshotFilter = msgspec.field(default_factory=SnapshotFilter)
    selection: SelectionSpec = msgspec.field(default_factory=SelectionSpec)
    ignored: frozenset[str] = frozenset()
    report: bytes | None = None
    workers: int | None = None


class VerifyResult(msgspec.Struct):
    """Counts. Entries of a directory that is on one side only are in ``below``, the directory itself in its kind.

    ``silent``: changed files whose size and mtime are what they were, which is what failing disks do, and intruders.
    ``report``: the file that was written, if any.
    """

    snapshot: StoredSnapshot
    subpath: str
    report: bytes | None = None
    files: int = 0
    directories: int = 0
    others: int = 0
    size_bytes: int = 0
    changed: int = 0
    changing: int = 0
    missing_in_source: int = 0
    missing_in_snapshot: int = 0
    below: int = 0
    silent: int = 0
    unreadable: int = 0
    passed_over: int = 0
    problems: int = 0

    @property
    def differences(self) -> int:
        """How many entries are not the same, directories on one side only counted once."""
        return self.changed + self.changing + self.missing_in_source + self.missing_in_snapshot

    @property
    def exit_code(self) -> int:
        """1: damage in the repository; 4: differences; 3: none, but something could not be read; 0: all the same."""
        if self.problems:
            return 1
        if self.differences:
            return EXIT_DIFFERENT
        return EXIT_UNREADABLE if self.unreadable else 0


class VerifyProgress(msgspec.Struct, frozen=True):
    """A look at a running verification; ``expected_…`` are what the backup counted, for a whole snapshot.

    ``members``: see ``MemberLook``; entries are files.
    """

    files: int
    size_bytes: int
    differences: int
    expected_files: int = 0
    expected_bytes: int = 0
    members: list[MemberLook] = msgspec.field(default_factory=list)


class VerifyObserver(msgspec.Struct):
    """How a verification tells what happens. All are called from the caller's thread.

    ``found`` hears of differences and of what could not be read, ``problem`` of damage in the repository: the path, and
    what is wrong. ``message``: what else a user should know.
    """

    begun: Callable[[StoredSnapshot, str], None] = lambda _snapshot, _subpath: None
    found: Callable[[Difference], None] = lambda _difference: None
    problem: Callable[[bytes, str], None] = lambda _path, _reason: None
    message: Callable[[str], None] = lambda _: None
    progress: Callable[[VerifyProgress], None] = lambda _progress: None
    stop_requested: Callable[[], bool] = lambda: False
