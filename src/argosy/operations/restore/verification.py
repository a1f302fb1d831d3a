"""``--verify``: what was written is noted while it is restored, on disk, and read again when all is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from argosy.errors import StateError, StateFull
from argosy.restic_format.compression import Compressor, decompress
from argosy.restic_format.tree import raw_nodes
from argosy.restorer.large_files import LargeFile
from argosy.restorer.messages import Outcome, Part, RestoreWork, Segment, VerifyWork, decode_work, encode
from argosy.restorer.tree_nodes import decode_glances, join_nodes, usable_name

_LENGTH_BYTES = 4
_SEGMENTS_AT_ONCE = 4


class WrittenFiles:
    """The files that a restore has written, as work for verifiers. Close it at the end."""

    def __init__(self, directory: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by close()
        self._compressor = Compressor("fastest")

    def add_batch(self, work: RestoreWork, outcome: Outcome) -> None:
        """Note what a batch has written."""
        parts = [
            Part(part.directory, part.path, _nodes_named(part.tree, set(names)))
            for part, names in zip(work.parts, outcome.written, strict=False)
            if names
        ]
        for link, names in zip(work.links, outcome.written[len(work.parts) :], strict=True):
            if names:  # it could not become a link
                parts.append(Part(link.directory, link.path, join_nodes([link.node])))
        if parts:
            self._add(VerifyWork(parts=parts))

    def add_large(self, large_file: LargeFile) -> None:
        """Note a large file, a few segments a task."""
        path, name = large_file.entry.path, large_file.name
        segments = [Segment(0, path, name, name, offset, ids, True) for offset, ids in sorted(large_file.done)]
        for at in range(0, len(segments), _SEGMENTS_AT_ONCE):
            self._add(VerifyWork(segments=segments[at : at + _SEGMENTS_AT_ONCE]))

    def work(self) -> Iterator[VerifyWork]:
        """All of it, in the order in which it was noted."""
        self._file.seek(0)
        while head := self._file.read(_LENGTH_BYTES):
            stored = self._file.read(int.from_bytes(head, "little"))
            work = decode_work(decompress(stored, None, "the list of written files"))
            assert isinstance(work, VerifyWork)
            yield work

    def close(self) -> None:
        """Forget all."""
        self._file.close()

    def _add(self, work: VerifyWork) -> None:
        stored = self._compressor.compress_document(encode(work))
        try:
            self._file.write(len(stored).to_bytes(_LENGTH_BYTES, "little") + stored)
            self._file.flush()
        except OSError as error:
            raise StateFull(
                f"the list of files to verify cannot be written: {error.strerror}",
                hint="Free some space in the cache directory (--cache-dir), or restore without --verify.",
            ) from error


def make_scratch(cache_directory: Path) -> tempfile.TemporaryDirectory[str]:
    """A directory for what a restore notes, that goes with it. StateError if none can be made."""
    try:
        cache_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="restore-", dir=cache_directory)
    except OSError as error:
        raise StateError(
            f"cannot write to the cache directory {os.fspath(cache_directory)}: {error.strerror}",
            hint="Name another one with --cache-dir.",
        ) from error


def _nodes_named(tree: bytes, names: set[bytes]) -> bytes:
    what = "a part of a tree"
    glances = decode_glances(tree, what)
    nodes = raw_nodes(tree, what)
    return join_nodes([node for glance, node in zip(glances, nodes, strict=True) if usable_name(glance.name) in names])
