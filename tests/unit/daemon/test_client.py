"""A client goes on asking while its master, or the server between them, is on its way back."""

from __future__ import annotations

from typing import cast

import pytest

from argosy.daemon import client, protocol
from argosy.daemon.client import Client
from argosy.daemon.protocol import Followed, Refusal
from argosy.engine.nats.connection import Connection
from argosy.errors import EngineError
from argosy.operations.backup.options import BackupObserver

ENDED = Followed("run", "job", "backup", [], 0, 0, [], b"", Refusal("EngineError", "it ended", ""))


class Line:
    """A connection on which nobody listens at first: so often the answer is, at once, that there is none."""

    url = "nats://nowhere"

    def __init__(self, silent: int, *, is_cut_off: bool = False) -> None:
        self.silent = silent
        self.is_cut_off = is_cut_off

    def request(self, _subject: str, _question: bytes, _timeout_seconds: float) -> bytes | None:
        """The answer."""
        self.silent -= 1
        return None if self.silent >= 0 else protocol.encode(ENDED)

    def run(self, answer: bytes | None) -> bytes | None:
        """As it came."""
        return answer


def test_a_job_is_followed_through_many_moments_at_which_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the server's end a client may be back long before its master: each question fails at once."""
    monkeypatch.setattr(client, "_ASK_AGAIN_SECONDS", 0.0)
    line = Line(silent=500)
    with pytest.raises(EngineError, match="it ended"):
        Client(cast("Connection", line)).follow("run", BackupObserver())
    assert line.silent == -1


def test_a_master_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ASK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(client, "_LOST_AFTER_SECONDS", 0.05)
    with pytest.raises(EngineError, match="no longer answers about job run"):
        Client(cast("Connection", Line(silent=10**9))).follow("run", BackupObserver())


def test_who_is_cut_off_asks_no_more() -> None:
    line = Line(silent=10**9, is_cut_off=True)
    with pytest.raises(
        EngineError, match="has cut this connection off: the certificate is not, or no longer"
    ) as caught:
        Client(cast("Connection", line)).follow("run", BackupObserver())
    assert "What was submitted goes on" in caught.value.hint
    assert line.silent == 10**9 - 1
