"""A key derivation that is begun before the modules that ask for it are imported: it takes a tenth of a second in C.

So it uses the standard library and the native kernel alone. What it derives is what ``crypto.derive_key`` would.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress

from argosy.native.scrypt import derive_by, library_alone

# What scrypt needs besides its table.
_SPARE_BYTES = 1024 * 1024


class EarlyDerivation:
    """The bytes that scrypt makes of a password, being made by a thread since this was made.

    ``natively``: by the native kernel, if it is there.
    """

    def __init__(
        self, password: bytes, salt: bytes, n: int, r: int, p: int, length: int, *, natively: bool = True
    ) -> None:
        self._asked = password, salt, n, r, p, length
        # By whoever makes this: two threads that import hold each other up.
        self._library = library_alone() if natively else None
        self._made: bytes | None = None
        self._thread = threading.Thread(target=self._derive, name="early-derivation", daemon=True)
        self._thread.start()

    def made_of(self, password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes | None:
        """What was made, if it was made of this; None otherwise, or where scrypt refused."""
        if self._asked != (password, salt, n, r, p, length):
            return None
        self._thread.join()
        return self._made

    def _derive(self) -> None:
        if self._library is not None:
            self._made = derive_by(self._library, *self._asked)
        if self._made is None:
            self._made = _derive_plainly(*self._asked)


def _derive_plainly(password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes | None:
    most_bytes = 128 * r * (n + p + 2) + _SPARE_BYTES
    # Without scrypt in the interpreter's library, or with numbers that it refuses, whoever asks derives it himself.
    with suppress(ValueError, AttributeError, OverflowError, MemoryError):
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=most_bytes, dklen=length)
    return None
