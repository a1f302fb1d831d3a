"""Files of a repository named by the start of their id."""

from __future__ import annotations

from argosy.errors import StorageNotFound, UsageError
from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.restic_format.ids import ID_BYTES

_CANDIDATES_NAMED = 10
_DIGITS = frozenset("0123456789abcdef")


def parse_id(text: str) -> bytes:
    """A whole id. UsageError if it is none."""
    if len(text) != 2 * ID_BYTES or set(text) - _DIGITS:
        raise UsageError(f"{text[:80]!r} is not an id of 64 hexadecimal digits", hint="`argosy list` lists ids.")
    return bytes.fromhex(text)


def find_id(repository: Repository, kind: FileKind, start: str) -> bytes:
    """The id of the one file of a kind that starts with ``start``. StorageNotFound for none, UsageError for several."""
    if not start or set(start) - _DIGITS or len(start) > 2 * ID_BYTES:
        raise UsageError(f"{start[:80]!r} is not the start of an id", hint="Ids have 64 digits: 0 to 9 and a to f.")
    if len(start) == 2 * ID_BYTES:
        return bytes.fromhex(start)
    found = [identity for identity, _ in repository.list_files(kind) if identity.hex().startswith(start)]
    if not found:
        raise StorageNotFound(f"no {kind.label} starts with {start}", hint=f"`argosy list {_LISTED[kind]}` lists them.")
    if len(found) > 1:
        named = ", ".join(identity.hex()[:12] for identity in sorted(found)[:_CANDIDATES_NAMED])
        raise UsageError(
            f"{len(found)} {kind.label} files start with {start}: {named}",
            hint="Write more digits of the one you mean.",
        )
    return found[0]


_LISTED = {
    FileKind.PACK: "packs",
    FileKind.INDEX: "index",
    FileKind.KEY: "keys",
    FileKind.LOCK: "locks",
    FileKind.SNAPSHOT: "snapshots",
}
