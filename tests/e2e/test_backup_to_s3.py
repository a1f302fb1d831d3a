"""Backups to a real S3 server: what Argosy stores there, restic reads, and the other way round."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.operations.prune.options import PruneObserver, PruneOptions
from argosy.operations.prune.plan import MaxUnused, PruneLimits
from argosy.operations.prune.run import run_prune
from argosy.operations.session import Access
from argosy.storage.options import StorageOptions
from tests.e2e.engines import Why
from tests.support.machines import Machines
from tests.support.restic import PASSWORD, require_restic
from tests.support.servers import S3Server, seaweedfs
from tests.support.trees import Directory, File, assert_same_tree, make_tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs(tmp_path_factory) as running:
        yield running


def _environment(server: S3Server, home: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "RESTIC_", "ARGOSY_"))},
        **server.credentials,
        "HOME": str(home),
        "PYTHONPATH": str(ROOT / "src"),
        "ARGOSY_PASSWORD": PASSWORD,
        "RESTIC_PASSWORD": PASSWORD,
        "ARGOSY_STATE_DIR": str(home / "state"),
        "ARGOSY_CACHE_DIR": str(home / "cache"),
        "RESTIC_CACHE_DIR": str(home / "restic-cache"),
        "TZ": "UTC",
    }


def _run(environment: dict[str, str], *command: str | Path) -> str:
    # In the home: a relative source brings no directory above it into the tree.
    done = subprocess.run(
        command, cwd=environment["HOME"], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.server
@pytest.mark.one_engine(Why.ANOTHER_VERB)
@pytest.mark.parametrize("alone_bytes", [0, 64 << 20], ids=["on workers", "alone"])
def test_a_prune_in_s3_leaves_what_is_used_and_nothing_else(server: S3Server, tmp_path: Path, alone_bytes: int) -> None:
    restic = require_restic((0, 18, 0))
    source = tmp_path / "source"
    make_tree(source, {f"f{number}": File(os.urandom(20_000)) for number in range(200)})
    location = server.location(f"e2e-prune-{alone_bytes}")
    environment = _environment(server, tmp_path)
    argosy = (sys.executable, "-m", "argosy")
    backup = (*argosy, "backup", "--init", "-q", "--pack-size", "4", "-r", location, source.name)
    _run(environment, *backup)
    for number in range(0, 200, 3):
        (source / f"f{number}").unlink()
    _run(environment, *backup)
    _run(environment, *argosy, "forget", "-q", "--keep-last", "1", "-r", location)
    access = Access(
        location,
        PASSWORD.encode,
        tmp_path / "cache",
        StorageOptions(credentials=dict(server.credentials)),
    )
    limits = PruneLimits(MaxUnused(size_bytes=0), small_pack_bytes=0)
    options = PruneOptions(limits, pack_size_bytes=1 << 20, workers=2, alone_bytes=alone_bytes)
    plan = run_prune(access, options, PruneObserver())
    assert plan.repack
    assert plan.stats.to_drop.blobs >= 67
    assert run_prune(access, options, PruneObserver()).is_empty
    referee = (restic.program, "-r", location)
    assert "no errors were found" in _run(environment, *referee, "check", "--read-data")
    _run(environment, *referee, "restore", "latest", "--target", str(tmp_path / "out"))
    assert_same_tree(source, tmp_path / "out" / source.name)


@pytest.mark.server
def test_a_backup_in_s3_is_read_by_restic_and_goes_on_incrementally(
    server: S3Server, machines: Machines, tmp_path: Path
) -> None:
    """init + backup, restic check --read-data and restore, a second backup that adds nothing, restic's own upon it."""
    restic = require_restic((0, 18, 0))
    source = tmp_path / "source"
    make_tree(
        source,
        {f"d{number}": Directory({f"f{n}": File(b"%d" % n * 500) for n in range(40)}) for number in range(10)}
        | {"large": File(os.urandom(9 << 20))},
    )
    location = server.location("e2e-backup")
    environment = _environment(server, tmp_path)
    argosy = (sys.executable, "-m", "argosy")
    backup = (*argosy, "backup", *machines.flags(), "--init", "-q", "-r", location, source.name)
    _run(environment, *backup)
    _run(environment, *backup)
    referee = (restic.program, "-r", location)
    assert "no errors were found" in _run(environment, *referee, "check", "--read-data")
    _run(environment, *referee, "restore", "latest", "--target", str(tmp_path / "out"))
    assert_same_tree(source, tmp_path / "out" / source.name)
    added = _run(environment, *argosy, "backup", *machines.flags(), "--json", "-r", location, source.name).splitlines()[
        -1
    ]
    assert '"data_added":0' in added
