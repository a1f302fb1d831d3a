"""A proxy: lends its workers to a master. It holds no state that matters."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import msgspec

from argosy.daemon import protocol
from argosy.daemon.fitting import HANDLERS, Fitter
from argosy.daemon.leftover_packs import LeftoverPacks
from argosy.daemon.protocol import Refusal
from argosy.daemon.sight import Sight
from argosy.daemon.tailoring import Credentials
from argosy.engine.nats import wire
from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.errors import EngineError, Interrupted

_LOOK_SECONDS = 60.0
_TRY_SECONDS = 3.0


class ProxySettings(msgspec.Struct, frozen=True):
    """``url`` is the master's; ``name`` is the certificate's. ``only_sources`` are paths as the master names them.
    ``credentials`` are this machine's own for a store: the master is to send none.
    """

    url: str
    name: str
    workers: int
    cache_directory: Path
    tls: ssl.SSLContext | None = None
    maps: tuple[tuple[bytes, bytes], ...] = ()
    weight: float = 1.0
    only_sources: tuple[bytes, ...] = ()
    credentials: Credentials | None = None


class Proxy:
    """Takes part from ``__enter__`` to ``__exit__``."""

    def __init__(
        self, settings: ProxySettings, say: Callable[[str], None], stop_requested: Callable[[], bool] = lambda: False
    ) -> None:
        """``say`` hears, in words, whether a master is there. It may be called from any thread.

        ``stop_requested`` is asked while there is no master yet.
        """
        self._settings = settings
        self._say = say
        self._stop_requested = stop_requested
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        settings = self._settings
        try:
            self._connection = Connection(settings.url, wire.check_member_name(settings.name), settings.tls)
            self._stack.callback(self._connection.close)
            self._wait_for_master()
            fitter = Fitter(settings.name, settings.cache_directory, self._ask, settings.maps, settings.credentials)
            terms = wire.Terms(settings.weight, list(settings.only_sources), settings.credentials is not None)
            agent = Agent(
                self._connection,
                settings.name,
                settings.workers,
                HANDLERS,
                terms=terms,
                prepare=fitter.fit,
                leftovers=LeftoverPacks(),
                state_changed=self._say,
            )
            agent.start()
            self._stack.callback(agent.close)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _wait_for_master(self) -> None:
        """A proxy may be started before its master; only a stop ends the wait."""
        said = ""
        while True:
            try:
                self._connection.open(_TRY_SECONDS)
                return
            except EngineError as error:
                if self._stop_requested():
                    raise Interrupted("stopped while there was no master") from error
                if error.message != said:
                    said = error.message
                    self._say(f"{said}; trying on")

    def _ask(self) -> Sight:
        """What the master sees now."""
        subject = wire.look_subject(self._settings.name)
        answer = self._connection.run(self._connection.request(subject, b"", _LOOK_SECONDS))
        if answer is None:
            raise EngineError(
                "the master does not say what it sees of source and repository", hint="Is it still there? Look there."
            )
        sight: Sight | Refusal = protocol.decode(answer, Sight | Refusal)
        if isinstance(sight, Refusal):
            raise sight.as_error()
        return sight
