"""``argosy dump``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.wording import printable
from argosy.errors import ArgosyError, RestoreError, UsageError

if TYPE_CHECKING:
    from argosy.repository.snapshots import SnapshotFilter


@verb("dump", unlocks=True)
@snapshot_flags
@click.option("-a", "--archive", type=click.Choice(["tar", "zip"]), default="tar", help="how to write a directory")
@click.option("-t", "--target", metavar="FILE", help="write there instead of to standard output")
@click.argument("snapshot_id", metavar="SNAPSHOT[:PATH]")
@click.argument("file")
def command(
    ctx: Context,
    snapshot_id: str,
    file: str,
    wanted: SnapshotFilter,
    archive: str,
    target: str | None,
) -> None:
    """Print a saved file, or a directory as an archive ("/": the whole snapshot).

    Every byte is verified before it is printed. If a part of the file is damaged, what comes
    before it is printed, and the exit code is 1.
    """
    from argosy.operations.dump import ArchiveFormat, DumpObserver, DumpOptions, run_dump

    options = DumpOptions(snapshot_id, os.fsencode(file), wanted, ArchiveFormat(archive))
    output = _Target(target) if target is not None else None

    def take(is_archive: bool) -> Callable[[bytes], object]:
        if output is not None:
            return output.open()
        if is_archive and ctx.output.on_terminal:
            raise UsageError(
                "an archive is not printed on a terminal", hint="Redirect the output, or give a file with --target."
            )
        return ctx.output.raw

    def left_out(path: bytes, kind: str) -> None:
        ctx.output.warning(f"{printable(path)} is a {kind}, which the archive does not hold")

    try:
        run_dump(ctx.access, options, DumpObserver(take, left_out))
    except BaseException:
        if output is not None:
            output.abandon()
        raise
    if output is not None:
        output.close()


class _Target:
    """A file that is written; one that could not be finished is removed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def open(self) -> Callable[[bytes], object]:
        """Make the file, or empty it."""
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._failed(error) from error
        return self._write

    def close(self) -> None:
        """All is written."""
        try:
            os.close(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error

    def abandon(self) -> None:
        """A part of a file must not pass for the whole. Devices and pipes stay, of course."""
        if self._descriptor < 0:
            return
        with suppress(OSError):
            is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            os.close(self._descriptor)
            if is_file:
                os.unlink(self._path)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ArgosyError:
        return RestoreError(f"cannot write {printable(self._path)}: {error.strerror}", hint="Check the file after -t.")
