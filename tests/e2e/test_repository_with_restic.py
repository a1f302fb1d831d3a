"""restic and Argosy open each other's repositories, read each other's blobs and respect each other's locks."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from argosy.errors import RepositoryLocked, WrongPassword
from argosy.repository.blobs import BlobReader
from argosy.repository.encoder import BlobEncoder
from argosy.repository.index_writer import write_indexes
from argosy.repository.keys import ScryptNumbers, add_key, list_keys
from argosy.repository.large_blob import store_large_blob
from argosy.repository.layout import FileKind
from argosy.repository.lock_files import load_locks, unlock
from argosy.repository.locks import LockTiming, acquire
from argosy.repository.lookup import DedupLookup
from argosy.repository.packer import Packer, StoredPack
from argosy.repository.repository import Repository, init_repository, open_repository
from argosy.repository.snapshots import find_subtree, load_snapshots, resolve_snapshot, save_snapshot
from argosy.restic_format.blob import BlobType
from argosy.restic_format.node import encode_metadata, finish_directory, finish_file
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.tree import decode_tree, encode_tree
from argosy.storage.open import open_storage
from tests.support.restic import PASSWORD, Restic, ResticRepository, restic_parameters
from tests.support.trees import make_tree

CHEAP = ScryptNumbers(n=1024, r=8, p=1)
TIMING = LockTiming(settle_seconds=0.01)
EXIT_CODES_OF_LOCKED = (1, 11)  # restic has a code of its own for it since 0.17
FILES = {"small": b"a few bytes", "empty": b"", "large": os.urandom(3_000_000), "dir": {"text": b"line\n" * 9999}}

pytestmark = pytest.mark.parametrize("restic", restic_parameters())


@pytest.fixture
def theirs(restic: Restic, tmp_path: Path) -> ResticRepository:
    """restic, working on the repository of the test."""
    return restic.at(tmp_path / "repository", tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_tree(tmp_path / "source", FILES)
    return tmp_path / "source"


def open_ours(theirs: ResticRepository, password: str = PASSWORD) -> Repository:
    return open_repository(open_storage(theirs.location), password.encode())


def init_ours(theirs: ResticRepository) -> Repository:
    return init_repository(open_storage(theirs.location), PASSWORD.encode(), scrypt=CHEAP)


@contextmanager
def synchronized_lookup(repository: Repository, directory: Path) -> Iterator[DedupLookup]:
    lookup = DedupLookup(directory / "lookup.sqlite", repository.key)
    lookup.synchronize(repository.list_ids(FileKind.INDEX), repository.load_index)
    yield lookup
    lookup.close()


def test_we_read_every_blob_that_restic_stored(theirs: ResticRepository, source: Path, tmp_path: Path) -> None:
    theirs.init()
    theirs.run("backup", ".", cwd=source)
    repository = open_ours(theirs)
    packs = [pack for index_id in repository.list_ids(FileKind.INDEX) for pack in repository.load_index(index_id).packs]
    sizes = dict(repository.list_files(FileKind.PACK))
    assert {pack.id for pack in packs} == set(sizes)
    with synchronized_lookup(repository, tmp_path) as lookup:
        reader = BlobReader(repository, lookup)
        for pack in packs:
            header = repository.load_pack_header(pack.id, sizes[pack.id])
            assert sorted(header, key=lambda blob: blob.offset) == sorted(pack.blobs, key=lambda blob: blob.offset)
            kind = pack.blobs[0].type
            loaded = dict(reader.load_many((blob.id for blob in pack.blobs), kind))
            assert loaded.keys() == {blob.id for blob in pack.blobs}
            assert all(hashlib.sha256(content).digest() == blob_id for blob_id, content in loaded.items())
        stored, subpath = resolve_snapshot(repository, "latest:dir")
        nodes = decode_tree(reader.load_blob(find_subtree(reader, stored.snapshot.tree, subpath), BlobType.TREE), "dir")
        content = b"".join(reader.load_blob(blob_id, BlobType.DATA) for blob_id in nodes[0].content_ids())
        assert content == FILES["dir"]["text"]  # type: ignore[index]


def test_restic_opens_what_we_made(theirs: ResticRepository) -> None:
    repository = init_ours(theirs)
    config = json.loads(theirs.run("cat", "config").stdout)
    assert config == {
        "version": 2,
        "id": repository.id,
        "chunker_polynomial": f"{repository.polynomial:x}",
    }
    (key,) = theirs.json_lines("key", "list")[0]
    assert repository.key_id.hex().startswith(key["id"])
    assert key["hostName"] == os.uname().nodename
    theirs.check()


def test_restic_backs_up_into_what_we_made(theirs: ResticRepository, source: Path) -> None:
    repository = init_ours(theirs)
    theirs.run("backup", ".", cwd=source)
    theirs.check()
    assert len(load_snapshots(repository)) == 1


def test_a_key_that_one_adds_opens_for_the_other(theirs: ResticRepository, tmp_path: Path) -> None:
    repository = init_ours(theirs)
    add_key(repository.storage, repository.key, b"ours", scrypt=CHEAP)
    ResticRepository(theirs.restic, theirs.location, tmp_path, password="ours").run("cat", "config")
    new_password = tmp_path / "password"
    new_password.write_text("theirs", encoding="ascii")
    theirs.run("key", "add", "--new-password-file", new_password)
    # restic 0.14 clears those bits of the MAC key that Poly1305 ignores.
    assert open_ours(theirs, "theirs").key.encrypt == repository.key.encrypt
    assert len(list_keys(repository.storage)) == 3
    with pytest.raises(WrongPassword):
        open_ours(theirs, "nobody's")


def test_restic_finds_nothing_wrong_with_what_we_stored(theirs: ResticRepository, tmp_path: Path) -> None:
    """Data with and without compression, a tree in a common pack, a tree in a pack of its own, small indexes."""
    repository = init_ours(theirs)
    packs: list[StoredPack] = []
    contents = [b"text " * 1000, os.urandom(5000), b"x"]
    for compression, content in zip(("auto", "auto", "off"), contents, strict=True):
        store_blob(repository, BlobType.DATA, content, packs, compression)
    metadata = encode_metadata(b"file", "file", 0o644, 0, 0, 0, 0, 0, "", "", 1, 1, sum(map(len, contents)), 1)
    ids = [hashlib.sha256(content).digest() for content in contents]
    inner = store_blob(repository, BlobType.TREE, encode_tree([finish_file(metadata, ids)]), packs)
    directory = encode_metadata(b"dir", "dir", 0o755 | 1 << 31, 0, 0, 0, 0, 0, "", "", 2, 1, 0, 1)
    root = encode_tree([finish_directory(directory, inner)])
    pieces = [root[:7], root[7:]]
    packs.append(
        store_large_blob(
            repository.storage,
            repository.key,
            BlobType.TREE,
            pieces,
            len(root),
            directory=tmp_path,
            lease=lambda: None,
        )
    )
    write_indexes(repository, packs[:2])
    write_indexes(repository, packs[2:])
    root_id = hashlib.sha256(root).digest()
    snapshot_id = save_snapshot(
        repository, Snapshot(time="2024-01-02T03:04:05Z", tree=root_id, paths=["/dir"], hostname="nas")
    )
    theirs.check()
    (listed,) = theirs.json_lines("snapshots")[0]
    assert listed["id"] == snapshot_id.hex()
    assert theirs.run("dump", "latest", "/dir/file").stdout == b"".join(contents)


def store_blob(
    repository: Repository, kind: BlobType, content: bytes, packs: list[StoredPack], compression: str = "auto"
) -> bytes:
    """Store one blob in a pack; returns its id."""
    blob_id = hashlib.sha256(content).digest()
    packer = Packer(repository.storage, repository.key, kind, lease=lambda: None, on_stored=packs.append)
    encoder = BlobEncoder(repository.key, compression, verify=True)  # type: ignore[arg-type]
    packer.add(encoder.encode(kind, blob_id, content))
    packer.flush()
    return blob_id


def test_restic_respects_our_lock(theirs: ResticRepository, source: Path) -> None:
    repository = init_ours(theirs)
    with acquire(repository, timing=TIMING) as lock:
        assert theirs.run("list", "locks", "--no-lock").stdout.decode().split() == [lock.id.hex()]
        theirs.run("backup", ".", cwd=source)
        blocked = theirs.run("prune", expect=EXIT_CODES_OF_LOCKED)
        assert f"PID {os.getpid()} on {os.uname().nodename}".encode() in blocked.stderr
        theirs.run("unlock")
        assert [stored.id for stored in load_locks(repository)] == [lock.id], "a living lock was unlocked"
    theirs.run("prune")


def test_restic_respects_our_exclusive_lock(theirs: ResticRepository, source: Path) -> None:
    repository = init_ours(theirs)
    with acquire(repository, exclusive=True, timing=TIMING):
        blocked = theirs.run("backup", ".", cwd=source, expect=EXIT_CODES_OF_LOCKED)
        assert b"locked exclusively" in blocked.stderr
    theirs.run("backup", ".", cwd=source)


def test_we_respect_an_exclusive_lock_of_restic(theirs: ResticRepository, source: Path) -> None:
    """restic is killed while it holds the lock: then unlock finds it dead."""
    repository = init_ours(theirs)
    theirs.run("backup", ".", cwd=source)
    with checking_slowly(theirs) as process:
        with pytest.raises(RepositoryLocked, match=rf"exclusive.* on {os.uname().nodename} \(PID {process.pid}\)") as e:
            acquire(repository, timing=TIMING)
        assert e.value.exit_code == 11
        assert unlock(repository) == []
        (lock_id,) = repository.list_ids(FileKind.LOCK)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert unlock(repository) == [lock_id]
    acquire(repository, timing=TIMING).release()


@contextmanager
def checking_slowly(theirs: ResticRepository) -> Iterator[subprocess.Popen[bytes]]:
    """A ``restic check`` that holds its lock; at 1 KiB a second it is far from done when the test ends."""
    command = [str(theirs.restic.program), "-r", theirs.location, "--no-cache", "--limit-download", "1"]
    environment = {"PATH": os.defpath, "HOME": str(theirs.home), "RESTIC_PASSWORD": theirs.password}
    process = subprocess.Popen(
        [*command, "check", "--read-data"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        output = b""
        while b"load indexes" not in output:  # said once the lock is taken
            line = process.stdout.readline()
            assert line, output
            output += line
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
