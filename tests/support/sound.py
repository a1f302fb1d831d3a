"""A small repository with several packs of each kind, for tests that damage a copy of it."""

from __future__ import annotations

from pathlib import Path

from tests.support.backups import Scene
from tests.support.trees import make_tree

TEXT = b"".join(b"line %d of a text that shrinks\n" % number for number in range(2000))
FILES = {
    **{f"text {number}": TEXT[number * 100 :] for number in range(6)},
    "dir": {"small": b"small", "deeper": {"other": TEXT[::-1]}},
    "empty": b"",
}
NEW = b"new" * 1000


def make_sound(home: Path) -> Scene:
    """Two snapshots: of ``FILES``, and of these with the file ``new``."""
    make_tree(home / "source", FILES)
    scene = Scene(home).init()
    scene.backup(home / "source", pack_size_bytes=10_000, workers=1)
    (home / "source" / "new").write_bytes(NEW)
    scene.backup(home / "source", pack_size_bytes=10_000, workers=1)
    return scene
