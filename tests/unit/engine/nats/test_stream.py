"""A link's direction: whatever is lost or repeated on the way, each message arrives once and in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.engine.interface import MAX_PAYLOAD_BYTES
from argosy.engine.nats.stream import SEGMENT_BYTES, Incoming, Outgoing
from argosy.errors import EngineError

SIZES = st.lists(st.sampled_from([0, 1, 3, 1000, SEGMENT_BYTES - 4, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 7]), max_size=8)


def deliver(outgoing: Outgoing, incoming: Incoming, draw: random.Random, loss: float) -> list[bytes]:
    """Carry everything over; segments and receipts get lost with this probability."""
    arrived: list[bytes] = []
    while (segment := outgoing.segment()) is not None:
        assert len(segment[1]) <= SEGMENT_BYTES
        if draw.random() >= loss:
            arrived += incoming.take(*segment)
            if draw.random() >= loss:
                outgoing.confirm(incoming.expected)
    return arrived


@settings(deadline=None, max_examples=50)  # a loaded machine takes its time
@given(sizes=SIZES, seed=st.integers(0, 1000), loss=st.sampled_from([0.0, 0.5]))
def test_messages_arrive_once_and_in_order(sizes: list[int], seed: int, loss: float) -> None:
    outgoing, incoming = Outgoing(), Incoming()
    messages = [bytes([number]) * size for number, size in enumerate(sizes)]
    settled: list[int] = []
    for number, message in enumerate(messages):
        outgoing.put(message, lambda number=number: settled.append(number))  # type: ignore[misc]  # bound on purpose
    assert deliver(outgoing, incoming, random.Random(seed), loss) == messages
    assert settled == list(range(len(messages)))
    assert outgoing.unsent_bytes == 0


def test_a_message_is_settled_only_when_its_last_piece_is_confirmed() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    settled: list[bool] = []
    outgoing.put(bytes(SEGMENT_BYTES), lambda: settled.append(True))
    for expected in (False, True):
        segment = outgoing.segment()
        assert segment is not None
        incoming.take(*segment)
        assert outgoing.confirm(incoming.expected)
        assert bool(settled) is expected


def test_what_is_not_confirmed_as_a_whole_is_known() -> None:
    """Also while it is under way, and of a message in several segments until the last one."""
    outgoing = Outgoing()
    messages = [b"small", bytes(SEGMENT_BYTES), b"last"]
    for message in messages:
        outgoing.put(message)
    seen = [outgoing.unconfirmed()]
    for number in (1, 2):
        assert outgoing.segment() is not None
        seen.append(outgoing.unconfirmed())
        assert outgoing.confirm(number)
        seen.append(outgoing.unconfirmed())
    assert seen == [messages, messages, messages[1:], messages[1:], []]


def test_small_messages_share_a_segment() -> None:
    outgoing = Outgoing()
    for _ in range(100):
        outgoing.put(b"word")
    assert outgoing.segment() is not None
    outgoing.confirm(1)
    assert outgoing.segment() is None


def test_a_segment_stays_the_same_until_it_is_confirmed() -> None:
    outgoing = Outgoing()
    outgoing.put(b"first")
    before = outgoing.segment()
    outgoing.put(b"second")
    assert outgoing.segment() == before
    assert not outgoing.confirm(0)
    assert outgoing.segment() == before


def test_a_gap_is_an_error() -> None:
    with pytest.raises(EngineError, match="segment 1"):
        Incoming().take(1, b"")


def test_nonsense_is_an_error() -> None:
    with pytest.raises(EngineError, match="garbled"):
        Incoming().take(0, b"\xff\xff\xff\xff")


def test_a_message_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy.engine.nats.stream._MOST_BYTES", 10)
    with pytest.raises(EngineError, match=str(MAX_PAYLOAD_BYTES)):
        Outgoing().put(bytes(11))
