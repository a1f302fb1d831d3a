"""A proxy: lends its workers to a master. It holds no state that matters."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from argosy.daemon import protocol
from argosy.daemon.fitting import HANDLERS, Fitter
from argosy.daemon.sight import Sight
from argosy.engine.nats import wire
from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.errors import EngineError

_LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """``url`` is the master's; ``name`` is the certificate's."""

    url: str
    name: str
    workers: int
    cache_directory: Path
    tls: ssl.SSLContext | None = None
    patience_seconds: float = 60.0


class Proxy:
    """Takes part from ``__enter__`` to ``__exit__``."""

    def __init__(self, settings: ProxySettings, say: Callable[[str], None]) -> None:
        """``say`` hears, in words, whether a master is there. It may be called from any thread."""
        self._settings = settings
        self._say = say
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        settings = self._settings
        try:
            self._connection = Connection(settings.url, wire.check_member_name(settings.name), settings.tls)
            self._stack.callback(self._connection.close)
            self._connection.open(settings.patience_seconds)
            fitter = Fitter(settings.name, settings.cache_directory, self._ask)
            agent = Agent(
                self._connection,
                settings.name,
                settings.workers,
                HANDLERS,
                prepare=fitter.fit,
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

    def _ask(self) -> Sight:
        """What the master sees now."""
        subject = wire.look_subject(self._settings.name)
        answer = self._connection.run(self._connection.request(subject, b"", _LOOK_SECONDS))
        if answer is None:
            raise EngineError(
                "the master does not say what it sees of source and repository", hint="Is it still there? Look there."
            )
        sight: Sight = protocol.decode(answer, Sight)
        return sight
