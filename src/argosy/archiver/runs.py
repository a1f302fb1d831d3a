"""Runs: encoded nodes of one directory in name order, as they travel and as the checkpoint database keeps them.

The length of the plain run, then the run, compressed where that makes it shorter: to about a sixth.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.restic_format.compression import Compressor, decompress

_Run = tuple[list[bytes], list[bytes]]
_DECODER = msgspec.msgpack.Decoder(_Run)
_LENGTH_BYTES = 4
# To compress less than this and to open it again takes longer than anything else that is done with it.
_COMPRESSED_LEAST_BYTES = 4096


def encode_run(names: Sequence[bytes], nodes: Sequence[bytes], compressor: Compressor) -> bytes:
    """Raw names and their nodes, in the same order."""
    plain = msgspec.msgpack.encode((names, nodes))
    length = len(plain).to_bytes(_LENGTH_BYTES, "big")
    if len(plain) < _COMPRESSED_LEAST_BYTES:
        return length + plain
    frame = compressor.compress_document(plain)
    return length + (frame if len(frame) < len(plain) else plain)


def decode_run(run: bytes) -> _Run:
    """(names, nodes) of an encoded run."""
    plain: bytes | memoryview = memoryview(run)[_LENGTH_BYTES:]
    if len(plain) < plain_bytes(run):
        plain = decompress(plain, plain_bytes(run), "a run of nodes in the job file")
    names, nodes = _DECODER.decode(plain)
    return names, nodes


def plain_bytes(run: bytes) -> int:
    """The length of a run before compression."""
    return int.from_bytes(run[:_LENGTH_BYTES], "big")
