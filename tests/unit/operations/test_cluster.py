"""A cluster directory lies on a disk of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import StateUnsuitable
from argosy.operations.cluster import run_cluster_init


def test_a_network_file_system_is_refused_before_a_key_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with pytest.raises(StateUnsuitable, match=r"lies on a network file system \(nfs4\)"):
        run_cluster_init(directory, [], 365, lambda _: "nfs4")
    assert list(directory.iterdir()) == []


def test_a_local_disk_will_do(tmp_path: Path) -> None:
    run_cluster_init(tmp_path / "cluster", [], 365, lambda _: "ext4")
    assert (tmp_path / "cluster" / "register.json").exists()
