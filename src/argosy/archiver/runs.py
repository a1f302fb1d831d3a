"""Runs: encoded nodes of one directory in name order, as they travel and as the checkpoint database keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.restic_format.compression import Compressor, decompress

_Run = tuple[list[bytes], list[bytes]]
_DECODER = msgspec.msgpack.Decoder(_Run)
_LENGTH_BYTES = 4


def encode_run(names: Sequence[bytes], nodes: Sequence[bytes], compressor: Compressor) -> bytes:
    """Raw names and their nodes, in the same order, compressed (to about a sixth) behind their plain length."""
    plain = msgspec.msgpack.encode((names, nodes))
    return len(plain).to_bytes(_LENGTH_BYTES, "big") + compressor.compress_document(plain)


def decode_run(run: bytes) -> _Run:
    """(names, nodes) of an encoded run."""
    plain = decompress(memoryview(run)[_LENGTH_BYTES:], plain_bytes(run), "a run of nodes in the job file")
    names, nodes = _DECODER.decode(plain)
    return names, nodes


def plain_bytes(run: bytes) -> int:
    """The length of a run before compression."""
    return int.from_bytes(run[:_LENGTH_BYTES], "big")
