"""`argosy cat` prints what restic 0.18 prints, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import Compared
from tests.support.damage import flip


@pytest.mark.parametrize("kind", ["config", "masterkey"])
def test_documents_without_a_name(compared: Compared, kind: str) -> None:
    compared.assert_same_output("cat", kind)


@pytest.mark.parametrize(("kind", "listed"), [("index", "index"), ("key", "keys"), ("pack", "packs")])
def test_files(compared: Compared, kind: str, listed: str) -> None:
    for identity in compared.argosy.run("list", listed).stdout.decode().split()[:3]:
        compared.assert_same_output("cat", kind, identity)


def test_snapshots_and_their_trees(compared: Compared) -> None:
    for snapshot in compared.snapshot_ids():
        compared.assert_same_output("cat", "snapshot", snapshot[:12])
        compared.assert_same_output("cat", "tree", snapshot)
    compared.assert_same_output("cat", "tree", f"{compared.snapshot_ids()[0]}:{compared.source}/sub")
    assert compared.argosy.run("cat", "snapshot", "latest").stdout


def test_blobs(compared: Compared) -> None:
    blobs = [line.split() for line in compared.argosy.run("list", "blobs").stdout.decode().splitlines()]
    for kind in ("data", "tree"):
        identity = next(identity for found, identity in blobs if found == kind)
        compared.assert_same_output("cat", "blob", identity)


def test_a_lock(compared: Compared) -> None:
    with compared.model.locked():
        (identity,) = compared.argosy.run("list", "locks").stdout.decode().split()
        compared.assert_same_output("cat", "lock", identity, "--no-lock")


def test_an_id_may_be_cut_short(compared: Compared) -> None:
    (key,) = compared.argosy.run("list", "keys").stdout.decode().split()
    assert compared.argosy.run("cat", "key", key[:8]).stdout == compared.argosy.run("cat", "key", key).stdout


def test_what_is_not_there_is_an_error(compared: Compared) -> None:
    for arguments, words in (
        (("blob", "0" * 64), "is in no index"),
        (("blob", "0000"), "not an id"),
        (("index", "0" * 64), "does not exist"),
        (("index", "0123456789"), "no index starts with"),
        (("index", "xyz"), "not the start of an id"),
        (("index",), "needs an id"),
        (("config", "abc"), "takes no id"),
    ):
        assert words in compared.argosy.says("cat", *arguments, expect=1)


def test_a_damaged_pack_is_printed_with_a_warning(tmp_path: Path) -> None:
    """It may be all that is left; restic prints it as well."""
    argosy = Argosy(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    argosy.run("backup", "--init", "file")
    pack = argosy.run("list", "packs").stdout.decode().split()[0]
    path = argosy.repository / "data" / pack[:2] / pack
    flip(path, 3)
    done = argosy.run("cat", "pack", pack)
    assert done.stdout == path.read_bytes()
    assert b"another hash" in done.stderr
