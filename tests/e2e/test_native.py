"""With the native kernel and without it a backup, a check and a restore come to the same; restic reads both."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.native import built_kernel
from tests.support.restic import Restic, restic_parameters


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Small files of many sizes, some twice, and one of several chunks."""
    draw = random.Random(3)
    root = tmp_path / "source"
    root.mkdir()
    for number in range(150):
        content = draw.randbytes(draw.randrange(6000)) + b"words of a text " * draw.randrange(300)
        for name in (f"file {number}", *([f"again {number}"] if number % 10 == 0 else [])):
            (root / name).write_bytes(content)
    (root / "empty").touch()
    (root / "large").write_bytes(draw.randbytes(2_000_000) + bytes(3_000_000) + draw.randbytes(1_500_000))
    return root


@pytest.fixture
def programs(tmp_path: Path) -> tuple[Argosy, Argosy]:
    """One repository, and the program with the kernel and without it."""
    built_kernel()
    home = tmp_path / "home"
    home.mkdir()
    return Argosy(home), Argosy(home, environment={"ARGOSY_NATIVE": "off"})


@pytest.mark.parametrize("first", [0, 1], ids=["kernel first", "python first"])
@pytest.mark.parametrize("restic", restic_parameters())
def test_each_finds_all_that_the_other_wrote(
    programs: tuple[Argosy, Argosy], source: Path, restic: Restic, first: int, tmp_path: Path
) -> None:
    one, other = programs[first], programs[1 - first]
    assert [program.documents("version")[0]["native"] for program in programs] == [True, False]
    # From within: what lies above the source changes while the test goes on, and would be in the trees.
    one.run("backup", "--init", ".", cwd=source)
    assert other.documents("backup", "--force", ".", cwd=source)[-1]["data_blobs"] == 0
    (snapshots,) = one.documents("snapshots")
    assert len({snapshot["tree"] for snapshot in snapshots}) == 1
    assert other.says("check", "--read-data").endswith("no errors were found\n")
    other.run("restore", "latest", "--target", tmp_path / "restored")
    assert contents_of(tmp_path / "restored") == contents_of(source)
    restic.at(one.repository, tmp_path).check()


def contents_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}
