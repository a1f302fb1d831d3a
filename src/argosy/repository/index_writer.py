"""Writes index files. A pack stands wholly in one of them: restic takes a divided entry for damage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from argosy.repository.layout import FileKind
from argosy.repository.repository import Repository
from argosy.restic_format.blob import PackedBlob
from argosy.restic_format.index import IndexedPack, encode_header_of, encode_pack, join_packs

# restic's own limit. Its JSON has 7.3 MB, 2 MB compressed.
MAX_INDEX_BLOBS = 50_000


class ListedPack(Protocol):
    """A pack and its blobs: an IndexedPack, or a StoredPack of the packer."""

    @property
    def id(self) -> bytes:
        """The pack's id."""

    @property
    def blobs(self) -> Sequence[PackedBlob]:
        """All blobs in it."""


class _PackText(NamedTuple):
    id: bytes
    json: bytes
    blobs: int


def write_indexes(
    repository: Repository,
    packs: Iterable[ListedPack],
    *,
    check: Callable[[], None] | None = None,
    on_written: Callable[[bytes, list[bytes]], None] | None = None,
) -> list[bytes]:
    """Store indexes that list ``packs``, all durable, each pack once; returns the ids of the indexes.

    ``check`` is called before each file and raises when the lock is lost. ``on_written(index_id, pack_ids)``
    is called after each, so that what is durable is noted even if a later one fails.
    """
    texts = (_PackText(pack.id, encode_pack(IndexedPack(pack.id, pack.blobs)), len(pack.blobs)) for pack in packs)
    return _write(repository, texts, check, on_written)


def write_indexes_of_headers(
    repository: Repository,
    packs: Iterable[tuple[bytes, bytes]],
    *,
    check: Callable[[], None],
    on_written: Callable[[bytes, list[bytes]], None] | None = None,
) -> list[bytes]:
    """As ``write_indexes``, from each pack's id and its header (not sealed)."""
    texts = (_PackText(pack_id, *encode_header_of(pack_id, header)) for pack_id, header in packs)
    return _write(repository, texts, check, on_written)


def _write(
    repository: Repository,
    packs: Iterable[_PackText],
    check: Callable[[], None] | None,
    on_written: Callable[[bytes, list[bytes]], None] | None,
) -> list[bytes]:
    written: list[bytes] = []
    for group in _grouped(packs):
        if check is not None:
            check()
        index_id = repository.save_unpacked(FileKind.INDEX, join_packs(pack.json for pack in group))
        # Safe to die here: an index of durable packs is right whether or not its job goes on.
        written.append(index_id)
        if on_written is not None:
            on_written(index_id, [pack.id for pack in group])
    return written


def _grouped(packs: Iterable[_PackText]) -> Iterator[list[_PackText]]:
    """Packs whose blobs together stay within the limit; one pack above it stands alone."""
    group: list[_PackText] = []
    blobs = 0
    for pack in packs:
        if group and blobs + pack.blobs > MAX_INDEX_BLOBS:
            yield group
            group, blobs = [], 0
        group.append(pack)
        blobs += pack.blobs
    if group:
        yield group
