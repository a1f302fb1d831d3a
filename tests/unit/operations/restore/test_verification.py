"""The note of what was written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import StateError, StateFull
from argosy.operations.restore.verification import WrittenFiles, make_scratch
from argosy.restic_format.tree import encode_tree
from argosy.restorer.messages import Link, Outcome, Part, RestoreWork
from argosy.restorer.tree_nodes import decode_glances


def node(name: str) -> bytes:
    return b'{"name":"%b","type":"file"}' % name.encode()


def test_only_written_files_are_noted_and_links_that_became_files(tmp_path: Path) -> None:
    written = WrittenFiles(tmp_path)
    parts = [Part(1, b"a", encode_tree([node("x"), node("y"), node("z")])), Part(2, b"b", encode_tree([node("x")]))]
    links = [Link(1, b"a", node("one"), b"", b"x"), Link(1, b"a", node("two"), b"", b"x")]
    written.add_batch(RestoreWork(parts, links), Outcome(written=[[b"x", b"z"], [], [], [b"two"]]))
    written.add_batch(RestoreWork(parts), Outcome(written=[[], []]))
    written.add_batch(RestoreWork(parts), Outcome(written=[[], [b"x"]]))
    noted = [
        [(part.path, [glance.name for glance in decode_glances(part.tree, "")]) for part in work.parts]
        for work in written.work()
    ]
    assert noted == [[(b"a", ["x", "z"]), (b"a", ["two"])], [(b"b", ["x"])]]
    written.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_cache_directory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = WrittenFiles(tmp_path)

    class Full:
        def write(self, _: bytes) -> None:
            raise OSError(28, os.strerror(28))

        def close(self) -> None:
            pass

    written._file.close()
    monkeypatch.setattr(written, "_file", Full())
    with pytest.raises(StateFull, match="list of files to verify"):
        written.add_batch(RestoreWork([Part(1, b"", encode_tree([node("x")]))]), Outcome(written=[[b"x"]]))


def test_a_scratch_directory_goes_with_the_restore(tmp_path: Path) -> None:
    with make_scratch(tmp_path / "cache") as scratch:
        assert Path(scratch).parent == tmp_path / "cache"
    assert list((tmp_path / "cache").iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="cannot write to the cache directory"):
        make_scratch(tmp_path / "file")
