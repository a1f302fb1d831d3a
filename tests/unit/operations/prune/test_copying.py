"""What members have stored is relied on only where the master sees it, too; and none stores once all is over."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from argosy.engine.interface import Task
from argosy.errors import EngineError, LeaseLost
from argosy.operations.prune.messages import Lease, decode_setup, encode
from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.run import run_prune
from tests.support.inline_engine import InlineEngine
from tests.support.pruned import ALL_UNUSED, PACK_BYTES, copied, make_unpruned


def test_packs_that_a_member_stored_elsewhere_cost_nothing(tmp_path: Path) -> None:
    """Where the repository's mount went away from it: another directory takes what it writes."""
    scene = make_unpruned(tmp_path / "scene")
    elsewhere = copied(scene, tmp_path / "elsewhere").repository

    class Misled(InlineEngine):
        is_spread = True

        def start(self, setup: bytes, handler: str) -> None:
            wanted = decode_setup(setup)
            super().start(encode(msgspec.structs.replace(wanted, location=str(elsewhere))), handler)

    before = {path: path.read_bytes() for path in scene.repository.rglob("*") if path.is_file()}
    stray = next(path for path in before if path.name == "00" * 32)
    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES, alone_bytes=0)
    with pytest.raises(EngineError, match="does not have it as the master sees it"):
        run_prune(scene.access(), options, PruneObserver(), Misled)
    del before[stray]
    assert before == {path: path.read_bytes() for path in scene.repository.rglob("*") if path.is_file()}
    shutil.rmtree(elsewhere)
    assert run_prune(scene.access(), options, PruneObserver(), InlineEngine).repack


def test_a_worker_that_hears_that_all_is_over_stores_nothing_more(tmp_path: Path) -> None:
    scene = make_unpruned(tmp_path / "scene")
    before = scene.pack_files()

    class Ended(InlineEngine):
        def offer(self, task: Task) -> None:
            self.broadcast(encode(Lease(0.0)))
            self.broadcast(encode(Lease(60.0)))
            super().offer(task)

    options = PruneOptions(ALL_UNUSED, pack_size_bytes=PACK_BYTES, alone_bytes=0)
    with pytest.raises(LeaseLost):
        run_prune(scene.access(), options, PruneObserver(), Ended)
    assert set(scene.pack_files()) <= set(before)
