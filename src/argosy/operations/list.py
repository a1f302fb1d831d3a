"""`argosy list`: the ids of all files of a kind, or of all blobs, streamed."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from argosy.operations.session import Access, open_session
from argosy.repository.layout import FileKind


class Listed(StrEnum):
    """What can be listed, by the word of the command line."""

    BLOBS = "blobs"
    PACKS = "packs"
    INDEX = "index"
    SNAPSHOTS = "snapshots"
    KEYS = "keys"
    LOCKS = "locks"


_KINDS = {
    Listed.PACKS: FileKind.PACK,
    Listed.INDEX: FileKind.INDEX,
    Listed.SNAPSHOTS: FileKind.SNAPSHOT,
    Listed.KEYS: FileKind.KEY,
    Listed.LOCKS: FileKind.LOCK,
}


def run_list(access: Access, listed: Listed, line: Callable[[str], None]) -> None:
    """Give ``line`` each id in hex; of a blob "data" or "tree" and its id, once for each index that lists it.

    Locks are listed without taking one: the list would hold it. Damaged if an index cannot be read.
    """
    with open_session(access, lock=listed is not Listed.LOCKS) as session:
        repository = session.repository
        if listed is not Listed.BLOBS:
            for identity, _ in repository.list_files(_KINDS[listed]):
                line(identity.hex())
            return
        for index_id in repository.list_ids(FileKind.INDEX):
            for pack in repository.load_index(index_id).packs:
                for blob in pack.blobs:
                    line(f"{blob.type.name.lower()} {blob.id.hex()}")
