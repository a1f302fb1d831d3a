"""What the real restic writes, this package decodes and encodes to the same bytes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.config import encode_config, open_config
from argosy.restic_format.crypto import Opener
from argosy.restic_format.index import decode_index, encode_index
from argosy.restic_format.key_file import decode_key_file, encode_key_file
from argosy.restic_format.lock_file import decode_lock, encode_lock
from argosy.restic_format.node import is_canonical, unknown_keys
from argosy.restic_format.pack import encode_header
from argosy.restic_format.snapshot import decode_snapshot, encode_snapshot
from argosy.restic_format.tree import decode_tree, encode_tree, iter_tree, raw_nodes
from tests.golden.awkward import awkward_source, expected_trees
from tests.golden.reader import Reader
from tests.golden.writer import Writer
from tests.support.restic import PASSWORD, Restic, ResticRepository, require_restic, restic_parameters
from tests.support.trees import make_tree


class Backup:
    """A repository that restic has made of the awkward source."""

    def __init__(self, restic: Restic, root: Path) -> None:
        self.source = root / "source"
        self.repository = root / "repository"
        make_tree(self.source, awkward_source(new=restic.version >= (0, 18, 0)))
        self.program: ResticRepository = restic.at(self.repository, root)
        self.program.init()
        options = ["--tag", "a<b>", "--tag", "two", "--exclude", 'no "such" & file', "--host", "hôst"]
        self.program.run("backup", ".", *options, cwd=self.source)
        self.reader = Reader(self.repository, PASSWORD)

    def trees(self) -> dict[bytes, bytes]:
        """All tree blobs, by id."""
        return {i: content for i, (blob, content) in self.reader.blobs().items() if blob.type == BlobType.TREE}


@pytest.fixture(scope="module", params=restic_parameters())
def backup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return Backup(request.param, tmp_path_factory.mktemp("golden"))


def test_trees_encoded_from_lstat_have_the_ids_that_restic_gives_them(backup: Backup) -> None:
    """Every name, mode, time, owner, device and link: each tree of the source, and the root tree's id."""
    expected = expected_trees(os.fsencode(backup.source))
    found = backup.trees()
    for identity, tree in expected.items():
        if identity not in found:
            ours = {bytes(raw) for raw in raw_nodes(tree, "ours")}
            theirs = {bytes(raw) for content in found.values() for raw in raw_nodes(content, "restic's")}
            pytest.fail(f"restic has no such node: {sorted(ours - theirs)}")
    (document,) = backup.reader.documents("snapshots").values()
    root = decode_snapshot(document, "snapshot").tree
    assert expected.keys() == found.keys()
    assert root in expected


def test_a_tree_decoded_and_encoded_again_is_unchanged(backup: Backup) -> None:
    trees = backup.trees()
    assert len(trees) > 10
    for content in trees.values():
        nodes = raw_nodes(content, "tree")
        assert encode_tree([bytes(raw) for raw in nodes]) == content
        assert [is_canonical(raw) for raw in nodes] == [True] * len(nodes)
        assert not any(unknown_keys(raw) for raw in nodes)
        assert list(iter_tree(content, "tree")) == decode_tree(content, "tree")


def test_every_blob_opens_inflates_and_has_its_hash(backup: Backup) -> None:
    """Reader asserts it for each; files and trees are both there, and lie in packs of their own."""
    assert {blob.type for blob, _ in backup.reader.blobs().values()} == {BlobType.DATA, BlobType.TREE}
    assert all(len({blob.type for blob in pack.blobs}) == 1 for pack in backup.reader.packs())


def test_a_pack_header_encoded_again_is_unchanged(backup: Backup) -> None:
    for pack in backup.reader.packs():
        assert encode_header(pack.blobs) == pack.header


def test_an_index_encoded_again_is_unchanged_and_agrees_with_the_packs(backup: Backup) -> None:
    (document,) = backup.reader.documents("index").values()
    index = decode_index(document, "index")
    assert encode_index(index.packs) == document
    indexed = {pack.id: sorted(pack.blobs, key=lambda blob: blob.offset) for pack in index.packs}
    assert indexed == {pack.id: pack.blobs for pack in backup.reader.packs()}


def test_a_snapshot_encoded_again_is_unchanged(backup: Backup) -> None:
    (document,) = backup.reader.documents("snapshots").values()
    snapshot = decode_snapshot(document, "snapshot")
    assert encode_snapshot(snapshot) == document
    assert list(snapshot.tags) == ["a<b>", "two"]
    assert snapshot.hostname == "hôst"
    assert not snapshot.unknown


def test_key_and_config_encoded_again_are_unchanged(backup: Backup) -> None:
    assert encode_key_file(decode_key_file(backup.reader.key_bytes, "key")) == backup.reader.key_bytes
    stored = (backup.repository / "config").read_bytes()
    opener = Opener(backup.reader.key)
    assert encode_config(open_config(stored, opener)) == opener.open(stored, "config")


@pytest.mark.parametrize("restic", restic_parameters())
def test_a_lock_encoded_again_is_unchanged(restic: Restic, tmp_path: Path) -> None:
    Writer(tmp_path / "repository", PASSWORD, "auto")
    program = restic.at(tmp_path / "repository", tmp_path)
    with program.locked() as pid:
        (document,) = Reader(tmp_path / "repository", PASSWORD).documents("locks").values()
    lock = decode_lock(document, "lock")
    assert encode_lock(lock) == document
    assert lock.pid == pid
    assert not lock.exclusive


def test_extended_attributes_are_encoded_as_restic_does(tmp_path: Path) -> None:
    restic = require_restic(at_least=(0, 18, 0))
    source = tmp_path / "source"
    make_tree(source, {"file": b"x", "dir": {}})
    xattrs = {"user.zz": b"\x00\xff", "user.a": b"text", "user.empty": b"", 'user.<&>"': b"1", "user.ü": b"2"}
    for path in (source / "file", source / "dir"):
        for name, value in xattrs.items():
            try:
                os.setxattr(path, name, value)
            except OSError as error:
                if error.errno == errno.ENOTSUP:
                    pytest.skip("the file system of the temporary directory has no extended attributes")
                raise
    Writer(tmp_path / "repository", PASSWORD, "auto")
    restic.at(tmp_path / "repository", tmp_path).run("backup", ".", cwd=source)
    blobs = Reader(tmp_path / "repository", PASSWORD).blobs()
    trees = {i: content for i, (blob, content) in blobs.items() if blob.type == BlobType.TREE}
    assert trees == expected_trees(os.fsencode(source))
    for content in trees.values():
        for node in decode_tree(content, "tree"):
            assert dict(node.xattrs()) == xattrs
    assert blob_id(b"x") in blobs
