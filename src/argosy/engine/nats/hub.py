"""The master's half of the cluster: which members there are, and the links between them and engines.

A member is known from its hello, which comes every second. One that is silent for longer than the lease is struck off:
each engine hears that its link is lost, and the link is void for ever. Silence does not count while the master itself
has no connection, or has been stopped: then nobody can be heard.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

import msgspec
from nats.aio.msg import Msg
from nats.js.api import KeyValueConfig, StorageType
from nats.js.kv import KeyValue

from argosy import __version__
from argosy.engine.nats import wire
from argosy.engine.nats.connection import FAULTS, Connection
from argosy.engine.nats.inbox import Inbox
from argosy.engine.nats.link import Link
from argosy.engine.nats.placement import Place
from argosy.engine.nats.tailoring import Plain, Tailor
from argosy.engine.nats.tokens import TokenSource, ensure_stream
from argosy.errors import EngineError

_log = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
_TICKS_A_LEASE = 10
_MIRROR_SECONDS = 2.0
# A member that has not said hello for so long may be replaced by another run of it.
_REPLACEABLE_SECONDS = 3.0


class Attached(msgspec.Struct, frozen=True):
    """A member takes part in an engine's work from now on."""

    place: Place


class Lost(msgspec.Struct, frozen=True):
    """A link is void."""

    link: int
    reason: str


class Heard(msgspec.Struct, frozen=True):
    """A message came over a link."""

    link: int
    data: bytes


Entry: TypeAlias = Attached | Lost | Heard


class Membership(msgspec.Struct):
    """A member as the hub knows it; times in seconds since the epoch, ``heard`` by the monotonic clock."""

    name: str
    instance: str
    host: str
    pid: int
    workers: int
    terms: wire.Terms
    joined_at_seconds: float
    last_seen_seconds: float
    heard_seconds: float
    links: dict[int, Link] = msgspec.field(default_factory=dict)


class Desk:
    """What an engine has in the hub: an inbox, a link to each member, a source of tokens."""

    def __init__(self, hub: Hub) -> None:
        self.inbox: Inbox[Entry] = Inbox()
        self.name = uuid.uuid4().hex
        self.links: dict[int, tuple[Membership, Link]] = {}
        self._hub = hub
        self.tokens = TokenSource(hub.connection, self.name, hub.lease_seconds)

    def send(self, link: int, message: bytes, settled: Callable[[], None] | None = None) -> None:
        """Send to the member at the end of this link, if there still is one."""
        if (known := self.links.get(link)) is not None:
            known[1].send(message, settled)

    def unsent_bytes(self, link: int) -> int:
        """What the member at the end of this link has not confirmed."""
        known = self.links.get(link)
        return 0 if known is None else known[1].unsent_bytes

    def last_seen_seconds(self, link: int) -> float:
        """When the member said hello last."""
        known = self.links.get(link)
        return time.time() if known is None else known[0].last_seen_seconds

    def take(self) -> list[Entry]:
        """What has come."""
        entries = self.inbox.take_all()
        for _, link in list(self.links.values()):
            link.made_room()
        return entries

    def lose(self, link: int, reason: str) -> None:
        """Make a link void, from the engine's thread."""
        self._hub.connection.soon(self._hub.lose_link, link, reason)

    def close(self) -> None:
        """Make all links void and put no more tokens."""
        self._hub.connection.run(self._hub.dismiss(self))


class Hub:
    """Made on an open connection of the master's; ``start`` before the first engine."""

    def __init__(
        self, connection: Connection, *, lease_seconds: float = LEASE_SECONDS, tailor: Tailor | None = None
    ) -> None:
        """``tailor`` knows payloads and setups, for members on terms of their own."""
        self.connection = connection
        self.tailor = tailor or Plain()
        self.lease_seconds = lease_seconds
        self._instance = uuid.uuid4().hex
        self._members: dict[str, Membership] = {}
        self._desks: dict[str, Desk] = {}
        self._links: dict[int, tuple[Membership, Desk]] = {}
        self._bucket: KeyValue | None = None
        self._admitted: frozenset[str] | None = None
        self.members_changed: Callable[[str], None] = lambda _: None

    def start(self) -> None:
        """Make the streams and listen to members."""
        self.connection.run(self._begin())

    def members(self) -> list[Membership]:
        """Who takes part now."""
        return sorted(self._members.values(), key=lambda member: member.name)

    def open_desk(self) -> Desk:
        """Take in an engine; the members that there are are in its inbox already."""
        return self.connection.run(self._open_desk())

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Within, the stream holds a token that nobody draws: autoscalers see that a member is wanted."""
        desk = self.open_desk()
        desk.tokens.need()
        try:
            yield
        finally:
            desk.close()

    def admit_only(self, names: frozenset[str]) -> None:
        """Strike off whoever is not among these names, and take such in no more. From any thread."""
        self.connection.soon(self._admit_only, names)

    def _admit_only(self, names: frozenset[str]) -> None:
        self._admitted = names
        for member in list(self._members.values()):
            if member.name not in names:
                self._strike_off(member, "was cut off: its certificate was revoked")

    async def dismiss(self, desk: Desk) -> None:
        """An engine has ended."""
        self._desks.pop(desk.name, None)
        for number in list(desk.links):
            self.lose_link(number, "the engine was closed")
        await desk.tokens.close()

    def lose_link(self, number: int, reason: str) -> None:
        """Make one link void and tell its engine. On the loop."""
        known = self._links.pop(number, None)
        if known is not None:
            member, desk = known
            member.links.pop(number).close()
            desk.links.pop(number)
            desk.inbox.put(Lost(number, reason))

    async def _begin(self) -> None:
        self.connection.reconnected = self._reconnected
        await ensure_stream(self.connection, afresh=True)
        await self.connection.listen(wire.hello_subject("*"), self._greeted)
        await self.connection.listen(wire.segment_subject("*"), self._receive)
        await self.connection.listen(wire.receipt_subject("*"), self._confirmed)
        self.connection.spawn(self._watch())
        self.connection.spawn(self._mirror())

    def _reconnected(self) -> None:
        """The server was away, and with it perhaps all its memory."""
        self._bucket = None
        for desk in self._desks.values():
            desk.tokens.restart()
            for _, link in desk.links.values():
                link.resend()

    async def _open_desk(self) -> Desk:
        desk = Desk(self)
        self._desks[desk.name] = desk
        for member in self._members.values():
            self._attach(desk, member)
        return desk

    def _attach(self, desk: Desk, member: Membership) -> None:
        number = secrets.randbits(63)

        def heard(messages: list[bytes]) -> None:
            for data in messages:
                desk.inbox.put(Heard(number, data), len(data))

        link = Link(
            self.connection,
            wire.segment_inbox(member.name),
            wire.receipt_inbox(member.name),
            number,
            desk.name,
            master=self._instance,
            heard=heard,
            has_room=desk.inbox.has_room,
            void=lambda: self.lose_link(number, "gave its work up"),
        )
        member.links[number] = link
        self._links[number] = (member, desk)
        desk.links[number] = (member, link)
        place = Place(number, member.name, member.host, member.pid, member.workers, member.terms)
        desk.inbox.put(Attached(place))

    async def _receive(self, message: Msg) -> None:
        segment = wire.decode(message.data, wire.Segment)
        sender = message.subject.split(".")[2]
        link = self._link_of(segment.link, sender)
        if link is None:
            void = wire.Receipt(segment.link, 0, known=False, master=self._instance)
            await self.connection.publish(wire.receipt_inbox(sender), wire.encode(void))
        else:
            try:
                await link.receive(segment)
            except EngineError as error:
                self.lose_link(segment.link, f"was struck off because of what it sent: {error.message}")

    async def _confirmed(self, message: Msg) -> None:
        receipt = wire.decode(message.data, wire.Receipt)
        link = self._link_of(receipt.link, message.subject.split(".")[2])
        if link is not None:
            link.confirmed(receipt)

    def _link_of(self, number: int, sender: str) -> Link | None:
        """The link of this number, if it is the sender's: nobody speaks on another's."""
        member, _ = self._links.get(number, (None, None))
        return member.links[number] if member is not None and member.name == sender else None

    async def _greeted(self, message: Msg) -> None:
        hello = wire.decode(message.data, wire.Hello)
        if not wire.may_be_answered(message.subject, message.reply):
            return
        refusal = self._admit(hello, message.subject)
        void = [number for number in hello.links if number not in self._links]
        await message.respond(wire.encode(wire.Welcome(self._instance, self.lease_seconds, void, refusal)))

    def _admit(self, hello: wire.Hello, subject: str) -> str:
        """Take note of a member; returns why not, in words, or nothing."""
        if hello.protocol != wire.PROTOCOL:
            return (
                f"it speaks protocol {wire.PROTOCOL} (Argosy {__version__}), this member {hello.protocol}"
                f" (Argosy {hello.version}): install the same version"
            )
        if wire.hello_subject(hello.name) != subject:
            return f"a certificate for another name says that it is {hello.name}"
        if self._admitted is not None and hello.name not in self._admitted:
            return "its certificate was revoked"
        now = time.monotonic()
        known = self._members.get(hello.name)
        if known is not None and known.instance != hello.instance:
            if now - known.heard_seconds < _REPLACEABLE_SECONDS:
                return f"a member of the name {hello.name} is there already, on {known.host}: choose another --name"
            self._strike_off(known, "was started again")
            known = None
        if hello.workers == 0:
            if known is not None:
                self._strike_off(known, "left")
            return ""
        if known is None:
            known = self._take_in(hello, now)
        known.heard_seconds, known.last_seen_seconds = now, time.time()
        for number in hello.ended:
            if number in known.links:
                self.lose_link(number, "gave its work up")
        return ""

    def _take_in(self, hello: wire.Hello, now: float) -> Membership:
        member = Membership(
            hello.name, hello.instance, hello.host, hello.pid, hello.workers, hello.terms, time.time(), time.time(), now
        )
        self._members[hello.name] = member
        for desk in self._desks.values():
            self._attach(desk, member)
        self.members_changed(f"{hello.name} joined from {hello.host} with {hello.workers} workers")
        return member

    def _strike_off(self, member: Membership, reason: str) -> None:
        del self._members[member.name]
        for number in list(member.links):
            self.lose_link(number, reason)
        self.members_changed(f"{member.name} {reason}")

    async def _watch(self) -> None:
        tick_seconds = min(1.0, self.lease_seconds / _TICKS_A_LEASE)
        last = time.monotonic()
        while True:
            await asyncio.sleep(tick_seconds)
            now = time.monotonic()
            if now - last > 2 * tick_seconds or not self.connection.is_up:
                # It is this side that did not hear.
                for member in self._members.values():
                    member.heard_seconds += now - last
            last = now
            for member in list(self._members.values()):
                if now - member.heard_seconds > self.lease_seconds:
                    self._strike_off(member, f"was silent for {now - member.heard_seconds:.0f} seconds")

    async def _mirror(self) -> None:
        """Keep the state map's copy in the bucket up to date."""
        while True:
            with suppress(*FAULTS):
                if self._bucket is None:
                    self._bucket = await self._make_bucket()
                for member in self.members():
                    await self._bucket.put(member.name, _state_of(member))
            await asyncio.sleep(_MIRROR_SECONDS)

    async def _make_bucket(self) -> KeyValue:
        return await self.connection.jetstream.create_key_value(
            KeyValueConfig(
                bucket=wire.STATE_BUCKET,
                ttl=self.lease_seconds,
                storage=StorageType.MEMORY,
                description="Argosy's members as the master sees them",
            )
        )


def _state_of(member: Membership) -> bytes:
    return json.dumps(
        {
            "name": member.name,
            "host": member.host,
            "pid": member.pid,
            "workers": member.workers,
            "engines": len(member.links),
            "joined_at": member.joined_at_seconds,
            "last_seen": member.last_seen_seconds,
        }
    ).encode()
