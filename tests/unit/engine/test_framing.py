"""Messages between an engine and its workers, as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.engine import framing
from argosy.engine.framing import (
    Frame,
    FrameDecoder,
    Kind,
    Opening,
    decode_opening,
    encode_frame,
    encode_opening,
)
from argosy.errors import EngineError

FRAMES = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
)


@given(st.lists(FRAMES, max_size=8), st.integers(1, 400))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(frames: list[Frame], cut: int) -> None:
    stream = b"".join(encode_frame(frame.kind, frame.payload, frame.task_id, frame.attempt) for frame in frames)
    decoder = FrameDecoder()
    decoded: list[Frame] = []
    for begin in range(0, len(stream), cut):
        decoded += decoder.feed(stream[begin : begin + cut])
    assert decoded == frames


def test_a_payload_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_PAYLOAD_BYTES", 10)
    encode_frame(Kind.REPORT, bytes(10))
    with pytest.raises(EngineError, match="11 bytes"):
        encode_frame(Kind.REPORT, bytes(11))


def test_a_garbled_stream_is_an_error_before_it_costs_memory() -> None:
    with pytest.raises(EngineError, match="garbled"):
        FrameDecoder().feed(b"\xff" * 20)


def test_an_opening_comes_out_as_it_went_in() -> None:
    opening = Opening("package.module:größe", bytes(range(256)), 2.5, native=False)
    assert decode_opening(encode_opening(opening)) == opening
