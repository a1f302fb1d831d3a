"""Ids: 32 bytes (SHA-256) inside the program, 64 lower-case hexadecimal digits in JSON and in file names."""

from __future__ import annotations

from argosy.restic_format.damage import damaged

ID_BYTES = 32


def decode_id(text: str, what: str) -> bytes:
    """The id written as ``text``. Damaged (naming ``what``) unless it is 64 lower-case hexadecimal digits."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    # fromhex skips blanks and takes capitals, which would make two names for one id.
    if len(value) != ID_BYTES or value.hex() != text:
        raise damaged(what, f"{text[:80]!r} is not an id of 64 hexadecimal digits")
    return value
