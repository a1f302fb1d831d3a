"""A source and a repository for runs that are killed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.backups import Scene
from tests.support.trees import HardLink, Symlink, make_tree


def make_source(path: Path, files: int) -> Path:
    """About so many files, each of its own content, in directories nested, flat, empty and linked across."""
    rng = random.Random(files)
    tree: dict[str, Any] = {"empty": {}, "flat": {f"f{i:05d}": rng.randbytes(300) for i in range(files // 5)}}
    left, number = files - files // 5, 0
    while left > 0:
        count = min(left, rng.randrange(1, 60))
        leaf = {f"f{i:03d}": rng.randbytes(rng.randrange(1500)) + b"%d %d" % (number, i) for i in range(count)}
        top = tree.setdefault(f"a{number % 7}", {})
        top.setdefault(f"b{number % 3}", {})[f"c{number:04d}"] = {
            **leaf,
            "below": {"one": b"%d" % number, "link": Symlink("one")},
        }
        left, number = left - count - 1, number + 1
    tree["linked"] = {f"l{i}": HardLink(f"flat/f{i:05d}") for i in range(20)}
    tree["large"] = rng.randbytes(2_000_000)
    make_tree(path, tree)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 files; tests that use it leave it alone."""
    return make_source(tmp_path_factory.mktemp("source") / "source", 3000)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The source in a snapshot by a run that nothing disturbed."""
    scene = Scene(tmp_path_factory.mktemp("whole")).init()
    scene.backup(source)
    return scene


@pytest.fixture
def scene(whole: Scene, tmp_path: Path) -> Scene:
    """An empty repository in which the source has the same tree as in ``whole``."""
    return Scene(tmp_path / "scene").init_like(whole)
