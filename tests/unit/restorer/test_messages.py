"""What the master and a worker say to each other."""

from __future__ import annotations

from argosy.errors import ArgosyError, RestoreError
from argosy.restorer.messages import (
    PROTOCOL,
    Link,
    Outcome,
    Part,
    RestoreSettings,
    RestoreWork,
    Segment,
    SegmentResult,
    VerifyWork,
    WorkerError,
    WorkerSetup,
    decode,
    decode_work,
    encode,
    worker_error,
)
from argosy.restorer.overwrite import Overwrite
from argosy.restorer.selection import SelectionSpec
from argosy.storage.options import StorageOptions


def test_messages_come_through_whole() -> None:
    settings = RestoreSettings(Overwrite.IF_NEWER, sparse=True, selection=SelectionSpec(include=[b"\xff"]))
    setup = WorkerSetup(PROTOCOL, "/repo", StorageOptions(), b"k" * 64, b"{}", "/lookup", b"/target\xff", settings)
    assert encode(decode(encode(setup), WorkerSetup)) == encode(setup)
    part = Part(1, b"a\xff", b'{"nodes":[]}\n', True, b"node", [b"x"])
    segment = Segment(1, b"a", b"b", b"c", 5, b"i" * 32, True)
    for work in (RestoreWork([part], [Link(1, b"a", b"n", b"f", b"g")]), RestoreWork(segment=segment)):
        assert decode_work(encode(work)) == work
    verify = VerifyWork([part], [segment])
    assert decode_work(encode(verify)) == verify
    outcome = Outcome([1], SegmentResult(1, 2, True, "no"), [(b"\xff", "why")], items=[("restored", b"x", None)])
    assert decode(encode(outcome), Outcome) == outcome


def test_no_secret_shows() -> None:
    setup = WorkerSetup(PROTOCOL, "/repo", StorageOptions(), b"secret" * 9, b"{}", "", b"", RestoreSettings())
    assert "secret" not in repr(setup)


def test_an_error_arrives_as_it_was_raised() -> None:
    error = decode(worker_error(RestoreError("full", hint="free some")), WorkerError).as_error()
    assert (type(error), error.message, error.hint) == (RestoreError, "full", "free some")
    assert type(WorkerError("os", "x", "").as_error()) is ArgosyError
