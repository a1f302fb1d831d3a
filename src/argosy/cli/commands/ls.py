"""``argosy ls``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.entry_words import long_line, mode_text, shown_name
from argosy.cli.output import Output
from argosy.cli.snapshot_words import describe, snapshot_json
from argosy.cli.wording import json_text, printable
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.ls import LsListener
    from argosy.repository.snapshots import SnapshotFilter, StoredSnapshot
    from argosy.restic_format.node import Node

_NCDU_BLOCK_BYTES = 512


@verb("ls", unlocks=True)
@snapshot_flags
@click.option("-l", "--long", is_flag=True, help="with type, mode, owner, size and time")
@click.option("--recursive", is_flag=True, help="with a DIRECTORY: what is further below it, too")
@click.option("--human-readable", is_flag=True, help="sizes in KiB, MiB …")
@click.option("--ncdu", is_flag=True, help="print what 'ncdu -f -' reads")
@click.option(
    "-s",
    "--sort",
    type=click.Choice(["name", "size", "time", "mtime", "atime", "ctime", "extension"]),
    default="name",
    help="by what to sort",
)
@click.option("--reverse", is_flag=True, help="sort the other way round")
@click.argument("snapshot_id", metavar="SNAPSHOT[:PATH]")
@click.argument("directories", metavar="[DIRECTORY…]", nargs=-1)
def command(
    ctx: Context,
    snapshot_id: str,
    directories: tuple[str, ...],
    wanted: SnapshotFilter,
    long: bool,
    recursive: bool,
    human_readable: bool,
    ncdu: bool,
    sort: str,
    reverse: bool,
) -> None:
    """List the files of a snapshot ("latest": the newest), all or those in the directories named."""
    from argosy.operations.ls import LsOptions, LsOrder, run_ls

    if ncdu and (ctx.json or sort != "name" or reverse):
        raise UsageError("--ncdu excludes --json, --sort and --reverse", hint="Leave out one of them.")
    options = LsOptions(
        snapshot=snapshot_id,
        directories=[os.fsencode(directory) for directory in directories],
        wanted=wanted,
        recursive=recursive,
        order=LsOrder(sort),
        reverse=reverse,
    )
    if ctx.json:
        run_ls(ctx.access, options, _Json(ctx.output))
    elif ncdu:
        listener = _Ncdu(ctx.output)
        run_ls(ctx.access, options, listener)
        listener.finish()
    else:
        shown = [printable(directory) for directory in directories]
        run_ls(ctx.access, options, _text(ctx.output, shown, long=long, human_readable=human_readable))


def _text(output: Output, directories: list[str], *, long: bool, human_readable: bool) -> LsListener:
    return _Text(output, directories, long=long, human_readable=human_readable)


class _Text:
    """Paths, one a line; on a terminal in a form that cannot steer it."""

    def __init__(self, output: Output, directories: list[str], *, long: bool, human_readable: bool) -> None:
        self._output = output
        self._directories = directories
        self._long = long
        self._human_readable = human_readable
        self._name = shown_name(output)

    def snapshot(self, stored: StoredSnapshot) -> None:
        """A line about the snapshot."""
        self._output.message(f"{describe(stored)} filtered by [{' '.join(self._directories)}]:")

    def entry(self, path: bytes, node: Node, *, leading: bool) -> None:
        """A line for an entry."""
        if leading:
            return
        if self._long:
            self._output.line(long_line(path, node, self._name, human_readable=self._human_readable))
        else:
            self._output.line(self._name(path))

    def left(self, path: bytes) -> None:
        """Nothing."""


class _Json:
    """restic's documents, "snapshot" and "node"."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def snapshot(self, stored: StoredSnapshot) -> None:
        """The first document."""
        self._output.line(snapshot_json(stored, ',"message_type":"snapshot","struct_type":"snapshot"'))

    def entry(self, path: bytes, node: Node, *, leading: bool) -> None:
        """One document for an entry."""
        if leading:
            return
        document: dict[str, object] = {
            "name": json_text(node.name_bytes()),
            "type": node.type,
            "path": json_text(path),
            "uid": node.uid,
            "gid": node.gid,
        }
        if node.type == "file":
            document["size"] = node.size
        if node.mode:
            document["mode"] = node.mode
        document |= {
            "permissions": mode_text(node.mode),
            "mtime": node.mtime,
            "atime": node.atime,
            "ctime": node.ctime,
        }
        if node.inode:
            document["inode"] = node.inode
        self._output.document({**document, "message_type": "node", "struct_type": "node"})

    def left(self, path: bytes) -> None:
        """Nothing."""


class _Ncdu:
    """The export format of ncdu (https://dev.yorhel.nl/ncdu/jsonfmt): lists within lists."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._depth = 0
        self._line = ""

    def snapshot(self, stored: StoredSnapshot) -> None:
        """The head, and the root directory."""
        from argosy.restic_format.snapshot import encode_snapshot

        self._depth = 1
        self._line = f'[1, 2, {encode_snapshot(stored.snapshot).decode()}, [{{"name":"/"}}'

    def entry(self, path: bytes, node: Node, *, leading: bool) -> None:
        """An entry; a directory opens a list."""
        del path, leading
        self._put(f"{self._line},")
        if node.type == "dir":
            self._put("  " * self._depth + "[")
            self._depth += 1
        self._line = "  " * self._depth + _ncdu_json(node)

    def left(self, path: bytes) -> None:
        """The end of a directory's list."""
        del path
        self._put(self._line)
        self._depth -= 1
        self._line = "  " * self._depth + "]"

    def finish(self) -> None:
        """The end."""
        self._put(self._line)
        self._put("]")
        self._put("]")

    def _put(self, line: str) -> None:
        self._output.line(line)


def _ncdu_json(node: Node) -> str:
    import stat

    import msgspec

    from argosy.restic_format.names import json_text as quoted

    document = {
        "asize": node.size,
        "dsize": -(-node.size // _NCDU_BLOCK_BYTES) * _NCDU_BLOCK_BYTES,
        "dev": node.device_id,
        "ino": node.inode,
        "nlink": node.links,
        "notreg": node.type not in ("dir", "file"),
        "uid": node.uid,
        "gid": node.gid,
        "mode": stat.S_IMODE(node.st_mode()),
        "mtime": max(0, node.mtime_ns() // 1_000_000_000),
    }
    name = quoted(node.name_bytes().decode("utf-8", "surrogateescape"))
    return f'{{"name":{name},{msgspec.json.encode(document).decode()[1:]}'
