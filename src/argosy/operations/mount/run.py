"""Mounts, tells, waits for the end, unmounts: also when the command is interrupted."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from argosy.errors import ArgosyError, UsageError
from argosy.operations.mount.browser import Browser
from argosy.operations.mount.fuse import require_fuse, serve, unmount
from argosy.operations.mount.layout import DEFAULT_PATHS, DEFAULT_TIME, Place, build_layout, changed_links
from argosy.operations.mount.quick_fuse import KernelMemory
from argosy.operations.session import Access, Session, open_session
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.snapshots import ALL_SNAPSHOTS, SnapshotFilter, load_snapshots

_CONTENT_BYTES = 256 * 1024 * 1024
_LOOK_FOR_SNAPSHOTS_SECONDS = 60.0
_WATCH_SECONDS = 0.1
_LEAVE_SECONDS = 5.0
_PROBLEMS_REMEMBERED = 1000


class MountOptions(msgspec.Struct, frozen=True):
    """``paths`` and ``time``: restic's templates. ``owner_root``: all belongs to root. ``check_permissions`` counts
    with ``allow_other``: the kernel then lets others read only what the modes of the files allow. Without ``xattrs`` no
    file has extended attributes or an ACL."""

    directory: str
    wanted: SnapshotFilter = ALL_SNAPSHOTS
    paths: Sequence[str] = DEFAULT_PATHS
    time: str = DEFAULT_TIME
    allow_other: bool = False
    owner_root: bool = False
    check_permissions: bool = True
    xattrs: bool = True


class MountObserver(Protocol):
    """Hears of the mount; ``problem`` from any thread."""

    def mounted(self, directory: str) -> None:
        """It can be used from now on."""

    def problem(self, what: str, error: ArgosyError) -> None:
        """Something could not be read: who asked for it got an input/output error."""


def run_mount(access: Access, options: MountOptions, observer: MountObserver, stopping: Callable[[], bool]) -> None:
    """Serve until the directory is unmounted, or ``stopping`` says so. UsageError if it cannot be mounted."""
    require_fuse()
    if not os.path.isdir(options.directory):
        raise UsageError(f"there is no directory {options.directory}", hint=f"Make it: mkdir {options.directory}")
    if not options.time or options.time.startswith("/") or options.time.endswith("/"):
        raise UsageError("the time template is empty, or has a slash at its start or end", hint="Leave it out.")
    with open_session(access) as session:
        lookup = session.open_lookup()
        problems = _Problems(observer)
        layouts = _Layouts(session, lookup, options, problems)
        layouts.current()
        browser = Browser(
            layouts.current,
            BlobReader(session.repository, lookup, memory_bytes=_CONTENT_BYTES),
            lookup,
            owner=(0, 0) if options.owner_root else None,
        )
        _Serving(browser, options, problems, layouts).run(observer, stopping)


class _Problems:
    """Tells of each problem once: the kernel asks again and again."""

    def __init__(self, observer: MountObserver) -> None:
        self._observer = observer
        self._told: dict[tuple[str, str], None] = {}
        self._lock = threading.Lock()

    def tell(self, what: str, error: ArgosyError) -> None:
        """Tell of it unless it was told."""
        with self._lock:
            key = (what, error.message)
            if key in self._told:
                return
            if len(self._told) >= _PROBLEMS_REMEMBERED:
                self._told.clear()
            self._told[key] = None
            self._observer.problem(what, error)

    def at(self, path: bytes, error: ArgosyError) -> None:
        """Tell of a file or directory."""
        self.tell(path.decode("utf-8", "backslashreplace"), error)


class _Layouts:
    """The places of the snapshots that there are; looked up again once a minute, while someone asks."""

    def __init__(self, session: Session, lookup: DedupLookup, options: MountOptions, problems: _Problems) -> None:
        self._repository = session.repository
        self._lookup = lookup
        self._options = options
        self._problems = problems
        self._lock = threading.Lock()
        self._ids: list[bytes] | None = None
        self._layout = Place()
        self._changed: deque[bytes] = deque()
        self._looked = 0.0

    def current(self) -> Place:
        """The layout. The first call raises what keeps the snapshots from being read; later the last layout stays."""
        with self._lock:
            if self._ids is None:
                self._look()
            elif time.monotonic() - self._looked >= _LOOK_FOR_SNAPSHOTS_SECONDS:
                try:
                    self._look()
                except ArgosyError as error:
                    self._looked = time.monotonic()
                    self._problems.tell("looking for new snapshots", error)
            return self._layout

    def tell_changes(self, memory: KernelMemory) -> None:
        """Have the kernel forget the links that lead elsewhere by now."""
        while self._changed:
            memory.forget(self._changed.popleft())

    def _look(self) -> None:
        ids = sorted(self._repository.list_ids(FileKind.SNAPSHOT))
        if ids != self._ids:
            if self._ids is not None:
                self._lookup.synchronize(self._repository.list_ids(FileKind.INDEX), self._repository.load_index)
            snapshots = load_snapshots(
                self._repository,
                on_damaged=lambda snapshot_id, error: self._problems.tell(f"snapshot {snapshot_id.hex()}", error),
            )
            wanted = [stored for stored in snapshots if self._options.wanted.matches(stored.snapshot)]
            layout = build_layout(wanted, self._options.paths, self._options.time)
            self._changed.extend(changed_links(self._layout, layout))
            self._layout = layout
            self._ids = ids
        self._looked = time.monotonic()


class _Serving:
    """A thread answers the kernel; this one waits, so that it hears of signals."""

    def __init__(self, browser: Browser, options: MountOptions, problems: _Problems, layouts: _Layouts) -> None:
        self._browser = browser
        self._options = options
        self._problems = problems
        self._layouts = layouts
        self._memory = KernelMemory()
        self._ready = threading.Event()
        self._failure: ArgosyError | None = None
        self._thread = threading.Thread(target=self._serve, name="mount", daemon=True)

    def run(self, observer: MountObserver, stopping: Callable[[], bool]) -> None:
        """Until it is unmounted or ``stopping`` says so."""
        told = False
        self._thread.start()
        try:
            while self._thread.is_alive() and not stopping():
                self._thread.join(_WATCH_SECONDS)
                self._layouts.tell_changes(self._memory)
                if self._ready.is_set() and not told:
                    told = True
                    observer.mounted(self._options.directory)
        finally:
            if self._thread.is_alive():
                unmount(self._options.directory)
                self._thread.join(_LEAVE_SECONDS)
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        options = self._options
        try:
            serve(
                self._browser,
                options.directory,
                self._problems.at,
                self._ready,
                self._memory,
                allow_other=options.allow_other,
                check_permissions=options.check_permissions,
                xattrs=options.xattrs,
            )
        except ArgosyError as error:
            self._failure = error
