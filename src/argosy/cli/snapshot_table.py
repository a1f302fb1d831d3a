"""Tables of snapshots, and the title of a group, as restic draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from argosy.cli.snapshot_words import local_time, short_id
from argosy.cli.table import table
from argosy.cli.wording import printable, size

if TYPE_CHECKING:
    from argosy.operations.grouping import GroupKey
    from argosy.repository.snapshots import StoredSnapshot

_TITLE_LINES = 2


def group_title(key: GroupKey) -> str:
    """``snapshots for (host [alpha], paths [/home]):``; nothing where they were not told apart."""
    parts = []
    if key.hostname:
        parts.append(f"host [{printable(key.hostname)}]")
    if key.tags is not None:
        parts.append(f"tags [{', '.join(map(printable, key.tags))}]")
    if key.paths is not None:
        parts.append(f"paths [{', '.join(map(printable, key.paths))}]")
    return f"snapshots for ({', '.join(parts)}):" if parts else ""


def snapshot_lines(
    snapshots: Sequence[StoredSnapshot], *, compact: bool, reasons: Mapping[bytes, Sequence[str]] | None = None
) -> list[str]:
    """The table of a group. Rows of several paths stand apart. ``reasons``: by id, why each is kept."""
    with_sizes = any(stored.snapshot.summary is not None for stored in snapshots)
    rows = [_row(stored, compact=compact, with_sizes=with_sizes, reasons=reasons) for stored in snapshots]
    heads = ["ID", "Time"]
    if compact:
        heads += ["Host", "Tags  "]
    else:
        heads += ["Host      ", "Tags      ", *(["Reasons"] if reasons else []), "Paths"]
    lines = table([*heads, *(["Size"] if with_sizes else [])], rows)
    if not compact and any(len(stored.snapshot.paths) > 1 for stored in snapshots):
        at = _TITLE_LINES
        for row in rows[:-1]:
            at += max(cell.count("\n") + 1 for cell in row)
            lines.insert(at, "")
            at += 1
    return [*lines, f"{len(rows)} snapshots"]


def _row(
    stored: StoredSnapshot, *, compact: bool, with_sizes: bool, reasons: Mapping[bytes, Sequence[str]] | None
) -> list[str]:
    snapshot = stored.snapshot
    tags = [printable(tag) for tag in snapshot.tags]
    row = [short_id(stored.id), local_time(snapshot.time_ns()), printable(snapshot.hostname)]
    if compact:
        row.append("\n".join(tags))
    else:
        row.append(",".join(tags))
        if reasons:
            row.append("\n".join(printable(reason) for reason in reasons[stored.id]))
        row.append("\n".join(printable(path) for path in snapshot.paths))
    if with_sizes:
        row.append("" if snapshot.summary is None else size(snapshot.summary.total_bytes_processed))
    return row
