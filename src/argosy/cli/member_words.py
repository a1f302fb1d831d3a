"""The members of a running job, as JSON and as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from argosy.cli.wording import counted, printable, size

if TYPE_CHECKING:
    from argosy.operations.crew import MemberLook

_MEMBERS_SHOWN = 20


def members_document(members: Sequence[MemberLook]) -> list[dict[str, Any]]:
    """Each with the batches that it holds and what it has done."""
    return [
        {"name": name, "workers": workers, "batches": held, "files_done": files, "bytes_done": size_bytes}
        for name, workers, held, files, size_bytes in members
    ]


def with_members(line: str, members: Sequence[MemberLook]) -> list[str]:
    """A job's line, and one for each member where there are several."""
    return [line, *(member_lines(members, "entry", "entries") if len(members) > 1 else ())]


def member_lines(members: Sequence[MemberLook], singular: str = "file", plural: str = "") -> list[str]:
    """A line for each of the first few."""
    lines = []
    for name, workers, held, entries, size_bytes in members[:_MEMBERS_SHOWN]:
        holds = f"{counted(workers, 'worker')}, {counted(held, 'batch', 'batches')}"
        lines.append(f"  {printable(name):<16} {holds:<24} {counted(entries, singular, plural)}, {size(size_bytes)}")
    if len(members) > _MEMBERS_SHOWN:
        lines.append(f"  and {len(members) - _MEMBERS_SHOWN} members more")
    return lines
