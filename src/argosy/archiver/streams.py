"""One stream as one file of a snapshot: cut and placed as it comes, with a node such as restic gives it."""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Callable, Sequence

from argosy.filesystem.streams import Stream
from argosy.memory import untouched
from argosy.restic_format.chunker import Chunker
from argosy.restic_format.crypto import Buffer
from argosy.restic_format.mode import mode_to_go
from argosy.restic_format.node import encode_metadata, finish_directory, finish_file

BUFFER_BYTES = 16 << 20
_FILE_MODE = stat_module.S_IFREG | 0o644
_DIRECTORY_MODE = stat_module.S_IFDIR | 0o755


def place_stream(
    stream: Stream, chunker: Chunker, place: Callable[[Buffer], bytes], progress: Callable[[int], None]
) -> tuple[list[bytes], int]:
    """Read ``stream`` to its end: the ids of its blobs, and its length in bytes, which ``progress`` hears of too."""
    buffer = memoryview(untouched(BUFFER_BYTES))
    content: list[bytes] = []
    filled, length, ended = 0, 0, False
    while not ended:
        count = stream.read_into(buffer[filled:])
        length += count
        filled += count
        ended = not count
        if not ended and filled < len(buffer):
            continue
        offset = 0
        for size in chunker.cut(buffer[:filled], ended):
            content.append(place(buffer[offset : offset + size]))
            offset += size
        filled -= offset
        buffer[:filled] = buffer[offset : offset + filled]
        progress(length)
    return content, length


def stream_file_node(name: bytes, time_ns: int, content: Sequence[bytes], length: int) -> bytes:
    """The node of the stream: restic's fs.Reader gives it mode 0644, one time, and the numbers of who runs it."""
    return finish_file(_metadata(name, "file", _FILE_MODE, time_ns, length), content)


def stream_directory_node(name: bytes, time_ns: int, subtree: bytes) -> bytes:
    """The node of a directory in the stream's name, likewise."""
    return finish_directory(_metadata(name, "dir", _DIRECTORY_MODE, time_ns, 0), subtree)


def _metadata(name: bytes, kind: str, mode: int, time_ns: int, size: int) -> bytes:
    uid, gid = os.getuid(), os.getgid()
    times = (time_ns, time_ns, time_ns)
    return encode_metadata(name, kind, mode_to_go(mode), *times, uid, gid, "", "", 0, 0, size, 0)
