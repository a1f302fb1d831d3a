"""A member's half of the cluster: dials the server, says hello, and runs a session for each engine that takes it in."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection

import msgspec
from nats.aio.msg import Msg

from argosy import __version__
from argosy.engine.nats import wire
from argosy.engine.nats.connection import Connection
from argosy.engine.nats.leftovers import NO_LEFTOVERS, Leftovers
from argosy.engine.nats.link import Link
from argosy.engine.nats.pace import Pace
from argosy.engine.nats.session import Prepare, Session
from argosy.engine.nats.tokens import TokenDraw
from argosy.errors import EngineError

_log = logging.getLogger(__name__)

HELLO_SECONDS = 1.0
_LEASES_OF_PATIENCE = 4
_DEFAULT_LEASE_SECONDS = 15.0
_REMEMBERED_LINKS = 1000
_LEAVE_SECONDS = 10.0
_USUAL = wire.Terms()


class _Running(msgspec.Struct):
    session: Session
    link: Link
    draw: TokenDraw


class Agent:
    """Takes part under ``name`` with ``workers`` workers, until ``close``. ``connection`` is open, and stays so."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        workers: int,
        allowed: Collection[str],
        *,
        terms: wire.Terms = _USUAL,
        prepare: Prepare = lambda _handler, setup: setup,
        leftovers: Leftovers = NO_LEFTOVERS,
        state_changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``allowed`` names the handlers that this member runs. ``state_changed`` hears, in words, what happens."""
        self._connection = connection
        self._name = wire.check_member_name(name)
        self._workers = workers
        self._allowed = allowed
        self._terms = terms
        self._prepare = prepare
        self._leftovers = leftovers
        self._state_changed = state_changed
        self._instance = uuid.uuid4().hex
        self._lease_seconds = _DEFAULT_LEASE_SECONDS
        self._master = ""
        self._running: dict[int, _Running] = {}
        # Sessions for a former master, until they have stored what their workers have read.
        self._storing: list[Session] = []
        self._ended: deque[int] = deque(maxlen=_REMEMBERED_LINKS)
        self._state = ""
        self._refusal = ""
        self._leaving = False
        self._last_answer = time.monotonic()

    def start(self) -> None:
        """Begin to take part."""
        self._connection.run(self._begin())

    def close(self) -> None:
        """End all workers at once and tell the master. What they held is taken up by others."""
        self._leaving = True
        sessions = self._connection.run(self._sessions())
        for session in sessions:
            session.leave()
        for session in sessions:
            session.join(_LEAVE_SECONDS)
        if self._connection.is_up:
            self._connection.run(self._say_hello())

    async def _begin(self) -> None:
        self._connection.reconnected = self._reconnected
        self._connection.cut_off = self._give_up
        await self._connection.listen(wire.segment_inbox(self._name), self._receive)
        await self._connection.listen(wire.receipt_inbox(self._name), self._confirmed)
        self._connection.spawn(self._greet())

    async def _sessions(self) -> list[Session]:
        return [running.session for running in self._running.values()]

    async def _greet(self) -> None:
        while True:
            begin = time.monotonic()
            answer = await self._say_hello()
            if answer is not None:
                self._hear(answer)
            elif time.monotonic() - self._last_answer > self._lease_seconds * _LEASES_OF_PATIENCE:
                # Whatever these workers still do, their tasks are with others by now.
                self._give_up()
            self._say_state(answer is not None)
            await asyncio.sleep(max(0.0, begin + HELLO_SECONDS - time.monotonic()))

    async def _say_hello(self) -> bytes | None:
        return await self._connection.request(
            wire.hello_subject(self._name), wire.encode(self._hello()), 2 * HELLO_SECONDS
        )

    def _hello(self) -> wire.Hello:
        return wire.Hello(
            wire.PROTOCOL,
            __version__,
            self._name,
            self._instance,
            socket.gethostname(),
            os.getpid(),
            0 if self._leaving else self._workers,
            list(self._running),
            list(self._ended)[-16:],
            self._terms,
        )

    def _hear(self, answer: bytes) -> None:
        try:
            welcome = wire.decode(answer, wire.Welcome)
        except EngineError as error:
            self._refusal = f"it speaks another protocol ({error.message})"
            return
        self._last_answer = time.monotonic()
        self._lease_seconds = welcome.lease_seconds
        self._refusal = welcome.refusal
        self._meet(welcome.master)
        self._void(welcome.void)

    def _meet(self, master: str) -> None:
        """A word from this master has come. If it is a new one, all links are void."""
        if master in ("", self._master):
            return
        if self._master:
            self._storing = [session for session in self._storing if session.is_alive()]
            for running in self._running.values():
                running.link.close()
                running.draw.close()
                running.session.replace()
                self._storing.append(running.session)
        self._master = master

    def _is_storing(self) -> bool:
        return any(session.is_alive() for session in self._storing)

    def _say_state(self, answered: bool) -> None:
        if not answered:
            cause = self._connection.last_error
            words = f" ({cause})" if cause and not self._connection.is_up else ""
            state = f"no master answers at {self._connection.url}{words}; trying on"
        elif self._refusal:
            state = f"the master refuses this member: {self._refusal}"
        else:
            state = f"joined the master at {self._connection.url} as {self._name}"
        if state != self._state:
            self._state = state
            self._state_changed(state)

    async def _receive(self, message: Msg) -> None:
        segment = wire.decode(message.data, wire.Segment)
        self._meet(segment.master)
        running = self._running.get(segment.link)
        if running is None and segment.number == 0 and segment.link not in self._ended and not self._leaving:
            running = self._open(segment.link, segment.engine)
        if running is None:
            void = wire.Receipt(segment.link, 0, known=False)
            await self._connection.publish(wire.receipt_subject(self._name), wire.encode(void))
        else:
            await running.link.receive(segment)

    async def _confirmed(self, message: Msg) -> None:
        receipt = wire.decode(message.data, wire.Receipt)
        self._meet(receipt.master)
        if (running := self._running.get(receipt.link)) is not None:
            running.link.confirmed(receipt)

    def _open(self, number: int, engine: str) -> _Running:
        def ended() -> None:
            self._connection.soon(self._forget, number)

        pace = Pace(self._terms.weight)
        session = Session(
            self._name,
            self._workers,
            self._allowed,
            self._prepare,
            ended,
            self._state_changed,
            pace,
            self._leftovers,
            self._is_storing,
        )
        draw = TokenDraw(self._connection, engine, self._lease_seconds, session.drawn)

        def heard(messages: list[bytes]) -> None:
            for data in messages:
                session.inbox.put(wire.decode_down(data), len(data))

        link = Link(
            self._connection,
            wire.segment_subject(self._name),
            wire.receipt_subject(self._name),
            number,
            engine,
            heard=heard,
            has_room=session.inbox.has_room,
            void=lambda: self._void([number]),
        )
        session.attach(link, _Draw(self._connection, draw))
        self._running[number] = _Running(session, link, draw)
        session.start()
        return self._running[number]

    def _give_up(self) -> None:
        """End all work: this member was cut off, or has had no answer for long.

        In the second case the master may have heard of it all the time, though its answers were lost: only as another
        one does it get new links to the engines that it was taken in by.
        """
        if self._running:
            for running in self._running.values():
                running.session.abandon()
            self._instance = uuid.uuid4().hex

    def _void(self, links: list[int]) -> None:
        for number in links:
            if number in self._running and not self._running[number].session.is_replaced:
                self._running[number].session.abandon()

    def _forget(self, number: int) -> None:
        running = self._running.pop(number)
        running.link.close()
        running.draw.close()
        self._ended.append(number)

    def _reconnected(self) -> None:
        for running in self._running.values():
            if not running.session.is_replaced:
                running.draw.restart()
                running.link.resend()


class _Draw:
    """A session's view of its tokens, from its own thread."""

    def __init__(self, connection: Connection, draw: TokenDraw) -> None:
        self._connection = connection
        self._draw = draw

    def update(self, demand: int, answered: list[int]) -> None:
        self._connection.soon(self._draw.update, demand, answered)

    def settle(self, token: int) -> None:
        self._connection.soon(self._draw.settle, token)
