"""One end of a link: a stream of messages in each direction, over request and reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.msg import Msg

from argosy.engine.nats.connection import Connection
from argosy.engine.nats.stream import Incoming, Outgoing, Settled
from argosy.engine.nats.wire import Receipt, Segment, decode, encode

_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 0.1


class Link:
    """Sends with ``send`` (any thread); what comes in is given to ``heard`` on the connection's loop.

    A segment is confirmed once ``has_room`` holds: an owner that is behind makes the other side wait.
    """

    def __init__(
        self,
        connection: Connection,
        subject: str,
        number: int,
        engine: str,
        *,
        heard: Callable[[list[bytes]], None],
        has_room: Callable[[], bool],
        void: Callable[[], None],
    ) -> None:
        """``void`` is called (on the loop) if the other side does not know the link any more."""
        self.number = number
        self._connection = connection
        self._subject = subject
        self._engine = engine
        self._heard = heard
        self._has_room = has_room
        self._void = void
        self._outgoing = Outgoing()
        self._incoming = Incoming()
        self._filled = asyncio.Event()
        self._unconfirmed: Msg | None = None
        self._is_open = True
        self._pump = connection.spawn(self._send_segments())

    @property
    def unsent_bytes(self) -> int:
        """What the other side has not confirmed yet."""
        return self._outgoing.unsent_bytes

    def send(self, message: bytes, settled: Settled | None = None) -> None:
        """Send a message, from any thread, without waiting; ``settled`` is called on the loop once it is confirmed."""
        self._outgoing.put(message, settled)
        self._connection.soon(self._filled.set)

    async def receive(self, segment: Segment, message: Msg) -> None:
        """A segment arrived (``message`` is the request that brought it)."""
        self._heard(self._incoming.take(segment.number, segment.data))
        self._unconfirmed = message
        await self._confirm()

    def made_room(self) -> None:
        """The owner has caught up: call from any thread."""
        if self._unconfirmed is not None:
            self._connection.soon(lambda: self._connection.spawn(self._confirm()))

    def close(self) -> None:
        """No word goes out any more. On the loop's thread."""
        self._is_open = False
        self._pump.cancel()

    async def _confirm(self) -> None:
        if self._unconfirmed is not None and self._is_open and self._has_room():
            message, self._unconfirmed = self._unconfirmed, None
            await message.respond(encode(Receipt(self._incoming.expected)))

    async def _send_segments(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while (segment := self._outgoing.segment()) is not None:
                number, data = segment
                await self._send_until_confirmed(Segment(self.number, number, data, self._engine))

    async def _send_until_confirmed(self, segment: Segment) -> None:
        data = encode(segment)
        while True:
            answer = await self._connection.request(self._subject, data, _ANSWER_SECONDS)
            if answer is not None:
                receipt = decode(answer, Receipt)
                if not receipt.known:
                    self._void()
                    return
                if self._outgoing.confirm(receipt.expected):
                    return
            # Nobody listens at this moment, or the answer was late: the same segment again, later.
            await asyncio.sleep(_PAUSE_SECONDS)
