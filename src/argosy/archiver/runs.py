"""Runs: encoded nodes of one directory in name order, as they travel and as the checkpoint database keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.restic_format.compression import Compressor, decompress

_Run = tuple[list[bytes], list[bytes]]
_DECODER = msgspec.msgpack.Decoder(_Run)


def encode_run(names: Sequence[bytes], nodes: Sequence[bytes], compressor: Compressor) -> bytes:
    """Raw names and their nodes, in the same order, compressed (nodes shrink to about a sixth)."""
    return compressor.compress(msgspec.msgpack.encode((names, nodes)))


def decode_run(run: bytes) -> _Run:
    """(names, nodes) of an encoded run."""
    names, nodes = _DECODER.decode(decompress(run, None, "a run of nodes in the job file"))
    return names, nodes
