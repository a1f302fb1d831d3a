"""One end of a link: a stream of messages in each direction, over segments and receipts.

Receipts are messages of their own, not replies: a member may send to subjects under its own name alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from argosy.engine.nats.connection import Connection
from argosy.engine.nats.stream import Incoming, Outgoing, Settled
from argosy.engine.nats.wire import Receipt, Segment, encode

# Longer than a receipt takes, unless the receiver has no room; then a segment is sent again in vain.
_ANSWER_SECONDS = 2.0


class Link:
    """Sends with ``send`` (any thread); what comes in is given to ``heard`` on the connection's loop.

    A segment is confirmed once ``has_room`` holds: an owner that is behind makes the other side wait.
    """

    def __init__(
        self,
        connection: Connection,
        segments_to: str,
        receipts_to: str,
        number: int,
        engine: str,
        *,
        master: str = "",
        heard: Callable[[list[bytes]], None],
        has_room: Callable[[], bool],
        void: Callable[[], None],
    ) -> None:
        """``void`` is called (on the loop) if the other side does not know the link any more."""
        self.number = number
        self._connection = connection
        self._segments_to = segments_to
        self._receipts_to = receipts_to
        self._engine = engine
        self._master = master
        self._heard = heard
        self._has_room = has_room
        self._void = void
        self._outgoing = Outgoing()
        self._incoming = Incoming()
        self._filled = asyncio.Event()
        self._answered = asyncio.Event()
        self._owes_receipt = False
        self._is_open = True
        self._pump = connection.spawn(self._send_segments())

    @property
    def unsent_bytes(self) -> int:
        """What the other side has not confirmed yet."""
        return self._outgoing.unsent_bytes

    def unconfirmed(self) -> list[bytes]:
        """The messages that the other side has not confirmed; it may have had them. From any thread."""
        return self._outgoing.unconfirmed()

    def send(self, message: bytes, settled: Settled | None = None) -> None:
        """Send a message, from any thread, without waiting; ``settled`` is called on the loop once it is confirmed."""
        self._outgoing.put(message, settled)
        self._connection.soon(self._filled.set)

    async def receive(self, segment: Segment) -> None:
        """A segment arrived."""
        self._heard(self._incoming.take(segment.number, segment.data))
        self._owes_receipt = True
        await self._confirm()

    def confirmed(self, receipt: Receipt) -> None:
        """A receipt arrived."""
        if not receipt.known:
            self._void()
        elif self._outgoing.confirm(receipt.expected):
            self._answered.set()

    def made_room(self) -> None:
        """The owner has caught up: call from any thread."""
        if self._owes_receipt:
            self._connection.soon(lambda: self._connection.spawn(self._confirm()))

    def resend(self) -> None:
        """The connection was lost and is there again: what was under way may be lost. On the loop's thread."""
        self._answered.set()

    def close(self) -> None:
        """No word goes out any more. On the loop's thread."""
        self._is_open = False
        self._pump.cancel()

    async def _confirm(self) -> None:
        if self._owes_receipt and self._is_open and self._has_room():
            self._owes_receipt = False
            await self._connection.publish(self._receipts_to, encode(Receipt(self.number, self._incoming.expected)))

    async def _send_segments(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while (segment := self._outgoing.segment()) is not None:
                number, data = segment
                self._answered.clear()
                message = encode(Segment(self.number, number, data, self._engine, self._master))
                await self._connection.publish(self._segments_to, message)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._answered.wait(), _ANSWER_SECONDS)
