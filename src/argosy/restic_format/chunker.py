"""The only door to pyfastcdc: where a file is cut into blobs.

FastCDC with the sizes of restic's chunker (512 KiB at least, 8 MiB at most) and 1 MiB as the point from which
cuts become likelier. Its gear table is masked with a seed that follows from the repository's chunker
polynomial, so that equal files have equal cuts in one repository and others elsewhere, and no seed can be
lost.
"""

from __future__ import annotations

import warnings

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from argosy.errors import ArgosyError
from argosy.restic_format.crypto import Buffer

with warnings.catch_warnings():
    # It warns when only its slow form is there: Chunker refuses that with an error of our own.
    warnings.simplefilter("ignore")
    from pyfastcdc import FastCDC

MIN_CHUNK_BYTES = 512 * 1024
AVERAGE_CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 8 * 1024 * 1024

_SEED_INFO = b"argosy fastcdc gear"
# pyfastcdc shifts the seed left by one within 64 bits and fails if its top bit is set.
_SEED_MASK = 2**63 - 1


class Chunker:
    """Cuts under one repository's polynomial. Not thread-safe: one for each thread. Releases the GIL."""

    def __init__(self, polynomial: int, *, allow_slow: bool = False) -> None:
        if is_slow() and not allow_slow:
            raise ArgosyError(
                "pyfastcdc lacks its compiled part on this machine; files would be cut 200 times slower",
                hint="Install a wheel of pyfastcdc for this platform, or allow the slow form.",
            )
        self._cutter = FastCDC(
            AVERAGE_CHUNK_BYTES,
            min_size=MIN_CHUNK_BYTES,
            max_size=MAX_CHUNK_BYTES,
            seed=gear_seed(polynomial),
        )

    def cut(self, buffer: Buffer, final: bool) -> list[int]:
        """The lengths of the chunks at the start of ``buffer``; they may end before it does.

        The rest (fewer than 8 MiB) has no cut that holds whatever follows: give it again with more bytes
        after it, or with ``final`` when nothing follows. Cuts depend on the bytes alone, not on how they came
        in buffers.
        """
        lengths: list[int] = [chunk.length for chunk in self._cutter.cut_buf(buffer)]
        # A cut before the buffer's end was found in the bytes; one at its end only if the chunk is as long as
        # can be.
        if lengths and not final and lengths[-1] < MAX_CHUNK_BYTES:
            lengths.pop()
        return lengths


def gear_seed(polynomial: int) -> int:
    """The seed of the gear table: HKDF-SHA256 of the polynomial (8 bytes, big-endian), 63 bits, never 0."""
    derivation = HKDF(algorithm=SHA256(), length=8, salt=None, info=_SEED_INFO)
    seed = int.from_bytes(derivation.derive(polynomial.to_bytes(8, "big")), "big") & _SEED_MASK
    # 0 would mean the table of the paper, known to all.
    return seed or 1


def is_slow() -> bool:
    """Whether only pyfastcdc's pure Python form is installed."""
    return not FastCDC.__module__.startswith("pyfastcdc.cy")
