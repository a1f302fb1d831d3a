"""The door to zstd."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from argosy.errors import Damaged
from argosy.restic_format import compression
from argosy.restic_format.compression import (
    SMALL_BLOB_BYTES,
    CompressionMode,
    Compressor,
    StreamCompressor,
    decompress,
    decompress_pieces,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MODES: tuple[CompressionMode, ...] = get_args(CompressionMode)
TEXT = b"".join(b"line %d of a text\n" % number for number in range(100_000))
CONTENTS = [b"x", b"short", TEXT[:12_000], os.urandom(5000), TEXT[: SMALL_BLOB_BYTES + 1], TEXT, TEXT[:12_000]]


@pytest.mark.parametrize("mode", MODES)
def test_every_frame_carries_its_size_whatever_was_compressed_before(mode: CompressionMode) -> None:
    """restic allocates by it; and a reused context must not remember the blob before."""
    compressor = Compressor(mode)
    for content in CONTENTS:
        for frame in (compressor.compress(content), compressor.compress_document(content)):
            assert zstd.get_frame_info(frame).decompressed_size == len(content)
            assert decompress(frame, len(content), "blob") == content
            assert decompress(frame, None, "blob") == content


@pytest.mark.parametrize("mode", MODES)
def test_one_mode_gives_one_blob_the_same_bytes_again(mode: CompressionMode) -> None:
    """Whatever the context compressed before."""
    used = Compressor(mode)
    frames = [used.compress(content) for content in CONTENTS]
    assert frames == [Compressor(mode).compress(content) for content in CONTENTS]


def test_no_frame_needs_a_window_above_8_mib() -> None:
    """Byte 5 of a frame without single segment is its window: exponent - 10 in the upper five bits."""
    content = os.urandom(20 * 1024 * 1024)
    frame = Compressor("max").compress(content)
    single_segment = frame[4] >> 5 & 1
    assert not single_segment
    assert 10 + (frame[5] >> 3) <= 23


def test_stronger_modes_make_smaller_frames() -> None:
    content = b"".join(path.read_bytes() for path in Path(compression.__file__).parent.glob("*.py"))
    sizes = [len(Compressor(mode).compress(content)) for mode in ("fastest", "better", "max")]
    assert sizes == sorted(set(sizes), reverse=True)


def test_only_off_leaves_data_alone() -> None:
    assert [mode for mode in MODES if not Compressor(mode).compresses_data] == ["off"]


@pytest.mark.parametrize("step", [1000, 70_000, len(TEXT)])
def test_a_stream_makes_one_frame_with_its_size(step: int) -> None:
    stream = StreamCompressor(len(TEXT))
    frame = b"".join([stream.update(TEXT[at : at + step]) for at in range(0, len(TEXT), step)])
    frame += stream.finish()
    assert zstd.get_frame_info(frame).decompressed_size == len(TEXT)
    assert decompress(frame, len(TEXT), "tree") == TEXT


def test_a_stream_of_another_length_than_announced_is_refused() -> None:
    stream = StreamCompressor(11)
    stream.update(b"ten bytes!")
    with pytest.raises(ValueError, match="announced"):
        stream.finish()


def _joined(data: bytes, expected: int, what: str) -> bytes:
    return b"".join(decompress_pieces(data, expected, what))


READS = pytest.mark.parametrize("read", [decompress, _joined])


@READS
@pytest.mark.parametrize("first", [b"one", os.urandom(1000) * 1000, bytes(3_000_000), b""])
def test_several_frames_are_read_one_after_the_other(read: Callable[..., bytes], first: bytes) -> None:
    frames = Compressor("auto").compress(first) + Compressor("auto").compress(b"two")
    assert read(frames, len(first) + 3, "blob") == first + b"two"


@READS
@pytest.mark.parametrize("expected", [0, 1, len(TEXT) - 1, len(TEXT) + 1])
def test_another_size_than_expected_is_damage(read: Callable[..., bytes], expected: int) -> None:
    frame = Compressor("auto").compress(TEXT)
    with pytest.raises(Damaged, match="blob 12"):
        read(frame, expected, "blob 12")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no frame",
        Compressor("auto").compress(TEXT)[:-1],
        Compressor("auto").compress(TEXT)[:5],
        Compressor("auto").compress(TEXT) + b"behind",
    ],
)
def test_a_broken_frame_is_damage(broken: bytes) -> None:
    for expected in (len(TEXT), None):
        with pytest.raises(Damaged, match="index 12"):
            decompress(broken, expected, "index 12")
    with pytest.raises(Damaged, match="index 12"):
        _joined(broken, len(TEXT), "index 12")


def test_pieces_take_memory_for_a_piece() -> None:
    """Also of what inflates to more than was expected, up to where that shows."""
    bomb = Compressor("auto").compress(bytes(50 * 1024 * 1024))
    tracemalloc.start()
    assert sum(map(len, decompress_pieces(bomb, 50 * 1024 * 1024, "tree"))) == 50 * 1024 * 1024
    with pytest.raises(Damaged, match="more than"):
        list(decompress_pieces(bomb, 1_000_000, "tree"))
    assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    tracemalloc.stop()


def test_a_large_blob_is_not_held_twice() -> None:
    """A directory of a million files has a tree of 265 MB. Of damage it makes as much as a small one does."""
    content = TEXT * 20
    frames = Compressor("auto").compress(content) + Compressor("auto").compress(b"behind")
    size = len(content) + len(b"behind")
    tracemalloc.start()
    try:
        inflated = decompress(frames, size, "tree")
        assert tracemalloc.get_traced_memory()[1] < 1.25 * size
    finally:
        tracemalloc.stop()
    assert inflated == content + b"behind"
    for data, expected in ((frames, size - 1), (frames, size + 1), (frames[:-1], size), (frames + b"x", size)):
        with pytest.raises(Damaged, match="tree 12"):
            decompress(data, expected, "tree 12")


def test_nothing_inflates_beyond_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of 10 kB that would fill 200 MB stops at once."""
    bomb = Compressor("auto").compress(bytes(200 * 1024 * 1024))
    monkeypatch.setattr(compression, "UNPACKED_LIMIT_BYTES", 1024 * 1024)
    for expected in (1000, None):
        tracemalloc.start()
        with pytest.raises(Damaged):
            decompress(bomb, expected, "index")
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        tracemalloc.stop()
