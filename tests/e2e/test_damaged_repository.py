"""Each kind of repository file, flipped or cut: it is named, with the documented exit code, and no lie is restored.

``tests/unit/operations/test_check_damage.py`` has many more kinds of damage, without the command line.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.machines import Machines
from tests.support.trees import assert_same_tree

Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def cut(path: Path) -> None:
    """What an upload that broke off leaves."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def largest(directory: Path) -> Path:
    return max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def smallest(directory: Path) -> Path:
    return min((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


# The file, and the exit codes of backup, restore and check.
FILES: dict[str, tuple[Callable[[Path], Path], tuple[int, int, int]]] = {
    "the config": (lambda repository: repository / "config", (1, 1, 1)),
    "a key": (lambda repository: largest(repository / "keys"), (1, 1, 1)),
    "an index": (lambda repository: largest(repository / "index"), (1, 1, 1)),
    "a snapshot": (lambda repository: largest(repository / "snapshots"), (0, 1, 1)),
    "a pack of data": (lambda repository: largest(repository / "data"), (0, 1, 1)),
    "a pack of trees": (lambda repository: smallest(repository / "data"), (0, 1, 1)),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program's home with a source and a repository that has it."""
    home = tmp_path_factory.mktemp("sound")
    rng = random.Random(7)
    for number in range(20):
        path = home / "source" / f"d{number % 3}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(2000))
    argosy = Argosy(home)
    argosy.run("init")
    argosy.run("backup", "source")
    return home


@pytest.mark.parametrize("damage", [flip, cut], ids=["flipped", "cut"])
@pytest.mark.parametrize("kind", FILES)
def test_damage_is_named_and_nothing_is_restored_as_if_it_were_sound(
    sound: Path, machines: Machines, tmp_path: Path, kind: str, damage: Damage
) -> None:
    home = tmp_path / "home"
    shutil.copytree(sound, home, ignore=shutil.ignore_patterns("cache", "state"))
    argosy = Argosy(home, machines=machines)
    find, (backup, restore, check) = FILES[kind]
    path = find(argosy.repository)
    os.chmod(path, 0o600)
    damage(path)
    name = path.name[:8]
    assert name in argosy.says("check", "--read-data", expect=check)
    said = argosy.says("restore", "latest", "--target", home / "target", expect=restore)
    assert name in said
    assert "Fatal: " in said
    for restored in (path for path in (home / "target").rglob("f*") if path.is_file()):
        assert restored.read_bytes() == (home / "source" / restored.relative_to(home / "target/source")).read_bytes()
    said = argosy.says("backup", "--force", "source", expect=backup)
    if backup:
        assert name in said
    elif kind == "a snapshot":
        # Another backup is a whole one, beside what is damaged.
        (listed,) = (line for line in said.splitlines() if line.startswith("snapshot ") and line.endswith(" saved"))
        argosy.run("restore", listed.split()[1], "--target", home / "again")
        assert_same_tree(home / "source", home / "again" / "source")
