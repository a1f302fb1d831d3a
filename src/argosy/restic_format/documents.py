"""Pieces of JSON documents: from JSON to structs, and base64. What cannot be read is Damaged, named."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from argosy.restic_format.damage import damaged

Document = TypeVar("Document")


class _AnyObject(msgspec.Struct):
    """Has no field: whatever an object holds is skipped."""


_ANY_OBJECT = msgspec.json.Decoder(_AnyObject)


def decode_document(
    decoder: msgspec.json.Decoder[Document], data: bytes | msgspec.Raw, what: str, kind: str
) -> Document:
    """What ``decoder`` makes of ``data``. Damaged, naming ``what``: "it is not ``kind``"."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise damaged(what, f"it is not {kind} ({error})") from error


def is_object(data: bytes) -> bool:
    """Whether the bytes are one JSON object, whole and nothing else; nothing of it is kept."""
    try:
        _ANY_OBJECT.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def encode_base64(value: bytes) -> str:
    """Bytes as Go writes them into JSON."""
    return base64.b64encode(value).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes. Damaged, naming ``what``; the text is not quoted, since it may be secret."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise damaged(what, "it is not base64") from None
