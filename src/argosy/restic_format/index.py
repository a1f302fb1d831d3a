"""Index files: which blobs stand where in which packs.

``{"packs":[{"id":…,"blobs":[{"id":…,"type":"data","offset":0,"length":38,"uncompressed_length":9},…]},…]}``
and a newline, as restic writes it; ``uncompressed_length`` is absent for a blob that is not compressed. All
blobs of a pack stand in one index file. ``supersedes`` is read from old repositories and never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from argosy import native
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import Opener
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_document
from argosy.restic_format.ids import decode_id
from argosy.restic_format.pack import decode_header, encode_header, impossible, in_order, trailer_bytes
from argosy.restic_format.unpacked import decode_unpacked

if TYPE_CHECKING:
    from argosy.native.bindings import Session
    from argosy.native.documents import Listed


class IndexedPack(msgspec.Struct, frozen=True, array_like=True):
    """A pack and all the blobs in it, by offset when it was written by Argosy."""

    id: bytes
    blobs: Sequence[PackedBlob]


class Index(msgspec.Struct, frozen=True):
    """The content of one index file; ``supersedes`` names older index files that this one replaces."""

    packs: Sequence[IndexedPack]
    supersedes: Sequence[bytes] = ()


class PackListing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A pack as an index lists it, in little memory: ``header`` is the header (not sealed) that it should have.

    ``content_bytes`` are those of its sealed blobs. ``impossible``: why no pack can hold what is listed; else empty.
    """

    id: bytes
    header: bytes
    content_bytes: int
    has_data: bool
    has_trees: bool
    has_uncompressed: bool
    impossible: str = ""

    @property
    def size_bytes(self) -> int:
        """The exact size of the pack's file."""
        return self.content_bytes + trailer_bytes(self.header)


class _BlobJson(msgspec.Struct, gc=False):
    id: str
    type: Literal["data", "tree"]
    offset: int
    length: int
    uncompressed_length: int = 0


class _PackJson(msgspec.Struct):
    id: str
    blobs: list[_BlobJson]


class _IndexJson(msgspec.Struct):
    packs: list[_PackJson] | None = None
    supersedes: list[str] | None = None


_DECODER = msgspec.json.Decoder(_IndexJson)
_TYPE_NAMES = ("data", "tree")
_TYPES = {"data": BlobType.DATA, "tree": BlobType.TREE}


def encode_index(packs: Sequence[IndexedPack]) -> bytes:
    """The JSON of an index file that lists ``packs``."""
    return join_packs(map(encode_pack, packs))


def join_packs(packs: Iterable[bytes]) -> bytes:
    """The JSON of an index file, from that of its packs."""
    return b'{"packs":[' + b",".join(packs) + b"]}\n"


def decode_index(data: bytes, what: str) -> Index:
    """The index in ``data``. Damaged (naming ``what``) if it is not one."""
    document = decode_document(_DECODER, data, what, "an index")
    packs = [_decode_pack(pack, what) for pack in document.packs or ()]
    return Index(packs, [decode_id(text, what) for text in document.supersedes or ()])


def list_packs(data: bytes, what: str) -> list[PackListing]:
    """The packs that the index in ``data`` lists, but for those without blobs. Damaged (naming ``what``) if it is none.

    With the native kernel ten times as fast as ``decode_index``.
    """
    kernel = native.kernel()
    if kernel is not None:
        from argosy.native.documents import index_packs

        packs = index_packs(kernel.library, data)
        if packs is not None:
            return _native_listings(packs)
    return [_listing(pack) for pack in decode_index(data, what).packs if pack.blobs]


def list_stored_packs(stored: bytes, session: Session | None, opener: Opener, what: str) -> list[PackListing]:
    """As ``list_packs``, of an index as it is stored; with a native session its JSON is never in memory whole."""
    if session is not None:
        from argosy.native.documents import read_index

        packs = read_index(session, stored)
        if packs is not None:
            return _native_listings(packs)
    return list_packs(decode_unpacked(stored, opener, what), what)


def _native_listings(packs: Iterable[Listed]) -> list[PackListing]:
    from argosy.native import documents

    return [
        PackListing(
            pack_id,
            header,
            content_bytes,
            bool(holds & documents.HOLDS_DATA),
            bool(holds & documents.HOLDS_TREES),
            bool(holds & documents.HOLDS_PLAIN),
        )
        for pack_id, header, content_bytes, holds in packs
    ]


def _listing(pack: IndexedPack) -> PackListing:
    blobs = in_order(pack.blobs)
    reason = impossible(blobs)
    types = {blob.type for blob in blobs}
    return PackListing(
        pack.id,
        b"" if reason else encode_header(blobs),
        sum(blob.length for blob in blobs),
        BlobType.DATA in types,
        BlobType.TREE in types,
        any(not blob.uncompressed_length for blob in blobs),
        reason,
    )


def encode_pack(pack: IndexedPack) -> bytes:
    """The JSON of one pack in an index."""
    blobs = ",".join([_encode_blob(blob) for blob in pack.blobs])
    return f'{{"id":"{pack.id.hex()}","blobs":[{blobs}]}}'.encode("ascii")


def encode_header_of(pack_id: bytes, header: bytes) -> tuple[bytes, int]:
    """The JSON of a pack in an index, from its header (not sealed); and how many blobs it has."""
    kernel = native.kernel()
    if kernel is None:
        blobs = decode_header(header, "header")
        return encode_pack(IndexedPack(pack_id, blobs)), len(blobs)
    from argosy.native.repacking import index_blobs

    text, count = index_blobs(kernel.library, header)
    return b'{"id":"%b","blobs":[%b]}' % (pack_id.hex().encode(), text), count


def _encode_blob(blob: PackedBlob) -> str:
    uncompressed = f',"uncompressed_length":{blob.uncompressed_length}' if blob.uncompressed_length else ""
    return (
        f'{{"id":"{blob.id.hex()}","type":"{_TYPE_NAMES[blob.type]}","offset":{blob.offset},'
        f'"length":{blob.length}{uncompressed}}}'
    )


def _decode_pack(pack: _PackJson, what: str) -> IndexedPack:
    blobs = [
        PackedBlob(decode_id(b.id, what), _TYPES[b.type], b.offset, b.length, b.uncompressed_length) for b in pack.blobs
    ]
    if any(blob.offset < 0 or blob.length < 0 or blob.uncompressed_length < 0 for blob in blobs):
        raise damaged(what, f"pack {pack.id} has a blob with a negative offset or length")
    return IndexedPack(decode_id(pack.id, what), blobs)
