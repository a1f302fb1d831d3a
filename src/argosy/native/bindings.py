"""The door to the library in C: loads it and gives its functions Python's types."""

from __future__ import annotations

import ctypes
import os
import struct
from array import array
from collections.abc import Sequence
from glob import glob
from hashlib import sha256
from importlib.util import find_spec
from itertools import starmap
from operator import add
from typing import Any, NamedTuple

from argosy.native.listing import NativeListing
from argosy.native.metadata import OwnerKeys, PrintableRanges
from argosy.native.reading import NativeReading
from argosy.native.sources import library_path

CRYPTO_NAME = "libcrypto.so.3"
ZSTD_NAME = "libzstd.so.1"
HASH_BYTES = 32
KEY_BYTES = 64
NONCE_BYTES = 16
# struct manner of sealing.c, struct argosy_blob, struct piece of opening.c
_MANNER = struct.Struct("<i3i3iIi")
_BLOB_ROW = struct.Struct("<QQII32s")
_PIECE = struct.Struct("<4Q")
_LEAST_ENTRY_BYTES, _MOST_ENTRY_BYTES = 37, 41
_FEW_PIECES = 256
_REASON_BYTES = 512
# Around the ends of blocks and of padding: in numbers that fill two lanes of sha256.c unevenly, then sixteen.
_HASHED_AT_LOADING = tuple(
    tuple(bytes([length % 251]) * length for length in lengths)
    for lengths in ((0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 4097), range(950, 970))
)

# Python's own way to make bytes that are filled later (its C API, "Bytes Objects").
_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = (ctypes.c_char_p, ctypes.c_ssize_t)

_PLACE, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
# What each function of the library returns and takes, as in the C files. A new function needs a row here.
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "argosy_hash_many": (_INT, (_PLACE, _PLACE, _SIZE, _PLACE, _PLACE, _PLACE, _SIZE)),
    "argosy_stream_new": (_PLACE, ()),
    "argosy_stream_free": (None, (_PLACE,)),
    "argosy_stream_end": (_INT, (_PLACE, _PLACE, _SIZE, _PLACE)),
    "argosy_session_new": (_PLACE, (_PLACE,)),
    "argosy_session_free": (None, (_PLACE,)),
    "argosy_open_many": (None, (_PLACE, _PLACE, _SIZE, _PLACE, _SIZE, _PLACE, _SIZE, _PLACE)),
    "argosy_seal_many": (_SIZE, (_PLACE, _PLACE, _PLACE, _PLACE, _PLACE, _SIZE, _PLACE, _PLACE, _PLACE)),
    "argosy_cut_pack": (_SIZE, (_PLACE, _SIZE, _SIZE, _PLACE, _SIZE)),
    "argosy_pack_start": (None, (_PLACE,)),
    "argosy_pack_piece": (_INT, (_PLACE, _PLACE, _SIZE, _PLACE, _SIZE)),
    "argosy_pack_end": (_INT, (_PLACE, _PLACE, _SIZE, _PLACE, _SIZE, _PLACE)),
}

Data = bytes | bytearray | memoryview
"""Views of ``bytes`` are copied: better give the bytes, or a view of what may be written to."""

SealedBlob = tuple[int, int, int, int, bytes]
"""Offset in the data, place of the content, sealed length, the content's length if it is compressed (else 0), id."""

PlainBlob = tuple[int, int, bytes]
"""Offset in the data, length, id."""


class SealedMany(NamedTuple):
    """How many blobs were sealed, into how many bytes; their entries of a pack's header; those that were verified and
    found sound have a 1 in ``sound``."""

    done: int
    size_bytes: int
    header: bytes
    sound: bytearray


Effort = tuple[int, int, int]
"""zstd's level, the least match that counts and the acceleration (0: the level's own)."""

Manner = tuple[int, Effort, Effort, int, bool]
"""How to seal: when to compress (NEVER, SHORTER, ALWAYS of this package), the effort for small blobs and for others, up
to how many bytes one is small, whether to verify."""


class _Plain(ctypes.Structure):
    """``struct plain`` of sealing.c."""

    _fields_ = (
        ("offsets", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("ids", ctypes.c_char_p),
        ("nonces", ctypes.c_char_p),
        ("count", ctypes.c_uint64),
    )


class KernelAbsent(Exception):
    """There is no kernel in this process. The message says why, and what would help."""


class KernelFailed(Exception):
    """A library below the kernel failed where it never should (no memory, most likely)."""


class HashStream:
    """A SHA-256 of pieces that ``Kernel.hash_many`` takes. Not thread-safe. MemoryError without memory."""

    def __init__(self, kernel: Kernel) -> None:
        self._library = kernel.library
        self.handle = self._library.argosy_stream_new()
        if not self.handle:
            raise MemoryError

    def __del__(self) -> None:
        handle, self.handle = getattr(self, "handle", None), None
        if handle:
            self._library.argosy_stream_free(handle)

    def end(self, data: Data) -> bytes:
        """The hash of all that was taken and of ``data``, which is the last piece."""
        digest = bytearray(HASH_BYTES)
        if not self._library.argosy_stream_end(self.handle, pointer(data), len(data), pointer(digest)):
            raise KernelFailed("libcrypto could not hash")
        return bytes(digest)


class Kernel:
    """The functions of the library. Thread-safe; each call runs without the interpreter's lock."""

    def __init__(self, library: ctypes.CDLL, versions: str) -> None:
        self.versions = versions
        self.library = library
        self._hash_many = library.argosy_hash_many
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments

    def hash_many(
        self, data: Data, lengths: Sequence[int], stream: HashStream | None = None, more: Data = b""
    ) -> list[bytes]:
        """The SHA-256 of each of the pieces that lie one after the other in ``data``; ``stream`` takes ``more``.

        Two messages side by side take little longer than one.
        """
        if any(length < 0 for length in lengths) or sum(lengths) != len(data):
            raise ValueError("the pieces' lengths do not add up to the data's")
        sizes = array("Q", lengths)
        hashes = bytearray(HASH_BYTES * len(sizes))
        handle = None if stream is None else stream.handle
        if not self._hash_many(
            pointer(data), pointer(sizes), len(sizes), pointer(hashes), handle, pointer(more), len(more)
        ):
            raise KernelFailed("libcrypto could not hash")
        return [bytes(hashes[at : at + HASH_BYTES]) for at in range(0, len(hashes), HASH_BYTES)]

    def hash_stream(self) -> HashStream:
        """A hash that ``hash_many`` feeds, for one thread."""
        return HashStream(self)

    def listing(self, owner_keys: OwnerKeys, printable: PrintableRanges) -> NativeListing:
        """A listing, for one thread."""
        return NativeListing(self.library, owner_keys, printable)

    def reading(
        self,
        owner_keys: OwnerKeys,
        printable: PrintableRanges,
        *,
        most_bytes: int,
        room_bytes: int,
        device_id_always: bool,
    ) -> NativeReading:
        """A reading of small files, for one thread."""
        return NativeReading(
            self.library,
            owner_keys,
            printable,
            most_bytes=most_bytes,
            room_bytes=room_bytes,
            device_id_always=device_id_always,
        )


class Session:
    """Contexts and memory for one key. Not thread-safe: one for each thread.

    ``material``: the key's 64 bytes, the cipher's part, then k and r of the MAC.
    """

    def __init__(self, kernel: Kernel, material: bytes) -> None:
        if len(material) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self.library = self._library = kernel.library
        self._handle = kernel.library.argosy_session_new(material)
        if not self._handle:
            raise KernelFailed("no memory for a session")

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            self._library.argosy_session_free(handle)

    @property
    def handle(self) -> int:
        """The session's address, for functions that other modules of this folder declare."""
        return int(self._handle)

    def open_many(self, data: Data, blobs: Sequence[SealedBlob], contents: bytearray) -> bytearray:
        """Open sealed blobs in ``data``, each to its place in ``contents``.

        The answer has a 1 for each blob whose MAC, length and hash hold; what stands in the place of another means
        nothing.
        """
        sound = bytearray(len(blobs))
        if blobs:
            rows = b"".join(starmap(_BLOB_ROW.pack, blobs))
            room, place = len(contents), pointer(contents)
            self._library.argosy_open_many(
                self._handle, pointer(data), len(data), rows, len(blobs), place, room, pointer(sound)
            )
        return sound

    def open_one(self, sealed: Data, uncompressed_length: int, identity: bytes, length: int) -> bytes | None:
        """The content, of ``length`` bytes, of one sealed blob; None unless its MAC, length and hash hold."""
        content = unwritten_bytes(length)
        row = _BLOB_ROW.pack(0, 0, len(sealed), uncompressed_length, identity)
        sound = bytearray(1)
        self._library.argosy_open_many(
            self._handle, pointer(sealed), len(sealed), row, 1, content, length, pointer(sound)
        )
        return content if sound[0] else None

    def seal_many(
        self, data: Data, blobs: Sequence[PlainBlob], nonces: bytes, manner: Manner, sealed: bytearray | memoryview
    ) -> SealedMany:
        """Seal contents in ``data``, one after the other into ``sealed``, each with the next 16 bytes of ``nonces``.

        Not all are done if memory or the room in ``sealed`` gave out.
        """
        if not blobs:
            return SealedMany(0, 0, b"", bytearray())
        offsets, lengths, ids = zip(*blobs, strict=True)
        if len(nonces) != NONCE_BYTES * len(blobs) or max(map(add, offsets, lengths)) > len(data):
            raise ValueError("each blob has a nonce and lies within the data")
        rows = array("Q", offsets), array("I", lengths)
        plain = _Plain(*(row.buffer_info()[0] for row in rows), b"".join(ids), nonces, len(blobs))
        header = bytearray(_MOST_ENTRY_BYTES * len(blobs))
        sizes, sound = array("Q", (0, 0)), bytearray(len(blobs))
        done = self._library.argosy_seal_many(
            self._handle,
            pointer(data),
            _packed(manner),
            ctypes.byref(plain),
            pointer(sealed),
            len(sealed),
            pointer(header),
            pointer(sizes),
            pointer(sound),
        )
        return SealedMany(done, sizes[0], bytes(memoryview(header)[: sizes[1]]), sound)

    def cut_pack(self, header: bytes, most_bytes: int) -> list[tuple[int, ...]]:
        """Pieces of a pack for ``pack_piece``: where each begins and ends in the header, then in the pack.

        Each is whole blobs, of up to ``most_bytes`` or one blob. Nothing for a header that is malformed.
        """
        # Mostly a few are enough; room for as many pieces as blobs would be as large as the header.
        for room in (_FEW_PIECES, len(header) // _LEAST_ENTRY_BYTES + 1):
            numbers = array("Q", bytes(_PIECE.size * room))
            count = self._library.argosy_cut_pack(header, len(header), most_bytes, pointer(numbers), room)
            if count:
                break
        return list(_PIECE.iter_unpack(memoryview(numbers).cast("B")[: _PIECE.size * count]))

    def pack_start(self) -> None:
        """Begin to read a pack."""
        self._library.argosy_pack_start(self._handle)

    def pack_piece(self, data: Data, header: Data) -> bool:
        """Whether the blobs that this part of the header lists, all of them sound, make up the pack's next piece.

        It is hashed as a part of the pack in any case.
        """
        answer = self._library.argosy_pack_piece(self._handle, pointer(data), len(data), pointer(header), len(header))
        return bool(answer)

    def pack_end(self, trailer: Data, header: bytes, pack_id: bytes) -> bool:
        """Whether the trailer holds ``header``, sealed, and the whole pack has the hash ``pack_id``."""
        if len(pack_id) != HASH_BYTES:
            raise ValueError(f"a hash has {HASH_BYTES} bytes")
        return bool(
            self._library.argosy_pack_end(self._handle, pointer(trailer), len(trailer), header, len(header), pack_id)
        )


def load_kernel() -> Kernel:
    """The kernel that was built from the sources beside this file. KernelAbsent if it cannot be used."""
    path = library_path()
    if not path.exists():
        raise KernelAbsent("it was not built: install a C compiler and run `python -m argosy.native.build`")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelAbsent(f"it cannot be loaded: {error}") from error
    reason = ctypes.create_string_buffer(_REASON_BYTES)
    for zstd_name in (*_zstd_of_python(), ZSTD_NAME):
        names = CRYPTO_NAME.encode(), os.fsencode(zstd_name)
        if library.argosy_load(*names, reason, ctypes.c_size_t(_REASON_BYTES)):
            kernel = Kernel(library, f"OpenSSL {_openssl(library)}, zstd {_zstd(library)}")
            _require_right_hashes(kernel)
            return kernel
    raise KernelAbsent(reason.value.decode(errors="replace"))


def _require_right_hashes(kernel: Kernel) -> None:
    """KernelAbsent if it hashes otherwise than Python here: ids are hashes, and its own hash would verify itself."""
    for pieces in _HASHED_AT_LOADING:
        hashes = kernel.hash_many(b"".join(pieces), [len(data) for data in pieces])
        if hashes != [sha256(data).digest() for data in pieces]:
            raise KernelAbsent("it computes wrong hashes on this processor, so it is not used: please report this")


def _zstd_of_python() -> list[str]:
    """The extension module of backports.zstd, if it is there: it holds all of zstd, in a later version than a system's.

    Compiled for speed, it compresses small blobs 10 % faster than Debian's library. The module is not imported here.
    """
    try:
        package = find_spec("backports.zstd")
    except ImportError:
        return []
    places = (package.submodule_search_locations or []) if package is not None else []
    return [path for place in places for path in glob(f"{place}/_zstd.*.so")]


def _packed(manner: Manner) -> bytes:
    compresses, small, large, small_bytes, verify = manner
    return _MANNER.pack(compresses, *small, *large, small_bytes, verify)


def pointer(data: Data | array[int]) -> Any:
    """An argument for a parameter of type ``void *``; it keeps ``data`` alive and in place."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, memoryview) and data.readonly:
        return bytes(data)  # a copy: of such a view ctypes does not tell the address
    return ctypes.byref(ctypes.c_char.from_buffer(data)) if len(data) else None


def unwritten_bytes(length: int) -> bytes:
    """New bytes for the kernel to write to before anyone else sees them; neither cleared before nor copied after it."""
    if length < 1:
        raise ValueError("all bytes objects of no length are the same one")
    new: bytes = _new_bytes(None, length)
    return new


def _openssl(library: ctypes.CDLL) -> str:
    library.argosy_crypto_version.restype = ctypes.c_char_p
    return str(library.argosy_crypto_version().decode())


def _zstd(library: ctypes.CDLL) -> str:
    number = int(library.argosy_zstd_version())
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
