"""``argosy diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.entry_words import shown_name
from argosy.cli.output import Output
from argosy.cli.snapshot_words import short_id
from argosy.cli.wording import json_text, printable, size

if TYPE_CHECKING:
    from argosy.errors import Damaged
    from argosy.operations.diff import DiffListener, DiffResult, SideCounts
    from argosy.repository.snapshots import StoredSnapshot


@verb("diff", unlocks=True)
@click.option("--metadata", is_flag=True, help="also what changed in mode, owner, times or the like alone")
@click.option("--no-blobs", is_flag=True, help="do not count blobs: unchanged directories are then not read at all")
@click.argument("before", metavar="SNAPSHOT[:PATH]")
@click.argument("after", metavar="SNAPSHOT[:PATH]")
def command(ctx: Context, before: str, after: str, metadata: bool, no_blobs: bool) -> int:
    """What changed from one snapshot ("latest": the newest) to another.

    \b
    +  added                   -  removed
    M  its content changed     ?  ... and nothing else: the disk may have done that
    T  its type changed        U  mode, owner, times or the like changed
    """
    from argosy.operations.diff import DiffOptions, run_diff

    options = DiffOptions(before, after, metadata=metadata, blobs=not no_blobs)
    result = run_diff(ctx.access, options, _listener(ctx))
    if ctx.json:
        ctx.output.document(statistics_document(before, after, result))
    else:
        _print(ctx.output, result, blobs=not no_blobs)
    return result.exit_code


def statistics_document(before: str, after: str, result: DiffResult) -> dict[str, object]:
    """restic's last document."""
    return {
        "message_type": "statistics",
        "source_snapshot": before,
        "target_snapshot": after,
        "changed_files": result.changed_files,
        "added": _side_document(result.added),
        "removed": _side_document(result.removed),
    }


def _side_document(side: SideCounts) -> dict[str, int]:
    return {
        "files": side.files,
        "dirs": side.directories,
        "others": side.others,
        "data_blobs": side.data_blobs,
        "tree_blobs": side.tree_blobs,
        "bytes": side.size_bytes,
    }


def _listener(ctx: Context) -> DiffListener:
    return _Changes(ctx.output, json=ctx.json, quiet=ctx.quiet)


class _Changes:
    """A line or a document for each change; with -q none, as in restic."""

    def __init__(self, output: Output, *, json: bool, quiet: bool) -> None:
        self._output = output
        self._json = json
        self._quiet = quiet
        self._name = shown_name(output)

    def snapshots(self, before: StoredSnapshot, after: StoredSnapshot) -> None:
        """The title."""
        if not self._json:
            self._output.message(f"comparing snapshot {short_id(before.id)} to {short_id(after.id)}:\n")

    def change(self, path: bytes, modifier: str) -> None:
        """A line."""
        if self._quiet:
            return
        if self._json:
            self._output.document({"message_type": "change", "path": json_text(path), "modifier": modifier})
        else:
            self._output.line(f"{modifier:<5}{self._name(path)}")

    def problem(self, path: bytes, error: Damaged) -> None:
        """An error of which the command does not end."""
        self._output.error(error.message, item=printable(path), during="diff")


def _print(output: Output, result: DiffResult, *, blobs: bool) -> None:
    added, removed = result.added, result.removed
    output.line("")
    output.line(f"Files:       {added.files:5d} new, {removed.files:5d} removed, {result.changed_files:5d} changed")
    output.line(f"Dirs:        {added.directories:5d} new, {removed.directories:5d} removed")
    output.line(f"Others:      {added.others:5d} new, {removed.others:5d} removed")
    if blobs:
        output.line(f"Data Blobs:  {added.data_blobs:5d} new, {removed.data_blobs:5d} removed")
        output.line(f"Tree Blobs:  {added.tree_blobs:5d} new, {removed.tree_blobs:5d} removed")
        output.line(f"  Added:   {size(added.size_bytes):<5}")
        output.line(f"  Removed: {size(removed.size_bytes):<5}")
