"""``argosy backup``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.cluster_flags import submitting_flags
from argosy.cli.commands.init import say_created
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.globals import COMPRESSION_MODES
from argosy.cli.values import duration, moment, pack_size, parallel, parallel_or_auto, split_tags
from argosy.errors import UsageError
from argosy.operations.backup.handler import HANDLER

if TYPE_CHECKING:
    from argosy.cli.cluster_jobs import JobShow
    from argosy.cli.display import Display
    from argosy.cli.sources import Excludes, Sources
    from argosy.operations.backup.options import BackupOptions, BackupProgress, BackupResult
    from argosy.repository.repository import Repository
    from argosy.storage.interface import Storage

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

EXIT_INCOMPLETE = 3
_DAY_SECONDS = 86400.0
_PACK_SIZE_BYTES = 16 << 20

_STOPPING = "stopping: what is packed is stored, so that the job can be resumed; once more stops at once"
_STOPPING_STREAM = "stopping: a stream cannot be resumed; once more stops at once"

_LIST: dict[str, Any] = {"multiple": True, "metavar": "FILE"}
_PATTERN: dict[str, Any] = {"multiple": True, "metavar": "PATTERN"}
_SOURCE_FLAGS = (
    click.option("--files-from", **_LIST, help="read what to back up from a file: a pattern a line"),
    click.option("--files-from-verbatim", **_LIST, help="the same, a path a line, taken as it stands"),
    click.option("--files-from-raw", **_LIST, help="the same, paths that each end with a zero byte"),
    click.option("-e", "--exclude", **_PATTERN, help="leave out what matches"),
    click.option("--iexclude", **_PATTERN, help="the same, upper or lower case alike"),
    click.option("--exclude-file", **_LIST, help="read patterns from a file"),
    click.option("--iexclude-file", **_LIST, help="the same, upper or lower case alike"),
    click.option("--exclude-caches", is_flag=True, help="leave out directories that a CACHEDIR.TAG marks"),
    click.option(
        "--exclude-if-present",
        multiple=True,
        metavar="NAME[:HEADER]",
        help="leave out what lies beside a file of this name (that starts with HEADER)",
    ),
    click.option("--exclude-larger-than", metavar="SIZE", help="leave out larger files: 512M, 4G"),
    click.option("-x", "--one-file-system", is_flag=True, help="do not cross into other file systems"),
    click.option("--stdin", is_flag=True, help="save what comes through standard input as one file"),
    click.option(
        "--stdin-filename", metavar="NAME", help="the name of that file in the snapshot, with directories or without"
    ),
    click.option(
        "--stdin-from-command", is_flag=True, help="save what a command prints; the arguments are the command"
    ),
    click.option(
        "--as", "shown_as", metavar="PATH", help="save the one source under another path (of a storage snapshot)"
    ),
)
_COMPARE_FLAGS = (
    click.option(
        "--parent", metavar="SNAPSHOT", help="compare with this snapshot (else: the latest of host and paths)"
    ),
    click.option("-f", "--force", is_flag=True, help="read every file again"),
    click.option("--ignore-inode", is_flag=True, help="do not compare inode numbers and ctime"),
    click.option("--ignore-ctime", is_flag=True, help="do not compare ctime"),
    click.option("--with-atime", is_flag=True, help="save access times too"),
    click.option(
        "--device-id",
        type=click.Choice(["always", "hardlinks"]),
        default="always",
        help="save device numbers always, or only where hard links need them (stable on network file systems)",
    ),
    click.option("--allow-shrink", is_flag=True, help="go on if the source is empty or has lost half its files"),
    click.option("--skip-if-unchanged", is_flag=True, help="make no snapshot that would equal its parent"),
)
_SNAPSHOT_FLAGS = (
    click.option("--tag", "tags", multiple=True, metavar="TAG[,TAG…]", help="tag the snapshot"),
    click.option("-H", "--host", help="the snapshot's host (else: this machine's name) [ARGOSY_HOST]"),
    click.option("--time", "time_ns", type=moment, metavar="TIME", help="the snapshot's time: '2012-11-01 22:08:41'"),
)
_RUN_FLAGS = (
    click.option("-n", "--dry-run", is_flag=True, help="write nothing, only say what would be done"),
    click.option("--init", "init", is_flag=True, help="make the repository if there is none"),
    click.option("--scan-threads", type=parallel_or_auto, metavar="N|auto", help="threads that walk the source"),
    click.option("--workers", type=parallel_or_auto, metavar="N|auto", help="worker processes (auto: one a processor)"),
    click.option(
        "--read-concurrency",
        type=parallel,
        metavar="N",
        help="files that a worker reads at once [ARGOSY_READ_CONCURRENCY]",
    ),
    click.option("--queue-after-scan", is_flag=True, help="upload nothing until the scan has ended"),
    click.option("--no-resume", is_flag=True, help="close an unfinished job of this source and begin anew"),
    click.option("--resume-within", type=duration, metavar="DURATION", help="resume jobs up to this age (24h)"),
    click.option("--stop-after", type=duration, metavar="DURATION", help="stop then, to be resumed: 8h"),
    click.option("--allow-slow-chunker", is_flag=True, help="work even without the fast chunker"),
    click.option("--no-scan", is_flag=True, help="restic's flag, without effect: no scan is made for display alone"),
)


def _backup_flags(function: Decorated) -> Decorated:
    for flag in reversed((*_SOURCE_FLAGS, *_COMPARE_FLAGS, *_SNAPSHOT_FLAGS, *_RUN_FLAGS)):
        function = flag(function)
    return function


@verb("backup", unlocks=True)
@_backup_flags
@submitting_flags
@click.argument("paths", nargs=-1)
def command(ctx: Context, /, **flags: Any) -> int:
    """Back up files and directories into a new snapshot.

    Interrupted (Ctrl-C, a kill, a power cut), the same command goes on where it stopped.

    Exit codes: 0 done, 1 no snapshot was made, 3 a snapshot was made that lacks files that could not be read, 10 there
    is no repository, 11 it is locked, 12 the password is wrong, 130 interrupted.
    """
    if not (flags["cluster"] or flags["stdin"] or flags["stdin_from_command"]):
        ctx.start_nursery(HANDLER)
    from argosy.cli.backup_reporter import BackupReporter
    from argosy.cli.log_lines import route_log
    from argosy.cli.sources import Sources, collect_excludes, collect_sources, collect_stream
    from argosy.operations.backup.options import BackupObserver
    from argosy.operations.backup.run import run_backup
    from argosy.operations.backup.stream import run_stream_backup

    route_log(ctx.output)
    stream = collect_stream(flags["paths"], flags)
    if stream is not None and not stream.command:
        ctx.passwords.leave_standard_input()
    sources = Sources() if stream is not None else collect_sources(flags["paths"], flags, ctx.output)
    own = (ctx.cache_directory, ctx.state_directory)
    excludes = collect_excludes(flags, ctx.given.variables, own, sources, flags["shown_as"])
    options = _options(ctx, flags, sources, excludes)
    if flags["cluster"]:
        code = _back_up_by_cluster(ctx, flags, options, is_stream=stream is not None)
        return EXIT_INCOMPLETE if sources.missing and not code else code
    with (
        ctx.stopping(_STOPPING if stream is None else _STOPPING_STREAM) as stop,
        BackupReporter(ctx.output, backup_display(ctx)) as reporter,
    ):
        observer = BackupObserver(reporter.progress, reporter.message, reporter.unread, stop)
        create = _opener(ctx, dry_run=options.dry_run) if flags["init"] else None
        if stream is None:
            result = run_backup(ctx.access, options, ctx.state_directory, observer, create=create, nursery=ctx.nursery)
        else:
            result = run_stream_backup(ctx.access, options, stream, ctx.state_directory, observer, create=create)
    say_result(ctx, result, dry_run=options.dry_run)
    return EXIT_INCOMPLETE if sources.missing else result.exit_code


def _back_up_by_cluster(ctx: Context, flags: dict[str, Any], options: BackupOptions, *, is_stream: bool) -> int:
    from argosy.cli.cluster_jobs import run_by_cluster
    from argosy.daemon.protocol import backup_order

    if is_stream:
        raise UsageError("what comes through a pipe cannot be backed up by a cluster", hint="Leave out --cluster.")
    order = backup_order(options, create=flags["init"])
    show = backup_show(ctx, dry_run=options.dry_run)
    return run_by_cluster(ctx, flags, order, show, is_new=flags["init"])


def backup_show(ctx: Context, *, dry_run: bool = False) -> JobShow:
    """How a cluster's backup is shown."""
    from argosy.cli.backup_reporter import BackupReporter
    from argosy.cli.cluster_jobs import JobShow
    from argosy.operations.backup.options import BackupObserver

    reporter = BackupReporter(ctx.output, backup_display(ctx))

    def finish(result: BackupResult) -> int:
        say_result(ctx, result, dry_run=dry_run)
        return result.exit_code

    return JobShow(
        lambda stop: BackupObserver(reporter.progress, reporter.message, reporter.unread, stop), finish, reporter
    )


def _options(ctx: Context, flags: dict[str, Any], sources: Sources, excludes: Excludes) -> BackupOptions:
    from argosy.operations.backup.options import BackupOptions

    given, shown_as = ctx.given, flags["shown_as"]
    reading = flags["read_concurrency"]
    return BackupOptions(
        paths=tuple(sources.paths),
        shown_as=None if shown_as is None else os.fsencode(shown_as),
        # Of a cluster's job it is the master that knows.
        host=flags["host"] or given.variables.first("HOST") or ("" if flags["cluster"] else os.uname().nodename),
        tags=split_tags(flags["tags"]),
        time_ns=flags["time_ns"],
        parent=flags["parent"],
        force=flags["force"],
        ignore_inode=flags["ignore_inode"],
        # restic: "ignore inode number and ctime changes"
        ignore_ctime=flags["ignore_ctime"] or flags["ignore_inode"],
        with_atime=flags["with_atime"],
        device_id_always=flags["device_id"] == "always",
        rules=excludes.rules,
        excludes=excludes.recorded,
        content_key=(*sources.key, *excludes.key),
        one_file_system=flags["one_file_system"],
        allow_shrink=flags["allow_shrink"],
        skip_if_unchanged=flags["skip_if_unchanged"],
        dry_run=flags["dry_run"],
        queue_after_scan=flags["queue_after_scan"],
        scan_threads=flags["scan_threads"],
        workers=flags["workers"],
        read_concurrency=given.value("", "READ_CONCURRENCY", parallel, None) if reading is None else reading,
        pack_size_bytes=given.value("pack_size", "PACK_SIZE", pack_size, _PACK_SIZE_BYTES),
        compression=given.value("compression", "COMPRESSION", _compression_mode, "auto"),
        verify=not given.yes("no_extra_verify"),
        allow_slow_chunker=flags["allow_slow_chunker"],
        resume=not flags["no_resume"],
        resume_within_seconds=_DAY_SECONDS if flags["resume_within"] is None else flags["resume_within"],
        stop_after_seconds=flags["stop_after"],
    )


def _compression_mode(text: str) -> str:
    if text not in COMPRESSION_MODES:
        raise click.BadParameter(f"{text!r} is none of {', '.join(COMPRESSION_MODES)}")
    return text


def backup_display(ctx: Context) -> Display[BackupProgress] | None:
    """How to show progress, by the flags and the terminal."""
    from argosy.cli.backup_reporter import progress_line, status_document
    from argosy.cli.display import choose_display

    def live() -> Display[BackupProgress]:
        from argosy.cli.backup_picture import backup_picture
        from argosy.cli.live import LiveDisplay

        return LiveDisplay(ctx.output, backup_picture)

    return choose_display(ctx, status_document, progress_line, live)


def _opener(ctx: Context, *, dry_run: bool) -> Callable[[Storage], Repository]:
    from argosy.operations.init import InitResult, open_or_create

    def created(result: InitResult) -> None:
        say_created(ctx.output, result.id, ctx.location, result.location)

    return open_or_create(ctx.access, ctx.state_directory, ctx.passwords.new, created, dry_run=dry_run)


def say_result(ctx: Context, result: BackupResult, *, dry_run: bool) -> None:
    """Print what a backup came to."""
    from argosy.cli.backup_reporter import UNREAD_NOTE, summary_document, summary_lines, unread_lines

    output = ctx.output
    if ctx.json:
        output.document(summary_document(result, dry_run=dry_run), flush=True)
        if result.exit_code:
            message = f"Warning: {UNREAD_NOTE}"
            output.error_document({"message_type": "exit_error", "code": result.exit_code, "message": message})
        return
    for line in summary_lines(result, dry_run=dry_run):
        output.message(line)
    if result.exit_code:
        for line in unread_lines(result):
            output.error_line(line)
