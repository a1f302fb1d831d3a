"""A connection ends when it is told to, whatever its tasks make of that, and when the server does not want it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from argosy.engine.nats import connection as connection_module
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


def test_who_is_no_user_any_more_is_cut_off_and_waits_for_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to the question that is under way, nor to another one. A new set of users may have him again."""
    monkeypatch.setattr(connection_module, "_REFUSED_SECONDS", 0.05)
    users = 'authorization {{ users: [ {{ user: "{}", password: "x" }} ] }}\n'
    with nats_server(tmp_path, extra=users.format("ann")) as server:
        connection = Connection(f"nats://ann:x@{server.host}:{server.port}", "ann")
        asked, cut_off, back = threading.Event(), threading.Event(), threading.Event()
        connection.cut_off, connection.reconnected = cut_off.set, back.set

        async def unanswered(_message: object) -> None:
            asked.set()

        try:
            connection.open(60.0)
            connection.run(connection.listen("question", unanswered))
            first = asyncio.run_coroutine_threadsafe(connection.request("question", b"", 3600.0), connection.loop)
            assert asked.wait(60)
            server.reload(users.format("bob"))
            assert first.result(60) is None
            assert cut_off.is_set()
            assert connection.is_cut_off
            assert connection.run(connection.request("question", b"", 3600.0)) is None
            server.reload(users.format("ann"))
            assert back.wait(60)
            assert not connection.is_cut_off
        finally:
            connection.close()
