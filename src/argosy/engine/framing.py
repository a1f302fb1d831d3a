"""Messages between a local engine and its worker processes, as frames on a stream.

A frame is a header (payload length, kind, task id, attempt; little-endian) and the payload. Both ends run
the same version of the program, so frames carry no version.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from argosy.engine.interface import MAX_PAYLOAD_BYTES
from argosy.errors import EngineError

_HEADER = struct.Struct("<IBQI")
_OPENING = struct.Struct("<d?I")


class Kind(IntEnum):
    """What a frame says. The first block goes to a worker, the second comes from it."""

    OPEN = 1  # which handler to make, and its setup
    TASK = 2
    RECALL = 3  # give this task back unless its work has begun
    NOTICE = 4
    FLUSH = 5
    CLOSE = 6

    READY = 20
    UNFIT = 21  # the factory raised; the payload is the error's text
    TAKEN = 22
    RETURNED = 23  # work() returned: the task leaves the window
    GIVEN_BACK = 24
    PROGRESS = 25
    COMPLETE = 26
    FAILED = 27
    RAISED = 28  # work() raised; the payload is the error's text
    REPORT = 29
    CRASHED = 30  # the worker ends itself; the payload is the error's text


class Frame(NamedTuple):
    """One message. ``kind`` is a Kind's number; ``task_id`` and ``attempt`` are 0 where they mean
    nothing."""

    kind: int
    task_id: int
    attempt: int
    payload: bytes


def encode_frame(kind: int, payload: bytes = b"", task_id: int = 0, attempt: int = 0) -> bytes:
    """One frame's bytes. EngineError if the payload is above MAX_PAYLOAD_BYTES."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise EngineError(
            f"a message of {len(payload)} bytes is above the engine's limit of {MAX_PAYLOAD_BYTES}",
            hint="Make the batches smaller.",
        )
    return _HEADER.pack(len(payload), kind, task_id, attempt) + payload


class FrameDecoder:
    """Cuts a stream into frames; holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """Take the stream's next bytes and return the frames that are whole now, in order."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        position = 0
        # Released before the resize below: a bytearray cannot shrink while a view of it exists.
        with memoryview(buffer) as view:
            while len(view) - position >= _HEADER.size:
                length, kind, task_id, attempt = _HEADER.unpack_from(view, position)
                if length > MAX_PAYLOAD_BYTES:
                    raise EngineError(f"a worker's stream is garbled (a frame of {length} bytes)")
                begin = position + _HEADER.size
                if len(view) - begin < length:
                    break
                position = begin + length
                frames.append(Frame(kind, task_id, attempt, bytes(view[begin:position])))
        del buffer[:position]
        return frames


class Opening(NamedTuple):
    """The payload of OPEN. ``native`` is False if the worker, like its parent, is to go without the kernel in C."""

    handler: str
    setup: bytes
    idle_seconds: float
    native: bool = True


def encode_opening(opening: Opening) -> bytes:
    """The bytes of an OPEN payload."""
    handler = opening.handler.encode()
    return _OPENING.pack(opening.idle_seconds, opening.native, len(handler)) + handler + opening.setup


def decode_opening(payload: bytes) -> Opening:
    """The inverse of ``encode_opening``."""
    idle_seconds, native, length = _OPENING.unpack_from(payload)
    begin = _OPENING.size
    return Opening(payload[begin : begin + length].decode(), payload[begin + length :], idle_seconds, native)
