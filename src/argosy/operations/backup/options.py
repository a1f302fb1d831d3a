"""What a user can ask of a backup."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from argosy.filesystem.exclude import ExcludeRules
from argosy.restic_format.compression import CompressionMode


class BackupOptions(msgspec.Struct, frozen=True):
    """Flags of `argosy backup`; sizes in bytes, times in seconds, paths as raw bytes.

    ``content_key`` is what the exclude flags said, as given: it must be equal for a job to be resumed.
    ``excludes`` are the patterns that the snapshot records. ``crash_point`` is called at each named moment at which
    the process may die (for fault tests). ``job_id`` is what a new job is called, if not by
    the time.
    """

    paths: tuple[bytes, ...]
    working_directory: bytes = msgspec.field(default_factory=os.getcwdb)
    shown_as: bytes | None = None
    host: str = ""
    tags: tuple[str, ...] = ()
    time_ns: int | None = None
    parent: str | None = None
    force: bool = False
    ignore_inode: bool = False
    ignore_ctime: bool = False
    with_atime: bool = False
    device_id_always: bool = True
    rules: ExcludeRules = msgspec.field(default_factory=ExcludeRules)
    excludes: tuple[str, ...] = ()
    content_key: tuple[str, ...] = ()
    one_file_system: bool = False
    allow_shrink: bool = False
    skip_if_unchanged: bool = False
    dry_run: bool = False
    queue_after_scan: bool = False
    scan_threads: int | None = None
    workers: int | None = None
    read_concurrency: int | None = None
    pack_size_bytes: int = 16 << 20
    compression: CompressionMode = "auto"
    verify: bool = True
    allow_slow_chunker: bool = False
    batch_files: int = 1024
    batch_bytes: int = 64 << 20
    resume: bool = True
    resume_within_seconds: float = 24 * 3600.0
    stop_after_seconds: float | None = None
    command_line: str = ""
    job_id: str = ""
    crash_point: Callable[[str], None] = lambda _: None


class JobSpec(msgspec.Struct, frozen=True):
    """What must be equal for an unfinished job to be resumed (R5): what is read, and what is written of it."""

    targets: list[tuple[bytes, list[bytes]]]
    host: str
    tags: list[str]
    parent: str
    force: bool
    content_key: list[str]
    ignore_inode: bool
    ignore_ctime: bool
    with_atime: bool
    device_id_always: bool
    one_file_system: bool
    time_ns: int | None


class BackupResult(msgspec.Struct, frozen=True):
    """What a backup came to. ``snapshot_id`` is None for a dry run or an unchanged source that was skipped."""

    snapshot_id: bytes | None
    tree_id: bytes
    parent: bytes | None
    job_id: str
    counters: dict[str, int]
    unread: int
    started_ns: int
    ended_ns: int
    resumed: bool
    excluded: int = 0
    snapshot_directories: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 3 if some source data could not be read."""
        return 3 if self.unread else 0


class BackupProgress(msgspec.Struct, frozen=True):
    """A look at a running job, for a display."""

    files_done: int
    bytes_done: int
    files_unmodified: int
    entries_scanned: int
    scan_done: bool
    scan_threads: int
    queue_batches: int
    queue_bytes: int
    packed_bytes: int
    unread: int
    members: list[tuple[str, int, int, int, int]]
    current: list[str]


class BackupObserver(msgspec.Struct):
    """How an operation tells its caller what happens. ``unread`` is called from any thread, the rest from one.

    ``begun`` is told the job's id, once it is known whether an unfinished job is resumed.
    """

    progress: Callable[[BackupProgress], None] = lambda _: None
    message: Callable[[str], None] = lambda _: None
    unread: Callable[[bytes, str], None] = lambda _path, _reason: None
    stop_requested: Callable[[], bool] = lambda: False
    begun: Callable[[str], None] = lambda _: None
