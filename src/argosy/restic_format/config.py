"""The config of a repository: format version, id, chunker polynomial. Sealed JSON, never compressed."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from argosy.errors import RepositoryError
from argosy.restic_format.crypto import Buffer, Opener, Sealer
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_document
from argosy.restic_format.ids import ID_BYTES, decode_id
from argosy.restic_format.polynomial import DEGREE, is_irreducible, make_polynomial

VERSION = 2

__all__ = [
    "VERSION",
    "RepositoryConfig",
    "decode_config",
    "encode_config",
    "is_irreducible",
    "make_config",
    "make_polynomial",
    "open_config",
    "seal_config",
]


class RepositoryConfig(msgspec.Struct, frozen=True):
    """What distinguishes one repository from another. ``id`` has 32 random bytes."""

    version: int
    id: bytes
    chunker_polynomial: int


class _ConfigJson(msgspec.Struct):
    version: int
    id: str
    chunker_polynomial: str


_DECODER = msgspec.json.Decoder(_ConfigJson)


def make_config(draw: Callable[[int], bytes]) -> RepositoryConfig:
    """The config of a new repository. ``draw(n)`` gives ``n`` unpredictable bytes."""
    return RepositoryConfig(VERSION, draw(ID_BYTES), make_polynomial(draw))


def encode_config(config: RepositoryConfig) -> bytes:
    """The config's JSON, as restic writes it."""
    return (
        f'{{"version":{config.version},"id":"{config.id.hex()}","chunker_polynomial":"{config.chunker_polynomial:x}"}}'
    ).encode("ascii")


def decode_config(data: bytes, what: str = "config") -> RepositoryConfig:
    """The config in ``data``. Damaged if it makes no sense, RepositoryError for another version than 2."""
    document = decode_document(_DECODER, data, what, "the config of a repository")
    if document.version != VERSION:
        raise RepositoryError(
            f"the repository has format version {document.version}; Argosy knows version {VERSION}",
            hint="`restic migrate upgrade_repo_v2` brings a version 1 repository to version 2.",
        )
    polynomial = _decode_polynomial(document.chunker_polynomial, what)
    return RepositoryConfig(document.version, decode_id(document.id, what), polynomial)


def seal_config(config: RepositoryConfig, sealer: Sealer) -> bytes:
    """The bytes of the file ``config``."""
    return sealer.seal(encode_config(config))


def open_config(stored: Buffer, opener: Opener, what: str = "config") -> RepositoryConfig:
    """The config in the bytes of the file ``config``; errors as ``decode_config``."""
    return decode_config(opener.open(stored, what), what)


def _decode_polynomial(text: str, what: str) -> int:
    # Exactly the digits: int() would take a sign, a prefix and blanks as well.
    if re.fullmatch("[0-9a-f]{1,16}", text):
        polynomial = int(text, 16)
        if polynomial.bit_length() - 1 == DEGREE and is_irreducible(polynomial):
            return polynomial
    raise damaged(what, f"its chunker polynomial {text[:40]!r} cannot be right")
