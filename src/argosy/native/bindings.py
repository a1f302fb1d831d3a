"""The door to the library in C: loads it and gives its functions Python's types."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from typing import Any

from argosy.native.listing import NativeListing, OwnerKeys, PrintableRanges
from argosy.native.sources import library_path

CRYPTO_NAME = "libcrypto.so.3"
ZSTD_NAME = "libzstd.so.1"
HASH_BYTES = 32
_REASON_BYTES = 512

Data = bytes | bytearray | memoryview
"""``bytes``, or a buffer that may be written to: of others ctypes does not tell the address."""


class KernelAbsent(Exception):
    """There is no kernel in this process. The message says why, and what would help."""


class KernelFailed(Exception):
    """A library below the kernel failed where it never should (no memory, most likely)."""


class Kernel:
    """The functions of the library. Thread-safe; each call runs without the interpreter's lock."""

    def __init__(self, library: ctypes.CDLL, versions: str) -> None:
        self.versions = versions
        self._library = library
        self._hash_many = library.argosy_hash_many
        self._hash_many.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)

    def hash_many(self, data: Data, lengths: Sequence[int]) -> list[bytes]:
        """The SHA-256 of each of the pieces that lie one after the other in ``data``."""
        if any(length < 0 for length in lengths) or sum(lengths) != len(data):
            raise ValueError("the pieces' lengths do not add up to the data's")
        sizes = array("Q", lengths)
        hashes = bytearray(HASH_BYTES * len(sizes))
        if not self._hash_many(pointer(data), pointer(sizes), len(sizes), pointer(hashes)):
            raise KernelFailed("libcrypto could not hash")
        return [bytes(hashes[at : at + HASH_BYTES]) for at in range(0, len(hashes), HASH_BYTES)]

    def listing(self, owner_keys: OwnerKeys, printable: PrintableRanges) -> NativeListing:
        """A listing, for one thread."""
        return NativeListing(self._library, owner_keys, printable)


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
    names = CRYPTO_NAME.encode(), ZSTD_NAME.encode()
    if not library.argosy_load(*names, reason, ctypes.c_size_t(_REASON_BYTES)):
        raise KernelAbsent(reason.value.decode(errors="replace"))
    return Kernel(library, f"{CRYPTO_NAME} {_openssl(library)}, {ZSTD_NAME} {_zstd(library)}")


def pointer(data: Data | array[int]) -> Any:
    """An argument for a parameter of type ``void *``; it keeps ``data`` alive and in place."""
    if isinstance(data, bytes):
        return data
    return ctypes.byref(ctypes.c_char.from_buffer(data)) if len(data) else None


def _openssl(library: ctypes.CDLL) -> str:
    library.argosy_crypto_version.restype = ctypes.c_char_p
    return str(library.argosy_crypto_version().decode())


def _zstd(library: ctypes.CDLL) -> str:
    number = int(library.argosy_zstd_version())
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
