"""Reads one pack whole: hash, header, and each blob's signature, compressed bytes and hash.

The first reading goes once over the bytes and only says whether all is as the index tells. If anything is not, a second
one looks closely: it finds passing faults (of the network, the memory, a disk that needs a second try), tells damage of
the pack from a wrong index, and names each blob that is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

from argosy.errors import Damaged, StorageError, StorageNotFound
from argosy.operations.check.messages import PackRead
from argosy.repository.encoder import decode_blob
from argosy.repository.layout import FileKind, object_name
from argosy.repository.pack_ranges import PackRanges
from argosy.repository.repository import Repository
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.pack import decode_header, encode_header
from argosy.restic_format.pack_verifier import verify_pack

# What is read with one request. Local files: what fits the processor's cache is hashed, decrypted and inflated from
# there. Remote: a request costs a round trip.
_LOCAL_READ_BYTES = 1024 * 1024
_REMOTE_READ_BYTES = 8 * 1024 * 1024
_BLOBS_NAMED = 10


class PackReader:
    """Reads packs. As thread-safe as reading is there: for one thread if the packs are local files."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._ranges = PackRanges(repository.storage, open_most=1)
        self._piece_bytes = _LOCAL_READ_BYTES if repository.storage.is_local else _REMOTE_READ_BYTES

    def read(self, pack_id: bytes, size_bytes: int, header: bytes) -> PackRead:
        """Read a pack of ``size_bytes``; ``header`` is its header, not sealed, by the index."""
        try:
            if self._is_sound(pack_id, size_bytes, header):
                return PackRead(pack_id, size_bytes)
            return _look_closely(self._repository, pack_id, size_bytes, header)
        except Damaged as error:
            return PackRead(pack_id, size_bytes, damage=[error.message])
        except StorageNotFound:
            return PackRead(pack_id, size_bytes, unread="it was listed and is gone now")
        except StorageError as error:
            return PackRead(pack_id, size_bytes, unread=error.message)

    def close(self) -> None:
        """Close what is open still."""
        self._ranges.close()

    def _is_sound(self, pack_id: bytes, size_bytes: int, header: bytes) -> bool:
        """Whether all holds, in one pass over the bytes."""
        read = partial(self._ranges.read, pack_id)
        verifier = self._repository.pack_verifier()
        try:
            return verify_pack(verifier, pack_id, header, size_bytes, read, most_bytes=self._piece_bytes)
        except Damaged:
            return False


def _look_closely(repository: Repository, pack_id: bytes, size_bytes: int, header: bytes) -> PackRead:
    damage: list[str] = []
    wrong_index: list[str] = []
    what = f"pack {pack_id.hex()}"
    indexed = decode_header(header, f"the index's list of {what}")
    size_now = repository.storage.size(object_name(FileKind.PACK, pack_id))
    if size_now != size_bytes:
        damage.append(f"it has {size_now} bytes, not {size_bytes}")
    elif (found := _hash(repository, pack_id, size_bytes)) != pack_id:
        damage.append(f"its bytes have another hash than its name: {found.hex()}")
    blobs: Sequence[PackedBlob] = indexed
    try:
        listed = repository.load_pack_header(pack_id, size_now)
    except Damaged as error:
        damage.append(error.message.replace(f"header of {what}", "its header"))
    else:
        if encode_header(listed) != header:
            blobs = listed
            wrong_index = _differences(indexed, listed)
    damage += _lost_blobs(repository, pack_id, blobs)
    if not damage and not wrong_index:
        damage.append(
            "it was read wrongly once, rightly the second time: the disk, the network or this machine's memory fails"
            " now and then"
        )
    return PackRead(pack_id, size_bytes, damage, wrong_index)


def _hash(repository: Repository, pack_id: bytes, size_bytes: int) -> bytes:
    name, name_hash = object_name(FileKind.PACK, pack_id), hashlib.sha256()
    for start in range(0, size_bytes, _REMOTE_READ_BYTES):
        name_hash.update(repository.storage.get_range(name, start, min(_REMOTE_READ_BYTES, size_bytes - start)))
    return name_hash.digest()


def _lost_blobs(repository: Repository, pack_id: bytes, blobs: Sequence[PackedBlob]) -> list[str]:
    """One line for each blob that cannot be read, up to a number of them."""
    lost: list[str] = []
    opener, name = repository.opener(), object_name(FileKind.PACK, pack_id)
    for blob in blobs:
        kind = "tree" if blob.type == BlobType.TREE else "blob"
        what = f"{kind} {blob.id.hex()}"
        try:
            sealed = repository.storage.get_range(name, blob.offset, blob.length)
            decode_blob(opener, blob.id, sealed, blob.uncompressed_length, what)
        except Damaged as error:
            lost.append(error.message)
    if len(lost) > _BLOBS_NAMED:
        return [*lost[:_BLOBS_NAMED], f"{len(lost) - _BLOBS_NAMED} more of its {len(blobs)} blobs cannot be read"]
    return lost


def _differences(indexed: Sequence[PackedBlob], listed: Sequence[PackedBlob]) -> list[str]:
    """How the index's list of a pack differs from its header."""
    by_index = {(blob.type, blob.id): blob for blob in indexed}
    by_header = {(blob.type, blob.id): blob for blob in listed}
    found = [
        f"blob {key[1].hex()} stands in the index differently: {_place(by_index[key])}, in the pack {_place(blob)}"
        for key, blob in by_header.items()
        if key in by_index and by_index[key] != blob
    ]
    found += [f"blob {key[1].hex()} is not in the index" for key in by_header if key not in by_index]
    found += [f"blob {key[1].hex()} is in the index and not in the pack" for key in by_index if key not in by_header]
    if len(found) > _BLOBS_NAMED:
        found[_BLOBS_NAMED:] = [f"{len(found) - _BLOBS_NAMED} more differences"]
    return found or ["the index lists its blobs in another order, or more than once"]


def _place(blob: PackedBlob) -> str:
    return f"{blob.length} bytes from {blob.offset} on, {blob.uncompressed_length or 'not'} uncompressed"
