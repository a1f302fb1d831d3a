"""Snapshots: when, of what, by whom, and the id of the root tree.

Key order and left-out keys as in restic's internal/data/snapshot.go. Keys that are not known here are kept
and written again at the end; restic drops them when it saves the snapshot anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from argosy.restic_format.documents import decode_document
from argosy.restic_format.ids import decode_id
from argosy.restic_format.names import json_text
from argosy.restic_format.times import parse_time


class SnapshotSummary(msgspec.Struct, frozen=True):
    """What the backup did, as restic 0.17 and later store it. Times are RFC 3339 text; sizes are in bytes."""

    backup_start: str
    backup_end: str
    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    total_files_processed: int = 0
    total_bytes_processed: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """One snapshot. ``time`` is RFC 3339 text, kept as written; ids are bytes.

    ``paths``, ``hostname``, ``tags`` … are text, because JSON cannot hold other bytes: what is not UTF-8 in a
    path (surrogateescape) is written as U+FFFD, as restic does. ``original`` is the id that the snapshot had
    before it was saved anew with other tags or another tree. ``unknown`` holds all other keys as raw JSON.
    """

    time: str
    tree: bytes
    paths: Sequence[str]
    parent: bytes | None = None
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    excludes: Sequence[str] = ()
    tags: Sequence[str] = ()
    original: bytes | None = None
    program_version: str = ""
    summary: SnapshotSummary | None = None
    unknown: Mapping[str, msgspec.Raw] = {}

    def time_ns(self) -> int:
        """When the backup was made. Damaged if ``time`` is no time."""
        return parse_time(self.time, "time of a snapshot")


class _SnapshotJson(msgspec.Struct):
    time: str
    tree: str
    paths: list[str] | None = None
    parent: str | None = None
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    excludes: list[str] | None = None
    tags: list[str] | None = None
    original: str | None = None
    program_version: str = ""
    summary: SnapshotSummary | None = None


_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECODER = msgspec.json.Decoder(_SnapshotJson)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot's JSON, as restic writes it."""
    s = snapshot
    pairs: list[tuple[str, str]] = [("time", json_text(s.time))]
    if s.parent is not None:
        pairs.append(("parent", f'"{s.parent.hex()}"'))
    pairs += [("tree", f'"{s.tree.hex()}"'), ("paths", _encode_list(s.paths))]
    pairs += [(key, json_text(text)) for key, text in (("hostname", s.hostname), ("username", s.username)) if text]
    pairs += [(key, str(number)) for key, number in (("uid", s.uid), ("gid", s.gid)) if number]
    pairs += [(key, _encode_list(texts)) for key, texts in (("excludes", s.excludes), ("tags", s.tags)) if texts]
    if s.original is not None:
        pairs.append(("original", f'"{s.original.hex()}"'))
    if s.program_version:
        pairs.append(("program_version", json_text(s.program_version)))
    if s.summary is not None:
        pairs.append(("summary", msgspec.json.encode(s.summary).decode()))
    pairs += [(key, bytes(raw).decode()) for key, raw in s.unknown.items()]
    return ("{" + ",".join(f"{json_text(key)}:{value}" for key, value in pairs) + "}").encode()


def decode_snapshot(data: bytes, what: str) -> Snapshot:
    """The snapshot in ``data``. Damaged (naming ``what``) if it is none."""
    document = decode_document(_DECODER, data, what, "a snapshot")
    keys = decode_document(_KEYS, data, what, "a snapshot")
    parse_time(document.time, what)
    known: dict[str, Any] = msgspec.structs.asdict(document)
    known |= {
        "tree": decode_id(document.tree, what),
        "parent": _decode_optional_id(document.parent, what),
        "original": _decode_optional_id(document.original, what),
        "paths": document.paths or (),
        "excludes": document.excludes or (),
        "tags": document.tags or (),
        "unknown": {key: value.copy() for key, value in keys.items() if key not in _SnapshotJson.__struct_fields__},
    }
    return Snapshot(**known)


def _encode_list(texts: Sequence[str]) -> str:
    return f"[{','.join(map(json_text, texts))}]"


def _decode_optional_id(text: str | None, what: str) -> bytes | None:
    return None if text is None else decode_id(text, what)
