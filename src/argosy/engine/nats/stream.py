"""The two halves of a link's direction, without I/O: messages to segments, and segments to messages.

A stream is messages, each behind its length, cut into segments without regard to where a message ends: small messages
share a segment, a large one is spread over many. One segment is under way at a time. It is sent until it is confirmed,
and the receiver confirms what it has had before: so every message arrives once and in order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from argosy.engine.interface import MAX_PAYLOAD_BYTES
from argosy.errors import EngineError

# NATS takes messages of up to 1 MB; a segment stays well below, with its envelope.
SEGMENT_BYTES = 384 * 1024
_LENGTH_BYTES = 4
# A payload may come with its task's number, a reason and such.
_MOST_BYTES = MAX_PAYLOAD_BYTES + 64 * 1024

Settled = Callable[[], None]


class Outgoing:
    """The sender's half. ``put`` may be called from any thread, the rest from one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[memoryview, Settled | None]] = deque()
        self._under_way: bytes | None = None
        self._settles: list[Settled] = []
        self._number = 0
        # Each message that is not confirmed as a whole, and where in the stream it ends.
        self._unconfirmed: deque[tuple[int, memoryview]] = deque()
        self._put_bytes = self._confirmed_bytes = 0
        self.unsent_bytes = 0

    def put(self, message: bytes, settled: Settled | None = None) -> None:
        """Add a message; ``settled`` is called once the other side has confirmed all of it."""
        if len(message) > _MOST_BYTES:
            raise EngineError(f"a message of {len(message)} bytes is above the engine's limit of {MAX_PAYLOAD_BYTES}")
        whole = memoryview(len(message).to_bytes(_LENGTH_BYTES, "little") + message)
        with self._lock:
            self._waiting.append((whole, settled))
            self._put_bytes += len(whole)
            self._unconfirmed.append((self._put_bytes, whole))
            self.unsent_bytes += len(whole)

    def unconfirmed(self) -> list[bytes]:
        """The messages that the other side has not confirmed as a whole, in order. It may have had them. Any thread."""
        with self._lock:
            return [bytes(whole[_LENGTH_BYTES:]) for _, whole in self._unconfirmed]

    def segment(self) -> tuple[int, bytes] | None:
        """The segment to send now: the same one until it is confirmed. None if there is nothing to say."""
        if self._under_way is None:
            self._under_way = self._cut()
        return None if self._under_way is None else (self._number, self._under_way)

    def confirm(self, expected: int) -> bool:
        """The receiver expects this number next. True if that confirms the segment under way."""
        if self._under_way is None or expected != self._number + 1:
            return False
        with self._lock:
            self.unsent_bytes -= len(self._under_way)
            self._confirmed_bytes += len(self._under_way)
            while self._unconfirmed and self._unconfirmed[0][0] <= self._confirmed_bytes:
                self._unconfirmed.popleft()
        self._number += 1
        self._under_way = None
        settles, self._settles = self._settles, []
        for settled in settles:
            settled()
        return True

    def _cut(self) -> bytes | None:
        parts: list[memoryview] = []
        room = SEGMENT_BYTES
        with self._lock:
            while self._waiting and room:
                whole, settled = self._waiting.popleft()
                parts.append(whole[:room])
                if len(whole) > room:
                    self._waiting.appendleft((whole[room:], settled))
                elif settled is not None:
                    self._settles.append(settled)
                room -= len(parts[-1])
        return b"".join(parts) if parts else None


class Incoming:
    """The receiver's half."""

    def __init__(self) -> None:
        self.expected = 0
        self._buffer = bytearray()

    def take(self, number: int, data: bytes) -> list[bytes]:
        """Take a segment; returns the messages that are whole now. One that has come before gives nothing.

        EngineError if a segment is missing before this one, or the stream is garbled.
        """
        if number < self.expected:
            return []
        if number > self.expected:
            raise EngineError(f"segment {number} of a link came where {self.expected} was expected")
        self.expected += 1
        self._buffer += data
        return self._whole_messages()

    def _whole_messages(self) -> list[bytes]:
        messages: list[bytes] = []
        position = 0
        buffer = self._buffer
        while len(buffer) - position >= _LENGTH_BYTES:
            length = int.from_bytes(buffer[position : position + _LENGTH_BYTES], "little")
            if length > _MOST_BYTES:
                raise EngineError(f"a link's stream is garbled (a message of {length} bytes)")
            begin = position + _LENGTH_BYTES
            if len(buffer) - begin < length:
                break
            position = begin + length
            messages.append(bytes(buffer[begin:position]))
        del buffer[:position]
        return messages
