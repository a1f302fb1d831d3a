"""Tokens in the work-queue stream: the master puts one for each task that waits, members draw them and renew them.

The stream lives in the server's memory. If the server is lost so are its tokens, and the master puts new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from argosy.engine.nats.connection import FAULTS, Connection
from argosy.engine.nats.wire import WORK_STREAM, work_subject

_PAUSE_SECONDS = 0.2
_FETCH_SECONDS = 5.0
_MOST_WAITING_FETCHES = 4096
_CLOSE_SECONDS = 1.0
RENEWALS_A_LEASE = 3


async def ensure_stream(connection: Connection, *, afresh: bool = False) -> None:
    """Make the work-queue stream, unless it is there. ``afresh`` empties it: whose tokens they were is gone."""
    jetstream = connection.jetstream
    with suppress(NotFoundError):
        await jetstream.stream_info(WORK_STREAM)
        if afresh:
            await jetstream.purge_stream(WORK_STREAM)
        return
    await jetstream.add_stream(
        StreamConfig(
            name=WORK_STREAM,
            subjects=[work_subject("*")],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.MEMORY,
        )
    )


class TokenSource:
    """The master's end, for one engine. On the connection's loop, but for ``need`` and ``refill``."""

    def __init__(self, connection: Connection, engine: str, lease_seconds: float) -> None:
        self._connection = connection
        self._engine = engine
        self._lease_seconds = lease_seconds
        self._needed = 0
        self._wanted = asyncio.Event()
        self._ready = False
        self._task = connection.spawn(self._put_tokens())

    def need(self, count: int = 1) -> None:
        """Put so many tokens more; from any thread."""
        self._connection.soon(self._need, count)

    def refill(self, waiting: int) -> None:
        """So many tasks wait, and nobody draws: add what tokens are missing. From any thread."""
        self._connection.soon(lambda: self._connection.spawn(self._refill(waiting)))

    def restart(self) -> None:
        """The server was away: what was under way to it is void, and so may be its streams. On the loop."""
        self._ready = False
        self._task.cancel()
        self._task = self._connection.spawn(self._put_tokens())

    async def close(self) -> None:
        """Remove the consumer, and the tokens that nobody has drawn: autoscalers would take them for work."""
        self._task.cancel()
        jetstream = self._connection.jetstream
        with suppress(*FAULTS):
            await asyncio.wait_for(jetstream.delete_consumer(WORK_STREAM, self._engine), _CLOSE_SECONDS)
        with suppress(*FAULTS):
            subject = work_subject(self._engine)
            await asyncio.wait_for(jetstream.purge_stream(WORK_STREAM, subject=subject), _CLOSE_SECONDS)

    def _need(self, count: int) -> None:
        self._needed += count
        self._wanted.set()

    async def _refill(self, waiting: int) -> None:
        try:
            info = await self._connection.jetstream.consumer_info(WORK_STREAM, self._engine)
            missing = waiting - self._needed - (info.num_pending or 0)
        except FAULTS:
            self._ready = False
            missing = waiting - self._needed
        if missing > 0:
            self._need(missing)

    async def _put_tokens(self) -> None:
        while True:
            try:
                if not self._ready:
                    await self._ensure()
                await self._wanted.wait()
                while self._needed:
                    await self._connection.jetstream.publish(work_subject(self._engine), b"", stream=WORK_STREAM)
                    self._needed -= 1
                self._wanted.clear()
            except FAULTS:
                # The server restarts, or has lost its streams.
                self._ready = False
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _ensure(self) -> None:
        await ensure_stream(self._connection)
        await self._connection.jetstream.add_consumer(
            WORK_STREAM,
            ConsumerConfig(
                durable_name=self._engine,
                filter_subject=work_subject(self._engine),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._lease_seconds,
                max_ack_pending=-1,
                max_waiting=_MOST_WAITING_FETCHES,
                mem_storage=True,
            ),
        )
        self._ready = True


class TokenDraw:
    """A member's end, for one engine: holds as many unanswered tokens as there is demand. On the connection's loop."""

    def __init__(self, connection: Connection, engine: str, lease_seconds: float, drawn: Callable[[int], None]) -> None:
        """``drawn`` is called with a number for each token drawn."""
        self._connection = connection
        self._engine = engine
        self._lease_seconds = lease_seconds
        self._drawn = drawn
        self._tokens: dict[int, Msg] = {}
        self._unanswered: set[int] = set()
        self._last = 0
        self._demand = 0
        self._demanded = asyncio.Event()
        self._drawing = connection.spawn(self._draw())
        self._renewing = connection.spawn(self._renew())

    def update(self, demand: int, answered: list[int]) -> None:
        """So many tasks more are wanted, apart from those that the answers to these tokens brought."""
        self._unanswered.difference_update(answered)
        self._demand = demand
        if self._room() > 0:
            self._demanded.set()

    def settle(self, token: int) -> None:
        """The token's task has ended, and the master knows it."""
        message = self._tokens.pop(token, None)
        if message is not None:
            self._connection.spawn(_acknowledge_twice(message))

    def restart(self) -> None:
        """The server was away: a request for tokens that was under way is void."""
        self._drawing.cancel()
        self._drawing = self._connection.spawn(self._draw())

    def close(self) -> None:
        """Draw and renew no more."""
        self._drawing.cancel()
        self._renewing.cancel()

    def _room(self) -> int:
        return self._demand - len(self._unanswered)

    async def _draw(self) -> None:
        subscription: JetStreamContext.PullSubscription | None = None
        while True:
            if self._room() <= 0:
                self._demanded.clear()
                await self._demanded.wait()
            try:
                if subscription is None:
                    jetstream = self._connection.jetstream
                    subscription = await jetstream.pull_subscribe_bind(self._engine, WORK_STREAM)
                for message in await subscription.fetch(self._room(), timeout=_FETCH_SECONDS):
                    self._take(message)
            except FAULTS as error:
                # Pull subscriptions may stay silent after a server's restart (nats.py #504): none gets old.
                if subscription is not None:
                    with suppress(*FAULTS):
                        await subscription.unsubscribe()
                    subscription = None
                if not isinstance(error, nats.errors.TimeoutError):
                    await asyncio.sleep(_PAUSE_SECONDS)

    def _take(self, message: Msg) -> None:
        self._last += 1
        self._tokens[self._last] = message
        self._unanswered.add(self._last)
        self._drawn(self._last)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / RENEWALS_A_LEASE)
            for message in list(self._tokens.values()):
                with suppress(*FAULTS):
                    await message.in_progress()


async def _acknowledge_twice(message: Msg) -> None:
    # Without an answer the token comes again some day and is answered with "nothing waits".
    with suppress(*FAULTS):
        await message.ack_sync(timeout=_FETCH_SECONDS)
