"""Restores from a real S3 server, where ranges are fetched ahead by threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.machines import Machines
from tests.support.servers import S3Server, seaweedfs
from tests.support.trees import Directory, File, HardLink, assert_same_tree, make_tree


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs(tmp_path_factory) as running:
        yield running


@pytest.mark.server
def test_what_was_saved_to_s3_comes_back(server: S3Server, machines: Machines, tmp_path: Path) -> None:
    """Many small files, a large one, names of one file; and again over a target that is partly right."""
    tree = {f"d{number}": Directory({f"f{n}": File(os.urandom(700)) for n in range(150)}) for number in range(10)}
    make_tree(tmp_path / "source", tree | {"large": File(os.urandom(24 << 20)), "link": HardLink("large")})
    environment = {**server.credentials, "ARGOSY_REPOSITORY": server.location("e2e-restore")}
    argosy = Argosy(tmp_path, environment=environment, machines=machines)
    argosy.run("backup", "--init", "source")
    argosy.run("restore", "latest", "--target", "out", "--verify")
    assert_same_tree(tmp_path / "source", tmp_path / "out/source", with_root=True)
    (tmp_path / "out/source/d3/f7").write_bytes(b"other")
    with (tmp_path / "out/source/large").open("r+b") as file:
        file.seek(9 << 20)
        file.write(b"other")
    summary = argosy.documents("restore", "latest", "--target", "out")[-1]
    assert summary["bytes_restored"] == (24 << 20) + 700
    assert summary["files_skipped"] == 1499
    assert_same_tree(tmp_path / "source", tmp_path / "out/source", with_root=True)
