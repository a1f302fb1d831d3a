"""What a reader of a file in a mount makes the mount read."""

from __future__ import annotations

import hashlib

import pytest

from argosy.errors import Damaged
from argosy.operations.mount.browser import OpenFile
from argosy.restic_format.node import Node

BLOBS = [b"first", b"second blob", b"", b"third", b"the last one"]
CONTENT = b"".join(BLOBS)


class Blobs:
    """Blobs by id; remembers which were loaded."""

    def __init__(self) -> None:
        self.contents = {hashlib.sha256(blob).digest(): blob for blob in BLOBS}
        self.loaded: list[bytes] = []

    def load(self, blob_id: bytes) -> bytes:
        self.loaded.append(self.contents[blob_id])
        return self.contents[blob_id]

    def open(self, size: int = len(CONTENT)) -> OpenFile:
        node = Node("x", "file", size=size, content=[identity.hex() for identity in self.contents])
        return OpenFile(node, lambda blob_id: len(self.contents[blob_id]), self.load)


def test_every_range_is_what_the_file_holds() -> None:
    file = Blobs().open()
    for offset in range(len(CONTENT) + 2):
        for size in range(len(CONTENT) + 2):
            assert file.read(offset, size) == CONTENT[offset : offset + size]


def test_the_middle_of_a_file_takes_only_its_blobs() -> None:
    blobs = Blobs()
    assert blobs.open().read(7, 4) == CONTENT[7:11]
    assert blobs.loaded == [b"second blob"]


def test_a_file_is_not_longer_or_shorter_than_its_node_tells() -> None:
    for size in (len(CONTENT) - 1, len(CONTENT) + 1, 0):
        with pytest.raises(Damaged, match="its node tells"):
            Blobs().open(size).read(0, 1)


def test_a_file_without_content_is_empty() -> None:
    assert OpenFile(Node("x", "file", content=[]), len, bytes).read(0, 10) == b""
