"""The kernel's scrypt: the same key in half of the time."""

from __future__ import annotations

import ctypes
import hashlib
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from argosy.native.sources import library_path

if TYPE_CHECKING:
    from argosy.native.bindings import Kernel

# Small, and with each of the three numbers above 1.
_TRIED = (b"password", b"salt", 16, 2, 3)
_TRIED_BYTES = 32


def derive(kernel: Kernel, password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes | None:
    """``length`` bytes of scrypt (RFC 7914); None where another implementation has to do it, or to refuse."""
    return derive_by(kernel.library, password, salt, n, r, p, length)


def library_alone() -> ctypes.CDLL | None:
    """The kernel's library without what the rest of it needs, for ``derive_by``: loaded in a tenth of the time."""
    with suppress(OSError):
        path = library_path()
        return ctypes.CDLL(str(path)) if path.exists() else None
    return None


def derive_by(found: ctypes.CDLL, password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes | None:
    """As ``derive``."""
    library = _declared(found)
    if library is None or n < 2 or n & (n - 1) or r < 1 or p < 1:
        return None
    return _derive(library, password, salt, n, r, p, length)


def _derive(library: ctypes.CDLL, password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes | None:
    pieces = bytearray(hashlib.pbkdf2_hmac("sha256", password, salt, 1, 128 * r * p))
    place = ctypes.addressof(ctypes.c_char.from_buffer(pieces))
    if not library.argosy_scrypt_mix(place, n, r, p):
        return None
    return hashlib.pbkdf2_hmac("sha256", password, pieces, 1, length)


@cache
def _declared(library: ctypes.CDLL) -> ctypes.CDLL | None:
    """None if it does not agree with libcrypto: a key that is sealed with a wrong one would be lost."""
    library.argosy_scrypt_mix.argtypes = (ctypes.c_void_p, *3 * (ctypes.c_uint64,))
    password, salt, n, r, p = _TRIED
    expected = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, dklen=_TRIED_BYTES)
    return library if _derive(library, *_TRIED, _TRIED_BYTES) == expected else None
