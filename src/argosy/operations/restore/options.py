"""What a user can ask of a restore, and what it comes to."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from argosy.errors import UsageError
from argosy.operations.crew import MemberLook
from argosy.repository.snapshots import LATEST, SnapshotFilter, StoredSnapshot
from argosy.restorer.cuts import Cuts
from argosy.restorer.overwrite import Overwrite
from argosy.restorer.selection import Selection, SelectionSpec


class RestoreOptions(msgspec.Struct, frozen=True):
    """Flags of `argosy restore`.

    ``snapshot`` is ``latest`` (among those that ``wanted`` matches) or the start of an id, perhaps with ``:SUBPATH``.
    ``listing``: the observer hears of every entry. ``cuts`` say how the work is cut.
    """

    target: bytes
    snapshot: str = LATEST
    wanted: SnapshotFilter = msgspec.field(default_factory=SnapshotFilter)
    selection: SelectionSpec = msgspec.field(default_factory=SelectionSpec)
    xattr_exclude: tuple[bytes, ...] = ()
    xattr_include: tuple[bytes, ...] = ()
    overwrite: Overwrite = Overwrite.ALWAYS
    sparse: bool = False
    delete: bool = False
    dry_run: bool = False
    verify: bool = False
    listing: bool = False
    workers: int | None = None
    cuts: Cuts = msgspec.field(default_factory=Cuts)


class RestoreProgress(msgspec.Struct, frozen=True):
    """A look at a running restore. Entries are files, directories and others; skipped ones are in no total.

    ``planned`` says that the totals are final; ``expected_…`` are what the backup counted, for a whole snapshot.
    ``members``: see ``MemberLook``.
    """

    entries_total: int
    entries_restored: int
    entries_skipped: int
    deleted: int
    bytes_total: int
    bytes_restored: int
    bytes_skipped: int
    errors: int
    planned: bool
    expected_files: int = 0
    expected_bytes: int = 0
    verifying: bool = False
    verified_files: int = 0
    verified_bytes: int = 0
    members: list[MemberLook] = msgspec.field(default_factory=list)


class RestoreResult(msgspec.Struct, frozen=True):
    """What a restore came to. ``notes`` counts pieces of metadata that the target or the user's rights do not allow.

    ``verified`` is None where nothing was verified.
    """

    snapshot: StoredSnapshot
    subpath: str
    entries_total: int
    entries_restored: int
    entries_skipped: int
    deleted: int
    bytes_total: int
    bytes_restored: int
    bytes_skipped: int
    errors: int
    notes: dict[str, int]
    verified: int | None = None

    @property
    def exit_code(self) -> int:
        """0, or 1 if something could not be restored, or did not verify."""
        return 1 if self.errors else 0


class RestoreObserver(msgspec.Struct):
    """How a restore tells its caller what happens. All are called from the caller's thread.

    ``begun`` hears which snapshot it is, ``message`` what else there is to know. ``item`` gets restic's word (restored,
    updated, unchanged, deleted), the path within the snapshot and, of a file, the size in bytes; ``error`` the path and
    the reason.
    """

    begun: Callable[[StoredSnapshot, str], None] = lambda _snapshot, _subpath: None
    progress: Callable[[RestoreProgress], None] = lambda _: None
    message: Callable[[str], None] = lambda _: None
    item: Callable[[str, bytes, int | None], None] = lambda _action, _path, _size: None
    error: Callable[[bytes, str], None] = lambda _path, _reason: None
    verifying: Callable[[], None] = lambda: None
    stop_requested: Callable[[], bool] = lambda: False


def refuse_contradictions(options: RestoreOptions) -> None:
    """UsageError for options that make no sense together, or that could delete everything (restic's rules)."""
    if not options.target:
        raise UsageError(
            "please specify a directory to restore to (--target)", hint="It is made if it does not exist: --target DIR."
        )
    everything = Selection(options.selection).everything
    if options.xattr_exclude and options.xattr_include:
        raise UsageError("exclude and include xattr patterns are mutually exclusive", hint="Give one kind of them.")
    if options.dry_run and options.verify:
        raise UsageError(
            "--dry-run and --verify are mutually exclusive", hint="A dry run writes nothing that could be verified."
        )
    if options.delete and everything and os.path.realpath(options.target) == b"/":
        raise UsageError(
            "'--target / --delete' must be combined with an include or exclude filter",
            hint="Else it would delete all of this machine that the snapshot does not have.",
        )
