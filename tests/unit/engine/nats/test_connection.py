"""A connection ends when it is told to, whatever its tasks make of that, and when the server does not want it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from argosy.engine.nats.connection import Connection
from argosy.errors import EngineError
from tests.support.cluster import nats_server

SWALLOWED = 3


def test_a_task_that_swallows_cancellations_is_cancelled_again() -> None:
    """nats-py does so while it flushes."""
    connection = Connection("nats://127.0.0.1:1", "somebody", None)
    begun = threading.Event()
    ended = threading.Event()

    async def stubborn() -> None:
        begun.set()
        for _ in range(SWALLOWED):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        ended.set()

    async def begin() -> None:
        connection.spawn(stubborn())

    connection.run(begin())
    assert begun.wait(60)
    connection.close()
    assert ended.is_set()
    assert connection.loop.is_closed()


def test_who_is_no_user_of_the_server_is_told_so_without_waiting(tmp_path: Path) -> None:
    """The patience is longer than this test may take."""
    with nats_server(tmp_path, extra='authorization { user: "known", password: "only" }\n') as server:
        connection = Connection(f"nats://{server.host}:{server.port}", "unknown")
        try:
            with pytest.raises(EngineError, match="not, or no longer, in the master's register"):
                connection.open(3600.0)
        finally:
            connection.close()
