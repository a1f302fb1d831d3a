"""What holds on one machine holds over a cluster: the same few tests on either engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from argosy.daemon.client import Client
from argosy.daemon.protocol import CheckOrder, RestoreOrder, backup_order
from argosy.operations.backup.options import BackupResult
from argosy.operations.check.options import CheckObserver, CheckOptions, CheckResult
from argosy.operations.check.run import run_check
from argosy.operations.check.subset import READ_ALL
from argosy.operations.restore.options import RestoreOptions, RestoreResult
from argosy.operations.restore.run import run_restore
from argosy.restorer.overwrite import Overwrite
from argosy.restorer.selection import SelectionSpec
from tests.e2e.restore_scene import Forge, Heard, damage_blob
from tests.e2e.test_backup_kinds import OF_ROOT, TREE
from tests.support.backups import Scene, assert_sound
from tests.support.masters import running_master
from tests.support.restic import require_restic
from tests.support.trees import assert_same_tree, make_tree

ENGINES = ("one machine", "cluster")


class Machine(Protocol):
    """Runs operations on a scene's repository."""

    def backup(self, scene: Scene, source: Path, **options: Any) -> BackupResult: ...

    def restore(self, scene: Scene, options: RestoreOptions, heard: Heard) -> RestoreResult: ...

    def check(self, scene: Scene) -> CheckResult: ...


class Alone:
    """By the worker processes of this machine."""

    def backup(self, scene: Scene, source: Path, **options: Any) -> BackupResult:
        return scene.backup(source, **options)

    def restore(self, scene: Scene, options: RestoreOptions, heard: Heard) -> RestoreResult:
        return run_restore(scene.access(), options, heard.observer())

    def check(self, scene: Scene) -> CheckResult:
        return run_check(scene.access(), CheckOptions(READ_ALL), CheckObserver())


class Together:
    """By a master and its proxies."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def backup(self, scene: Scene, source: Path, **options: Any) -> BackupResult:
        order = backup_order(scene.options(source, **options))
        result: BackupResult = self._done(scene, order, scene.heard.observer())
        return result

    def restore(self, scene: Scene, options: RestoreOptions, heard: Heard) -> RestoreResult:
        result: RestoreResult = self._done(scene, RestoreOrder(options), heard.observer())
        return result

    def check(self, scene: Scene) -> CheckResult:
        result: CheckResult = self._done(scene, CheckOrder(CheckOptions(READ_ALL)), CheckObserver())
        return result

    def _done(self, scene: Scene, order: Any, observer: Any) -> Any:
        return self._client.follow(self._client.submit(scene.access(), order).run, observer)


@contextmanager
def cluster(home: Path) -> Iterator[Machine]:
    """A master with a worker, and two proxies."""
    master = Scene(home)
    with running_master(master, workers=1) as bed, bed.client() as client:
        bed.start_proxy("one")
        bed.start_proxy("two")
        yield Together(client)


@pytest.fixture(scope="module", params=ENGINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if request.param == "one machine":
        yield Alone()
        return
    with cluster(tmp_path_factory.mktemp("master")) as together:
        yield together


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "scene").init()


def wanted(target: Path, **options: Any) -> RestoreOptions:
    return RestoreOptions(os.fsencode(target), workers=2, **options)


def test_every_kind_of_entry_goes_in_and_comes_back(machine: Machine, scene: Scene, tmp_path: Path) -> None:
    source, target, heard = tmp_path / "source", tmp_path / "target", Heard()
    make_tree(source, {name: entry for name, entry in TREE.items() if name != "hard pipe"})
    if os.geteuid() == 0:
        make_tree(source, OF_ROOT)
    result = machine.backup(scene, source)
    assert (result.exit_code, result.unread) == (0, 0)
    assert_sound(scene, require_restic())
    assert machine.check(scene).exit_code == 0
    restored = machine.restore(scene, wanted(target, verify=True), heard)
    assert (restored.exit_code, heard.errors) == (0, [])
    assert_same_tree(source, target / "source", with_root=True)


def test_only_what_changed_is_read_and_stored_again(machine: Machine, scene: Scene, tmp_path: Path) -> None:
    source = tmp_path / "source"
    make_tree(source, {f"d{number}": {f"f{file}": b"%d" % file * 2000 for file in range(30)} for number in range(10)})
    first = machine.backup(scene, source)
    again = machine.backup(scene, source)
    assert again.tree_id == first.tree_id
    assert (again.counters.get("files_unmodified"), again.counters.get("data_blobs", 0)) == (300, 0)
    (source / "d3" / "f7").write_bytes(b"changed")
    changed = machine.backup(scene, source)
    assert (changed.counters["files_changed"], changed.counters["data_blobs"]) == (1, 1)
    # Both engines give the same tree.
    alone = Scene(tmp_path / "alone")
    alone.home.mkdir()
    assert alone.init_like(scene).backup(source).tree_id == changed.tree_id


def test_a_target_that_is_not_empty_is_treated_as_asked(machine: Machine, scene: Scene, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    make_tree(source, {"kept": b"of the snapshot", "other": b"x", "dir": {"in": b"y"}})
    machine.backup(scene, source)
    make_tree(target / "source", {"kept": b"of the target", "stray": b"", "dir": {"stray": {"in": b""}}})
    left = machine.restore(scene, wanted(target, overwrite=Overwrite.NEVER), Heard())
    assert (target / "source" / "kept").read_bytes() == b"of the target"
    assert left.entries_skipped == 1
    selection = SelectionSpec(include=(b"/source/dir",))
    part = machine.restore(scene, wanted(target, delete=True, selection=selection), Heard())
    assert part.deleted == 2
    assert (target / "source" / "stray").exists()
    machine.restore(scene, wanted(target, delete=True), Heard())
    assert_same_tree(source, target / "source")


def test_damage_is_named_and_the_rest_comes_back(machine: Machine, scene: Scene, tmp_path: Path) -> None:
    forge = Forge(scene)
    lost = forge.blob(b"lost content")
    files = [forge.file(b"a", b"sound"), forge.file(b"b", b"lost content"), forge.file(b"c", b"sound, too")]
    forge.snapshot(forge.tree(*files))
    damage_blob(scene, lost)
    assert machine.check(scene).exit_code == 1
    heard = Heard()
    result = machine.restore(scene, wanted(tmp_path / "target"), heard)
    assert (result.exit_code, heard.named) == (1, [b"/b"])
    assert sorted(path.name for path in (tmp_path / "target").iterdir()) == ["a", "c"]
