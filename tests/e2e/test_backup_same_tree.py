"""The tree of a snapshot depends on the source alone (S10), not on threads, workers, limits or what was there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.backups import Scene
from tests.support.machines import Machines
from tests.support.trees import Directory, File, HardLink, Symlink, make_tree


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of all sizes, nested and empty, with files around the chunker's limits and links across."""
    rng = random.Random(7)
    tree: dict[str, Any] = {"empty": {}, "deep": {"a": {"b": {"c": {"d": {"bottom": b"x"}}}}}, "link": Symlink("deep")}
    for number in range(30):
        tree[f"small {number:02d}"] = {f"f{i:03d}": rng.randbytes(rng.randrange(3000)) for i in range(number)}
    tree["flat"] = {f"f{i:04d}": b"%d" % i for i in range(400)}
    tree["mixed"] = {
        **{f"f{i}": rng.randbytes(100) for i in range(20)},
        **{f"d{i}": {"in": rng.randbytes(50), "x": Symlink("in")} for i in range(20)},
    }
    tree["large"] = {f"size {size}": rng.randbytes(size) for size in (524_287, 524_288, 524_289, 3_000_000)}
    tree["linked"] = {f"l{i}": HardLink(f"flat/f{i:04d}") for i in range(50)}
    tree["odd"] = Directory({"attributes": File(b"x", xattrs={"user.a": b"1"})}, xattrs={"user.d": b"2"})
    path = tmp_path_factory.mktemp("same") / "source"
    make_tree(path, tree)
    return path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The repository that the others are like: where large files are cut is each repository's own affair."""
    return Scene(tmp_path_factory.mktemp("empty")).init()


@pytest.fixture(scope="module")
def expected(source: Path, empty: Scene, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The tree of a plain run."""
    return Scene(tmp_path_factory.mktemp("plain")).init_like(empty).backup(source).tree_id


MANNERS: dict[str, dict[str, Any]] = {
    "one thread, one worker": {"scan_threads": 1, "workers": 1},
    "sixteen threads": {"scan_threads": 16},
    "four workers": {"workers": 4, "scan_threads": 4},
    "three files a batch": {"batch_files": 3, "scan_threads": 2},
    "one file a batch": {"batch_files": 1},
    "a thousand bytes a batch": {"batch_bytes": 1000, "scan_threads": 16},
    "the queue after the scan": {"queue_after_scan": True},
    "several files at once": {"read_concurrency": 8},
    "tiny packs": {"pack_size_bytes": 1 << 16},
    "no compression": {"compression": "off"},
    "verified": {"verify": True},
}


@pytest.mark.parametrize("manner", MANNERS)
def test_the_tree_does_not_depend_on_how_it_was_made(
    source: Path, empty: Scene, expected: bytes, tmp_path: Path, manner: str, machines: Machines
) -> None:
    """Threads, workers, limits of batches and packs leave no trace in the tree's id."""
    scene = Scene(tmp_path, machines).init_like(empty)
    result = scene.backup(source, **MANNERS[manner])
    assert result.tree_id == expected
    assert result.exit_code == 0


LIMITS: dict[str, dict[str, int]] = {
    "a directory is huge": {
        "archiver.directory_scan.HUGE_DIRECTORY_ENTRIES": 10,
        "archiver.directory_scan.RUN_ENTRIES": 7,
    },
    "a tree is large": {"archiver.trees.LARGE_TREE_BYTES": 500},
    "both": {
        "archiver.directory_scan.HUGE_DIRECTORY_ENTRIES": 15,
        "archiver.directory_scan.RUN_ENTRIES": 4,
        "archiver.trees.LARGE_TREE_BYTES": 500,
    },
    "memory is short": {
        "state.assemblies.HOT_MOST": 1,
        "state.frontier.IN_MEMORY_MOST": 2,
        "state.frontier._RELOAD": 2,
        "state.hard_links._HOT_MOST": 1,
        "state.queue.PAYLOADS_IN_MEMORY_BYTES": 0,
        "archiver.placing.REMEMBERED_MOST": 4,
        "archiver.parent_trees.KEPT_BYTES": 100,
    },
}


@pytest.mark.parametrize("limit", LIMITS)
def test_the_tree_does_not_depend_on_what_is_kept_where(
    source: Path, empty: Scene, expected: bytes, tmp_path: Path, limit: str, machines: Machines
) -> None:
    """Directories through the disk, trees streamed, models that live in the database: the same tree, and the same
    when it is made again on its parent and with a tenth of the files changed."""
    scene = Scene(tmp_path, machines).init_like(empty)
    first = scene.run(source, limits=LIMITS[limit], batch_files=20, scan_threads=3)
    assert bytes.fromhex(first.tree_id) == expected
    second = scene.run(source, limits=LIMITS[limit], batch_files=20, scan_threads=3)
    assert bytes.fromhex(second.tree_id) == expected
    assert second["counters"].get("data_blobs", 0) == 0


@pytest.mark.parametrize("limit", [*LIMITS, ""])
def test_an_incremental_tree_is_that_of_a_full_run(tmp_path: Path, limit: str, machines: Machines) -> None:
    """Changed, new, deleted and renamed entries, in directories large and small: as if there had been no parent."""
    rng = random.Random(3)
    source = tmp_path / "source"
    tree = {f"d{d:02d}": {f"f{i:03d}": rng.randbytes(200) for i in range(3 * d)} for d in range(15)}
    make_tree(source, {**tree, "d14 sub": {"inner": {"x": b"1"}, "y": b"2"}})
    scene = Scene(tmp_path / "scene", machines).init()
    limits = LIMITS.get(limit, {})
    scene.run(source, limits=limits, batch_files=10)
    for path in sorted(source.rglob("f*")):
        match rng.randrange(12):
            case 0:
                path.write_bytes(rng.randbytes(250))
            case 1:
                path.unlink()
            case 2:
                path.rename(path.with_name(f"renamed {path.name}"))
            case 3:
                path.with_name(f"a new {path.name}").write_bytes(b"new")
            case 4:
                path.unlink()
                path.mkdir()
                (path / "inner").write_bytes(b"in a directory now")
            case 5:
                path.chmod(0o600)
    incremental = scene.run(source, limits=limits, batch_files=10)
    full = scene.backup(source, force=True)
    assert incremental.tree_id == full.tree_id.hex()
