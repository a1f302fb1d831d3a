"""Files of one JSON document: index, snapshot, lock. Stored as sealed ``0x02 || zstd(JSON)``.

Older repositories hold sealed plain JSON, which starts with ``{`` or ``[``. (The config is sealed JSON
without compression, see config; key files are plain.)
"""

from __future__ import annotations

from argosy.restic_format.compression import Compressor, decompress
from argosy.restic_format.crypto import Buffer, Opener, Sealer
from argosy.restic_format.damage import damaged

_COMPRESSED = b"\x02"


def encode_unpacked(json_bytes: bytes, sealer: Sealer, compressor: Compressor) -> bytes:
    """The bytes to store for a JSON document."""
    return sealer.seal(_COMPRESSED + compressor.compress_document(json_bytes))


def decode_unpacked(stored: Buffer, opener: Opener, what: str) -> bytes:
    """The JSON document in stored bytes. Damaged (naming ``what``) if MAC or form do not hold."""
    plaintext = opener.open(stored, what)
    form = plaintext[:1]
    if form == _COMPRESSED:
        return decompress(memoryview(plaintext)[1:], None, what)
    if form in (b"{", b"["):
        return plaintext
    raise damaged(what, f"it starts with the unknown form byte {form.hex() or 'none'}")
