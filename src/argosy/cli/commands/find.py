"""``argosy find``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.entry_words import long_line, mode_text, shown_name
from argosy.cli.output import Output
from argosy.cli.snapshot_words import local_time, short_id
from argosy.cli.values import moment_or_day
from argosy.cli.wording import json_text
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.errors import Damaged
    from argosy.operations.find import FindListener, FoundBlob
    from argosy.repository.blob_location import Location
    from argosy.repository.snapshots import SnapshotFilter, StoredSnapshot
    from argosy.restic_format.node import Node


@verb("find", unlocks=True)
@snapshot_flags
@click.option("-s", "--snapshot", "snapshot_ids", multiple=True, help="only in this snapshot (again: and this)")
@click.option("-i", "--ignore-case", is_flag=True, help="upper and lower case are the same")
@click.option("-O", "--oldest", type=moment_or_day, help="only what was changed then or later")
@click.option("-N", "--newest", type=moment_or_day, help="only what was changed then or earlier")
@click.option("-l", "--long", is_flag=True, help="with type, mode, owner, size and time")
@click.option("--human-readable", is_flag=True, help="sizes in KiB, MiB …")
@click.option("-R", "--reverse", is_flag=True, help="oldest snapshot first")
@click.option("--blob", "sought", flag_value="blob", help="PATTERN is the start of a blob's id")
@click.option("--tree", "sought", flag_value="tree", help="PATTERN is the start of a tree's id")
@click.option("--pack", "sought", flag_value="pack", help="PATTERN is the start of a pack's id")
@click.option("--show-pack-id", is_flag=True, help="with --blob, --tree or --pack: in which packs they are")
@click.argument("patterns", metavar="PATTERN…", nargs=-1, required=True)
def command(
    ctx: Context,
    patterns: tuple[str, ...],
    wanted: SnapshotFilter,
    snapshot_ids: tuple[str, ...],
    ignore_case: bool,
    oldest: int | None,
    newest: int | None,
    long: bool,
    human_readable: bool,
    reverse: bool,
    sought: str | None,
    show_pack_id: bool,
) -> int:
    """Find files and directories in snapshots, all or those chosen, newest snapshot first."""
    from argosy.operations.find import FindOptions, Sought, run_find

    if oldest is not None and newest is not None and oldest > newest:
        raise UsageError("--oldest is later than --newest", hint="Nothing could be found: exchange the two times.")
    options = FindOptions(
        patterns=[os.fsencode(pattern) for pattern in patterns],
        sought=Sought(sought) if sought else Sought.ENTRIES,
        ignore_case=ignore_case,
        oldest_ns=oldest,
        newest_ns=newest,
        names=snapshot_ids,
        wanted=wanted,
        oldest_first=reverse,
    )
    if ctx.json:
        listener = _Json(ctx.output, with_packs=show_pack_id)
        problems = run_find(ctx.access, options, _heard(listener))
        listener.finish()
    else:
        text = _Text(ctx.output, long=long, human_readable=human_readable)
        problems = run_find(ctx.access, options, _heard(text))
        if show_pack_id:
            text.packs()
    return 1 if problems else 0


def _heard(listener: FindListener) -> FindListener:
    return listener


class _Text:
    """restic's lines."""

    def __init__(self, output: Output, *, long: bool, human_readable: bool) -> None:
        self._output = output
        self._long = long
        self._human_readable = human_readable
        self._name = shown_name(output)
        self._snapshot: bytes | None = None
        self._places: dict[tuple[str, bytes], Location | None] = {}

    def entry(self, stored: StoredSnapshot, path: bytes, node: Node) -> None:
        """A line, the first one of a snapshot below a title."""
        if self._snapshot != stored.id:
            title = f"Found matching entries in snapshot {short_id(stored.id)} from {_time(stored)}"
            self._output.message(title if self._snapshot is None else f"\n{title}")
            self._snapshot = stored.id
        if self._long:
            self._output.line(long_line(path, node, self._name, human_readable=self._human_readable))
        else:
            self._output.line(self._name(path))

    def blob(self, stored: StoredSnapshot, found: FoundBlob, place: Location | None) -> None:
        """Some lines."""
        kind = _kind(found)
        self._places[kind, found.id] = place
        self._output.line(f"Found {kind} {found.id.hex()}")
        if found.parent is not None:
            self._output.line(f" ... in file {self._name(found.path)}\n     (tree {found.parent.hex()})")
        else:
            self._output.line(f" ... path {self._name(found.path)}")
        self._output.line(f" ... in snapshot {short_id(stored.id)} ({_time(stored)})")

    def problem(self, what: str, error: Damaged) -> None:
        """An error of which the command does not end."""
        self._output.error(error.message, item=what, during="find")

    def packs(self) -> None:
        """Where what was found is."""
        for (kind, blob_id), place in self._places.items():
            if place is None:
                self._output.line(f"Object {short_id(blob_id)} not found in the index")
                continue
            word = "data" if kind == "blob" else kind
            where = f"offset {place.offset}, length {place.length}, uncompressed length {place.uncompressed_length}"
            self._output.line(f"Object belongs to pack {place.pack_id.hex()}")
            self._output.line(f" ... Pack {short_id(place.pack_id)}: <Blob ({word}) {short_id(blob_id)}, {where}>")


class _Json:
    """restic's list: of snapshots with their matches, or of objects. Written while it is found, on one line."""

    def __init__(self, output: Output, *, with_packs: bool) -> None:
        self._output = output
        self._with_packs = with_packs
        self._before = "["
        self._snapshot: bytes | None = None
        self._hits = 0

    def entry(self, stored: StoredSnapshot, path: bytes, node: Node) -> None:
        """A match, among those of its snapshot."""
        if self._snapshot != stored.id:
            self._end_snapshot()
            self._snapshot = stored.id
            self._put('{"matches":[', after="")
        self._put_document(_entry_document(path, node))
        self._hits += 1

    def blob(self, stored: StoredSnapshot, found: FoundBlob, place: Location | None) -> None:
        """An object."""
        document: dict[str, object] = {"object_type": _kind(found), "id": found.id.hex(), "path": json_text(found.path)}
        if found.parent is not None:
            document["parent_tree"] = found.parent.hex()
        document |= {"snapshot": stored.id.hex(), "time": stored.snapshot.time}
        if self._with_packs and place is not None:
            document["pack"] = place.pack_id.hex()
        self._put_document(document)

    def problem(self, what: str, error: Damaged) -> None:
        """A document on standard error."""
        self._output.error(error.message, item=what, during="find")

    def finish(self) -> None:
        """The end of the list."""
        self._end_snapshot()
        self._output.raw(b"[]\n" if self._before == "[" else b"]\n")

    def _end_snapshot(self) -> None:
        if self._snapshot is not None:
            self._before = ""
            self._put(f'],"hits":{self._hits},"snapshot":"{self._snapshot.hex()}"}}', after=",")
            self._hits = 0

    def _put_document(self, document: dict[str, object]) -> None:
        import msgspec

        self._put(msgspec.json.encode(document).decode(), after=",")

    def _put(self, text: str, *, after: str) -> None:
        self._output.raw(f"{self._before}{text}".encode())
        self._before = after


def _entry_document(path: bytes, node: Node) -> dict[str, object]:
    """restic's keys; those that are 0 or empty are left out, as there."""
    document: dict[str, object] = {"path": json_text(path), "permissions": mode_text(node.mode), "type": node.type}
    optional = {
        "user": node.user,
        "group": node.group,
        "inode": node.inode,
        "device_id": node.device_id,
        "size": node.size,
        "links": node.links,
        "linktarget": json_text(node.linktarget_bytes()),
        "error": node.error,
    }
    if node.mode:
        document["mode"] = node.mode
    document |= {"mtime": node.mtime, "atime": node.atime, "ctime": node.ctime, "uid": node.uid, "gid": node.gid}
    return document | {key: value for key, value in optional.items() if value}


def _kind(found: FoundBlob) -> str:
    return "tree" if found.parent is None else "blob"


def _time(stored: StoredSnapshot) -> str:
    return local_time(stored.snapshot.time_ns())
