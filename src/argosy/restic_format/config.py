"""The config of a repository: format version, id, chunker polynomial. Sealed JSON, never compressed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from argosy.errors import RepositoryError
from argosy.restic_format.crypto import Buffer, Opener, Sealer
from argosy.restic_format.damage import damaged
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
        f'{{"version":{config.version},"id":"{config.id.hex()}",'
        f'"chunker_polynomial":"{config.chunker_polynomial:x}"}}'
    ).encode("ascii")


def decode_config(data: bytes, what: str = "config") -> RepositoryConfig:
    """The config in ``data``. Damaged if it makes no sense, RepositoryError for another version than 2."""
    try:
        document = _DECODER.decode(data)
        polynomial = int(document.chunker_polynomial, 16)
    except (msgspec.DecodeError, ValueError) as error:
        raise damaged(what, f"it is not the config of a repository ({error})") from error
    if document.version != VERSION:
        raise RepositoryError(
            f"the repository has format version {document.version}; Argosy knows version {VERSION}",
            hint="`restic migrate upgrade_repo_v2` brings a version 1 repository to version 2.",
        )
    if polynomial.bit_length() - 1 != DEGREE or not is_irreducible(polynomial):
        raise damaged(what, f"its chunker polynomial {document.chunker_polynomial} cannot be right")
    return RepositoryConfig(document.version, decode_id(document.id, what), polynomial)


def seal_config(config: RepositoryConfig, sealer: Sealer) -> bytes:
    """The bytes of the file ``config``."""
    return sealer.seal(encode_config(config))


def open_config(stored: Buffer, opener: Opener, what: str = "config") -> RepositoryConfig:
    """The config in the bytes of the file ``config``; errors as ``decode_config``."""
    return decode_config(opener.open(stored, what), what)
