"""The Python API (`import argosy`): a repository, and what can be done with it. docs/api.md shows it in use.

Everything is done by the operations that the command line calls, with their observers and results; what a verb
composes of two operations stands here, too. A call opens and locks the repository and leaves it in order; any number of
calls may follow each other. Errors are ``ArgosyError``, whose ``exit_code`` is the command line's.

Not promised: that two threads may use one ``Repository`` at the same time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import msgspec
from msgspec.structs import replace

from argosy.operations.directories import default_cache_directory, default_state_directory
from argosy.operations.session import Access, open_session
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, StoredSnapshot, find_subtree, resolve_snapshot
from argosy.storage.options import StorageOptions

if TYPE_CHECKING:
    from argosy.operations.backup.options import BackupObserver, BackupResult
    from argosy.operations.check.options import CheckObserver, CheckResult
    from argosy.operations.forget.run import ForgetOptions, ForgetPlan, ForgetResult
    from argosy.operations.init import InitResult
    from argosy.operations.prune.options import PruneObserver, PruneOptions
    from argosy.operations.restore.options import RestoreObserver, RestoreResult
    from argosy.operations.verify.options import VerifyObserver, VerifyResult
    from argosy.operations.verify.report import CheckedReport
    from argosy.restorer.selection import SelectionSpec

AnyPattern = str | bytes
AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Password = str | bytes | Callable[[], bytes]


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot. ``id`` and ``tree`` are in hexadecimal; ``time`` is when the backup began."""

    id: str
    time: datetime
    hostname: str
    username: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    tree: str


class Entry(msgspec.Struct, frozen=True):
    """An entry of a snapshot. ``path`` is absolute within it, bytes that are not UTF-8 as surrogate escapes.

    ``type``: file, dir, symlink, dev, chardev, fifo or socket. ``mode``: permissions and type as stat(2) has them.
    ``target``: what a symlink points at.
    """

    path: str
    type: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    target: str


class Repository:
    """A repository by its location, written as for the command line, and its password.

    Nothing is opened before it is needed. ``state_directory`` is where backups are recorded, so that they can be
    resumed; ``cache_directory`` may be deleted at any time. ``lock_patience_seconds``: how long to wait for a lock.
    """

    def __init__(
        self,
        location: AnyPath,
        password: Password,
        *,
        storage: StorageOptions | None = None,
        state_directory: Path | None = None,
        cache_directory: Path | None = None,
        lock_patience_seconds: float = 0.0,
    ) -> None:
        is_root, home = os.geteuid() == 0, Path.home()
        self._state_directory = state_directory or default_state_directory(is_root=is_root, home=home)
        self._access = Access(
            os.fsdecode(location),
            _asked(password),
            cache_directory or default_cache_directory(is_root=is_root, home=home),
            storage or StorageOptions(),
            retry_lock_seconds=lock_patience_seconds,
        )

    @classmethod
    def of(cls, access: Access, state_directory: Path) -> Self:
        """The repository that a command line has described."""
        repository = cls.__new__(cls)
        repository._access, repository._state_directory = access, state_directory
        return repository

    def create(self) -> InitResult:
        """Make it; returns its id and where it is. RepositoryExists if it is there."""
        from argosy.operations.init import run_init

        return run_init(self._access)

    def backup(
        self,
        paths: Sequence[AnyPath],
        *,
        host: str | None = None,
        tags: Sequence[str] = (),
        exclude: Sequence[AnyPattern] = (),
        allow_shrink: bool = False,
        dry_run: bool = False,
        workers: int | None = None,
        observer: BackupObserver | None = None,
    ) -> BackupResult:
        """Back up files and directories; a backup that was interrupted goes on. Arguments as the flags of that name.

        What could not be read is counted in the result (``unread``) and told to the observer.
        """
        from argosy.filesystem.exclude import ExcludeRules
        from argosy.operations.backup.options import BackupObserver, BackupOptions
        from argosy.operations.backup.run import run_backup

        patterns = _encoded(exclude)
        options = BackupOptions(
            _encoded(paths),
            host=os.uname().nodename if host is None else host,
            tags=tuple(tags),
            rules=ExcludeRules(patterns),
            excludes=tuple(os.fsdecode(pattern) for pattern in patterns),
            content_key=tuple(f"exclude {pattern!r}" for pattern in patterns),
            allow_shrink=allow_shrink,
            dry_run=dry_run,
            workers=workers,
        )
        return run_backup(self._access, options, self._state_directory, observer or BackupObserver())

    def snapshots(self, wanted: SnapshotFilter = ALL_SNAPSHOTS) -> list[Snapshot]:
        """Those that ``wanted`` lets through, oldest first. Damaged if one cannot be read."""
        from argosy.operations.selection import select_snapshots

        with open_session(self._access) as session:
            return [_public(stored) for stored in select_snapshots(session.repository, (), wanted)]

    def entries(self, snapshot: str = "latest", wanted: SnapshotFilter = ALL_SNAPSHOTS) -> Iterator[Entry]:
        """What is in a snapshot (``ID:DIR``: in one directory of it), in order of path, read as it is asked for.

        The repository stays locked, as by a backup, until the iterator has ended or is closed.
        """
        from argosy.operations.tree_walk import walk_tree

        with open_session(self._access) as session:
            stored, subpath = resolve_snapshot(session.repository, snapshot, wanted)
            reader = session.blob_reader(session.open_lookup())
            root = find_subtree(reader, stored.snapshot.tree, subpath)
            for visit in walk_tree(reader, root):
                if visit.left:
                    continue
                node = visit.node
                yield Entry(
                    os.fsdecode(visit.path),
                    node.type,
                    node.size,
                    node.st_mode(),
                    node.uid,
                    node.gid,
                    node.mtime_ns(),
                    os.fsdecode(node.linktarget_bytes()),
                )

    def restore(
        self,
        snapshot: str,
        target: AnyPath,
        *,
        include: Sequence[AnyPattern] = (),
        exclude: Sequence[AnyPattern] = (),
        overwrite: Literal["always", "if-changed", "if-newer", "never"] = "always",
        delete: bool = False,
        dry_run: bool = False,
        verify: bool = False,
        workers: int | None = None,
        observer: RestoreObserver | None = None,
    ) -> RestoreResult:
        """Restore a snapshot, or ``ID:DIR``, below ``target``. Arguments as the flags of that name.

        What could not be restored is counted in the result (``errors``) and told to the observer.
        """
        from argosy.operations.restore.options import RestoreObserver, RestoreOptions
        from argosy.operations.restore.run import run_restore
        from argosy.restorer.overwrite import Overwrite

        options = RestoreOptions(
            os.fsencode(target),
            snapshot,
            selection=_selection(include, exclude),
            overwrite=Overwrite(overwrite),
            delete=delete,
            dry_run=dry_run,
            verify=verify,
            workers=workers,
        )
        return run_restore(self._access, options, observer or RestoreObserver())

    def check(
        self, *, read_data: bool | str = False, workers: int | None = None, observer: CheckObserver | None = None
    ) -> CheckResult:
        """Test it. ``read_data``: also every stored byte, or the part that ``--read-data-subset`` calls so ("1/7").

        What is wrong is counted in the result (``problems``) and told to the observer.
        """
        from argosy.operations.check.options import CheckObserver, CheckOptions
        from argosy.operations.check.run import run_check
        from argosy.operations.check.subset import READ_ALL, parse_subset

        subset = parse_subset(read_data) if isinstance(read_data, str) else READ_ALL if read_data else None
        return run_check(self._access, CheckOptions(subset, workers=workers), observer or CheckObserver())

    def verify(
        self,
        snapshot: str,
        source: AnyPath,
        *,
        include: Sequence[AnyPattern] = (),
        exclude: Sequence[AnyPattern] = (),
        ignore: Sequence[Literal["mode", "owner", "mtime", "links", "xattrs"]] = (),
        report: AnyPath | None = None,
        workers: int | None = None,
        observer: VerifyObserver | None = None,
    ) -> VerifyResult:
        """Compare a snapshot, or ``ID:DIR``, with a directory. Arguments as the flags of that name.

        Differences, what could not be read, and damage are counted in the result and told to the observer.
        """
        from argosy.operations.verify.options import VerifyObserver, VerifyOptions
        from argosy.operations.verify.run import run_verify

        options = VerifyOptions(
            os.fsencode(source),
            snapshot,
            selection=_selection(include, exclude),
            ignored=frozenset(ignore),
            report=None if report is None else os.fsencode(report),
            workers=workers,
        )
        return run_verify(self._access, options, observer or VerifyObserver())

    def check_report(self, path: AnyPath) -> CheckedReport:
        """Prove a report of ``verify``. Damaged if it is not as it was written, or of another repository."""
        from argosy.operations.verify.run import run_check_report

        return run_check_report(self._access, os.fsencode(path))


def _encoded(paths: Sequence[AnyPath]) -> tuple[bytes, ...]:
    return tuple(os.fsencode(path) for path in paths)


def _selection(include: Sequence[AnyPattern], exclude: Sequence[AnyPattern]) -> SelectionSpec:
    from argosy.restorer.selection import SelectionSpec

    return SelectionSpec(exclude=_encoded(exclude), include=_encoded(include))


def _asked(password: Password) -> Callable[[], bytes]:
    if callable(password):
        return password
    given = password.encode() if isinstance(password, str) else password
    return lambda: given


def _public(stored: StoredSnapshot) -> Snapshot:
    snapshot = stored.snapshot
    return Snapshot(
        stored.id.hex(),
        datetime.fromtimestamp(snapshot.time_ns() / 1e9, UTC),
        snapshot.hostname,
        snapshot.username,
        tuple(snapshot.paths),
        tuple(snapshot.tags),
        snapshot.tree.hex(),
    )


def forget_and_prune(
    access: Access,
    forget: ForgetOptions,
    prune: PruneOptions,
    show_plan: Callable[[ForgetPlan], None],
    show_result: Callable[[ForgetResult], None],
    observer: PruneObserver,
) -> ForgetResult:
    """Remove snapshots, and if any went, what no other uses, under one exclusive lock.

    Errors are those of ``run_forget`` and ``run_prune``; if the prune fails, the snapshots are gone already.
    """
    from argosy.operations.forget.run import forget_in, refuse_misuse
    from argosy.operations.prune.run import prune_in

    refuse_misuse(forget, no_lock=access.no_lock)
    with open_session(access, exclusive=True) as session:
        result = forget_in(session, forget, show_plan)
        show_result(result)
        if result.removed_ids:
            prune_in(session, replace(prune, without=frozenset(result.removed_ids)), observer)
        return result
