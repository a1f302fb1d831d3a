"""A blob too large for memory, stored as a pack of its own: the tree of a directory with millions of entries.

It is hashed, compressed, sealed and signed as it comes, into a temporary file that is the finished pack.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from argosy.errors import StateError, StateFull
from argosy.repository.layout import FileKind, object_name
from argosy.repository.packer import StoredPack, verify_trailer
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.compression import StreamCompressor
from argosy.restic_format.crypto import IV_BYTES, Buffer, MasterKey, Sealer, SealStream
from argosy.restic_format.pack import encode_header, seal_header
from argosy.storage.interface import Storage


def store_large_blob(
    storage: Storage,
    key: MasterKey,
    blob_type: BlobType,
    pieces: Iterable[Buffer],
    total_bytes: int,
    *,
    directory: Path,
    lease: Callable[[], None],
    draw: Callable[[int], bytes] = os.urandom,
) -> StoredPack:
    """Store ``pieces``, ``total_bytes`` long together, as one compressed blob in one pack.

    ``directory`` (on this machine, with room for the sealed blob) holds the pack, sealed, until it is stored.
    ValueError if the pieces have another length; StateError or StateFull if the directory cannot be written.
    """
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix="large-blob-") as file:
            output = _HashedFile(file)
            blob = _write_blob(output, key, blob_type, pieces, total_bytes, draw)
            header = encode_header([blob])
            trailer = seal_header(header, Sealer(key, draw))
            verify_trailer(key, header, output.size_bytes, trailer)
            output.write(trailer)
            file.flush()
            pack = StoredPack(output.hash.digest(), output.size_bytes, header)
            lease()
            storage.put_file(object_name(FileKind.PACK, pack.id), Path(file.name))
            # Safe to die here: a pack that nothing names is removed by prune.
            return pack
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateFull(
                f"no room left in {directory}", hint="Free some space and run the command again."
            ) from error
        raise StateError(f"cannot write to {directory}: {error.strerror}", hint="Check its owner and mode.") from error


class _HashedFile:
    """A file, and the hash and size of all that was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.hash.update(data)
        self.size_bytes += len(data)


def _write_blob(
    output: _HashedFile,
    key: MasterKey,
    blob_type: BlobType,
    pieces: Iterable[Buffer],
    total_bytes: int,
    draw: Callable[[int], bytes],
) -> PackedBlob:
    content_hash = hashlib.sha256()
    compressor = StreamCompressor(total_bytes)
    stream = SealStream(key, draw(IV_BYTES))
    for piece in pieces:
        content_hash.update(piece)
        output.write(stream.update(compressor.update(piece)))
    output.write(stream.update(compressor.finish()))
    output.write(stream.finish())
    return PackedBlob(content_hash.digest(), blob_type, 0, output.size_bytes, total_bytes)
