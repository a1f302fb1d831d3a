"""Snapshots in text and in JSON, as restic shows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from argosy.cli.wording import moment, printable

if TYPE_CHECKING:
    from argosy.repository.snapshots import StoredSnapshot

_SHORT_DIGITS = 8
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)")


def short_id(identity: bytes) -> str:
    """The digits that tell snapshots apart in practice."""
    return identity.hex()[:_SHORT_DIGITS]


def local_time(time_ns: int) -> str:
    """A time of a repository as local time, without the fraction."""
    return moment(time_ns // 1_000_000_000)


def snapshot_json(stored: StoredSnapshot, more: str = "") -> str:
    """restic's JSON of a snapshot, with its id; ``more``: further keys, as JSON text that starts with a comma."""
    from msgspec import structs

    from argosy.restic_format.snapshot import encode_snapshot

    document = encode_snapshot(structs.replace(stored.snapshot, unknown={})).decode()
    return f'{document[:-1]},"id":"{stored.id.hex()}","short_id":"{short_id(stored.id)}"{more}}}'


def describe(stored: StoredSnapshot) -> str:
    """``snapshot 1234abcd of [/home] at 2026-11-23 09:39:50.05 +0000 UTC by user@host``."""
    snapshot = stored.snapshot
    paths = " ".join(printable(path) for path in snapshot.paths)
    who = f"{printable(snapshot.username)}@{printable(snapshot.hostname)}"
    return f"snapshot {short_id(stored.id)} of [{paths}] at {_go_time(snapshot.time)} by {who}"


def _go_time(text: str) -> str:
    """RFC 3339 as Go prints a time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    date, clock, zone = found.groups()
    offset = "+0000 UTC" if zone in ("Z", "+00:00") else f"{zone.replace(':', '')} {zone.replace(':', '')}"
    return f"{date} {clock} {offset}"
