"""Which name an object has in the store (restic's default layout)."""

from __future__ import annotations

from enum import StrEnum

from argosy.restic_format.ids import ID_BYTES

CONFIG_NAME = "config"


class FileKind(StrEnum):
    """The directories of a repository."""

    PACK = "data"
    INDEX = "index"
    KEY = "keys"
    LOCK = "locks"
    SNAPSHOT = "snapshots"

    @property
    def label(self) -> str:
        """What one file of it is called in messages."""
        return _LABELS[self]

    @property
    def prefix(self) -> str:
        """The directory with its slash, as a listing wants it."""
        return f"{self.value}/"


_LABELS = {
    FileKind.PACK: "pack",
    FileKind.INDEX: "index",
    FileKind.KEY: "key",
    FileKind.LOCK: "lock",
    FileKind.SNAPSHOT: "snapshot",
}


def object_name(kind: FileKind, identity: bytes) -> str:
    """The name of a file of this kind; packs are spread over 256 directories."""
    text = identity.hex()
    return f"data/{text[:2]}/{text}" if kind is FileKind.PACK else f"{kind.value}/{text}"


def id_of_name(name: str) -> bytes | None:
    """The id at the end of an object's name; None for a foreign file, which restic skips as well."""
    text = name.rpartition("/")[2]
    try:
        identity = bytes.fromhex(text)
    except ValueError:
        return None
    return identity if len(identity) == ID_BYTES and identity.hex() == text else None
