"""The thread of a connection ends when it is told to, whatever its tasks make of that."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from argosy.engine.nats.connection import Connection

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
