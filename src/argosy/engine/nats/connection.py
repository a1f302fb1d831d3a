"""The door to nats-py: one connection, on an event loop in a thread of its own.

nats-py is asyncio only, and everything else of an engine is not. Coroutines of the cluster run on this loop; other
threads reach it with ``run`` and ``soon``. Its errors leave this module as EngineError.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from argosy.engine.nats.wire import inbox_of, may_be_answered
from argosy.errors import EngineError

_log = logging.getLogger(__name__)

FAULTS = (nats.errors.Error, nats.js.errors.Error, OSError, asyncio.TimeoutError)
_RECONNECT_SECONDS = 0.25
_CONNECT_SECONDS = 5
_PING_SECONDS = 10
_DRAIN_SECONDS = 2.0
_CANCEL_AGAIN_SECONDS = 0.2
_END_SECONDS = 10.0
_REFUSED_SECONDS = 3.0
# A certificate that was given out just now: the master looks at its register many times in this time.
_GIVEN_OUT_SECONDS = 3.0
NO_USER = "the certificate is not, or no longer, in the master's register"

# With each TLS connection that ends it warns that nats-py's protocol class is written for plain ones too.
logging.getLogger("asyncio").setLevel(logging.ERROR)

T = TypeVar("T")


class Connection:
    """A connection that is kept: after a loss it is made again, for ever, until ``close``."""

    def __init__(self, url: str, name: str, tls: ssl.SSLContext | None = None, *, server_name: str = "") -> None:
        """``url`` is ``tls://host:port`` or ``nats://host:port``. ``name`` parts its inboxes from others'.

        ``server_name`` is what the server's certificate must stand for, if that is not the URL's host.
        """
        self.url = url
        self.name = name
        self._tls = tls
        self._server_name = server_name
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self.last_error = ""
        self._subscriptions: list[tuple[str, Callable[[Msg], Awaitable[None]]]] = []
        self._closing = False
        self._refused = asyncio.Event()
        self._refusal = ""
        self._cut_off = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.reconnected: Callable[[], None] = lambda: None
        self.cut_off: Callable[[], None] = lambda: None
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=f"nats-{name}", daemon=True)
        self._thread.start()

    def open(self, patience_seconds: float) -> None:
        """Connect; EngineError, with the last cause, if that does not work in time. It may be tried again."""
        try:
            self.run(self._connect_in_time(patience_seconds))
        except FAULTS as error:
            cause = self._refusal or self.last_error or str(error) or "no answer"
            raise EngineError(
                f"no connection to {self.url}: {cause}",
                hint="Check that the master runs, that the address and port are right, and the certificates.",
            ) from error

    @property
    def client(self) -> Client:
        """The client of nats-py, between ``open`` and ``close``."""
        assert self._client is not None, "between open and close"
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """Its JetStream half."""
        assert self._jetstream is not None, "between open and close"
        return self._jetstream

    @property
    def is_up(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._client is not None and bool(self._client.is_connected)

    @property
    def is_cut_off(self) -> bool:
        """Whether the server has ended the connection and takes the certificate no more: it was revoked."""
        return self._cut_off.is_set()

    def run(self, work: Awaitable[T]) -> T:
        """Run a coroutine on the loop and wait for its result. Not from the loop's own thread."""

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result()

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop, soon; from any thread. Nothing happens on a closed connection."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *arguments)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine beside others, on the loop's thread; ``close`` cancels it. What it raises is logged."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def listen(self, subject: str, heard: Callable[[Msg], Awaitable[None]]) -> None:
        """Call ``heard`` with each message of the subject."""

        async def guarded(message: Msg) -> None:
            try:
                await heard(message)
            except EngineError as error:
                _log.warning("%s: %s", message.subject, error.message)
            except FAULTS as error:
                _log.debug("no answer could be sent on %s: %s", message.subject, error)

        self._subscriptions.append((subject, guarded))
        await self.client.subscribe(subject, cb=guarded)

    async def serve(self, subject: str, answer: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        """Answer each request on the subject with what ``answer(subject, data)`` gives, many at a time."""

        async def heard(message: Msg) -> None:
            if may_be_answered(message.subject, message.reply):
                self.spawn(self._answer(message, answer))

        await self.listen(subject, heard)

    async def _answer(self, message: Msg, answer: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        try:
            data = await answer(message.subject, message.data)
        except EngineError as error:
            _log.warning("%s: %s", message.subject, error.message)
            return
        await self.publish(message.reply, data)

    async def publish(self, subject: str, data: bytes) -> None:
        """Send a message; while the connection is down it is dropped."""
        if self.is_up:
            with suppress(*FAULTS):
                await self.client.publish(subject, data)

    async def request(self, subject: str, data: bytes, timeout_seconds: float) -> bytes | None:
        """The answer; None if none came in time, nobody listens, or the connection is down or cut off."""
        asking = asyncio.ensure_future(self.client.request(subject, data, timeout=timeout_seconds))
        ending = asyncio.ensure_future(self._cut_off.wait())
        try:
            await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
            return bytes(asking.result().data) if asking.done() else None
        except FAULTS:
            return None
        finally:
            asking.cancel()
            ending.cancel()

    def close(self) -> None:
        """End tasks, connection and thread. Idempotent."""
        if self.loop.is_closed():
            return
        self._closing = True
        self.run(self._shut())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _connect_in_time(self, patience_seconds: float) -> None:
        """TimeoutError after the patience, or as soon as the server or its certificate is found to be the wrong one."""
        self._refused, self._refusal = asyncio.Event(), ""
        connecting = asyncio.ensure_future(self._connect())
        refused = asyncio.ensure_future(self._refused.wait())
        done, _ = await asyncio.wait(
            {connecting, refused}, timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (connecting, refused):
            task.cancel()
        await asyncio.gather(connecting, refused, return_exceptions=True)
        if connecting not in done:
            raise TimeoutError
        connecting.result()

    async def _connect(self) -> None:
        client = Client()

        async def closed() -> None:
            # One that never came up is not missed.
            if client is self._client and not self._closing:
                await self._closed(client)

        try:
            await client.connect(
                servers=[self.url],
                name=self.name,
                inbox_prefix=inbox_of(self.name),
                tls=self._tls,
                tls_hostname=(self._server_name or None) if self._tls else None,
                tls_handshake_first=self._tls is not None,
                connect_timeout=_CONNECT_SECONDS,
                reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]  # seconds; a float is slept just as well
                max_reconnect_attempts=-1,
                ping_interval=_PING_SECONDS,
                error_cb=self._failed,
                closed_cb=closed,
                reconnected_cb=self._came_back,
                drain_timeout=int(_DRAIN_SECONDS),
            )
            for subject, heard in self._subscriptions:
                await client.subscribe(subject, cb=heard)
        except BaseException:
            await _close(client)
            raise
        self._client = client
        self._jetstream = client.jetstream(timeout=_CONNECT_SECONDS)

    async def _closed(self, client: Client) -> None:
        """nats-py gives up where the server refuses this client: its certificate is no user's, any more or yet."""
        if client.last_error is not None:
            await self._failed(client.last_error)
        self.spawn(self._reopen())

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(_REFUSED_SECONDS)
            try:
                await asyncio.wait_for(self._connect(), _CONNECT_SECONDS)
            except FAULTS as error:
                await self._failed(error)
            else:
                await self._came_back()
                return

    async def _failed(self, error: Exception) -> None:
        self.last_error = NO_USER if _is_refusal(error) else str(error) or type(error).__name__
        if self._client is None:
            self._refuse(error)
        elif _is_refusal(error) and not self.is_cut_off:
            self._cut_off.set()
            self.cut_off()
            # nats-py tries on, and drops the streams of each attempt unclosed.
            self.spawn(_close(self._client))
        _log.debug("%s: %s", self.url, self.last_error)

    def _refuse(self, error: Exception) -> None:
        """See whether ``open`` is in vain."""
        if isinstance(error, ssl.SSLError):
            self._refused.set()
        elif _is_refusal(error):
            self._refusal = NO_USER
            self.loop.call_later(_GIVEN_OUT_SECONDS, self._refused.set)

    async def _came_back(self) -> None:
        _log.info("connected to %s again", self.url)
        self._cut_off.clear()
        self.reconnected()

    async def _shut(self) -> None:
        await _end_all(task for task in self._tasks if task is not asyncio.current_task())
        if self._client is not None:
            await _close(self._client)
        # nats-py leaves tasks of its own that need a turn to see that they are cancelled.
        await _end_all(task for task in asyncio.all_tasks() if task is not asyncio.current_task())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the cluster's connection ended: %r", error)


def _is_refusal(error: Exception) -> bool:
    """While nats-py connects for the first time it has no class of its own for this."""
    return isinstance(error, nats.errors.AuthorizationError) or "authorization violation" in str(error).lower()


async def _end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended: nats-py swallows a cancellation that meets it while it flushes."""
    left = set(tasks)
    deadline = time.monotonic() + _END_SECONDS
    while left and time.monotonic() < deadline:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECONDS)
        await asyncio.gather(*ended, return_exceptions=True)
    if left:
        _log.error("tasks of the cluster's connection do not end: %s", left)


async def _close(client: Client) -> None:
    if client.is_closed:
        return
    with suppress(*FAULTS):
        if client.is_connected:
            await asyncio.wait_for(client.flush(), _DRAIN_SECONDS)
    with suppress(*FAULTS):
        await asyncio.wait_for(client.close(), _END_SECONDS)
