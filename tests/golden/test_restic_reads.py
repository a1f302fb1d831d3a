"""What this package writes, the real restic checks, lists, rewrites and restores."""

from __future__ import annotations

import json
import os
import random
import stat
from pathlib import Path
from typing import cast

import pytest

from argosy.restic_format.blob import BlobType
from argosy.restic_format.compression import CompressionMode
from argosy.restic_format.lock_file import LockFile, encode_lock
from argosy.restic_format.node import (
    NodeFields,
    encode_fields,
    finish_directory,
    finish_file,
    finish_other,
    mode_to_go,
)
from argosy.restic_format.snapshot import Snapshot, SnapshotSummary, decode_snapshot, encode_snapshot
from argosy.restic_format.tree import encode_tree
from tests.golden.reader import Reader
from tests.golden.writer import TIME, Writer
from tests.support.restic import PASSWORD, Restic, require_restic, restic_parameters

_MTIME_NS = 1_700_000_000_123_456_000
_RANDOM = random.Random(7)
_TEXT = b"".join(b"%d lines of text\n" % number for number in range(300_000))
_FILES = {
    b"empty": b"",
    b"one byte": b"1",
    b"random": _RANDOM.randbytes(300_000),
    b"text": _TEXT,
    b"large": _RANDOM.randbytes(3_000_000) + bytes(9_000_000),
    b"not utf-8 \xff": b"x",
    b'new\nline "quotes" \\ <&> \xc2\xa0': b"x",
}


def _node(name: bytes, kind: str, mode: int, linktarget: bytes | None = None, size: int = 0) -> bytes:
    fields = NodeFields(
        name,
        kind,
        mode_to_go(mode),
        _MTIME_NS,
        _MTIME_NS,
        _MTIME_NS,
        os.getuid(),
        os.getgid(),
        links=1,
        size=size,
        linktarget=linktarget,
    )
    return encode_fields(fields)


def _write_backup(writer: Writer) -> bytes:
    """The snapshot's id."""
    nodes = {
        name: finish_file(_node(name, "file", stat.S_IFREG | 0o640, size=len(content)), writer.save_file(content))
        for name, content in _FILES.items()
    }
    nodes[b"link"] = finish_other(_node(b"link", "symlink", stat.S_IFLNK | 0o777, b"one byte"))
    nodes[b"pipe"] = finish_other(_node(b"pipe", "fifo", stat.S_IFIFO | 0o600))
    directory = _node(b"dir", "dir", stat.S_IFDIR | 0o750)
    nodes[b"dir"] = finish_directory(directory, writer.save_streamed_tree(encode_tree([nodes[b"one byte"]])))
    root = writer.save_blob(BlobType.TREE, encode_tree(nodes[name] for name in sorted(nodes)))
    writer.save_packs_and_index()
    summary = SnapshotSummary(TIME, TIME, files_new=len(_FILES) + 1)
    snapshot = Snapshot(
        TIME,
        root,
        ["/source"],
        hostname="a<b>",
        username="u",
        tags=["t"],
        program_version="x",
        summary=summary,
    )
    return writer.save_document("snapshots", encode_snapshot(snapshot))


@pytest.mark.parametrize("mode", ["auto", "off", "max"])
@pytest.mark.parametrize("restic", restic_parameters())
def test_restic_checks_and_restores_a_repository_written_here(restic: Restic, mode: str, tmp_path: Path) -> None:
    """Key, config, packs, index, snapshot, trees: all data is read, and every file comes back."""
    snapshot = _write_backup(Writer(tmp_path / "repository", PASSWORD, cast(CompressionMode, mode)))
    program = restic.at(tmp_path / "repository", tmp_path)
    program.check()
    target = tmp_path / "restored"
    program.run("restore", snapshot.hex(), "--target", target)
    restored = os.fsencode(target)
    for name, content in _FILES.items():
        with open(restored + b"/" + name, "rb") as file:
            assert file.read() == content
        seen = os.stat(restored + b"/" + name)
        assert (seen.st_mtime_ns, stat.S_IMODE(seen.st_mode)) == (_MTIME_NS, 0o640)
    assert (target / "link").readlink() == Path("one byte")
    assert stat.S_ISFIFO((target / "pipe").stat().st_mode)
    assert (target / "dir/one byte").read_bytes() == b"1"
    assert stat.S_IMODE((target / "dir").stat().st_mode) == 0o750


def test_restic_rewrites_trees_written_here(tmp_path: Path) -> None:
    """restic refuses to rewrite a tree whose bytes it would not have written itself."""
    restic = require_restic(at_least=(0, 18, 0))
    _write_backup(Writer(tmp_path / "repository", PASSWORD, "auto"))
    program = restic.at(tmp_path / "repository", tmp_path)
    program.run("rewrite", "--exclude", "/dir/one byte")
    program.check()
    documents = Reader(tmp_path / "repository", PASSWORD).documents("snapshots")
    assert len(documents) == 2
    originals = [decode_snapshot(document, "snapshot").original for document in documents.values()]
    assert sum(original in documents for original in originals) == 1


@pytest.mark.parametrize("restic", restic_parameters())
def test_restic_reads_a_lock_written_here(restic: Restic, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "repository", PASSWORD, "auto")
    lock = LockFile(TIME, True, 'host "<1>"', "user", 4711, uid=1000, gid=1000)
    identity = writer.save_document("locks", encode_lock(lock))
    program = restic.at(tmp_path / "repository", tmp_path)
    shown = json.loads(program.run("cat", "lock", identity.hex(), "--no-lock").stdout)
    assert shown == {
        "time": TIME,
        "exclusive": True,
        "hostname": 'host "<1>"',
        "username": "user",
        "pid": 4711,
        "uid": 1000,
        "gid": 1000,
    }
    program.run("snapshots", "--no-lock")
    refused = program.run("backup", tmp_path / "repository/keys", expect=(1, 11))
    assert b"locked" in refused.stderr


def test_restic_shows_the_summary_written_here(tmp_path: Path) -> None:
    restic = require_restic(at_least=(0, 18, 0))
    _write_backup(Writer(tmp_path / "repository", PASSWORD, "auto"))
    ((snapshot,),) = restic.at(tmp_path / "repository", tmp_path).json_lines("snapshots")
    assert snapshot["hostname"] == "a<b>"
    assert snapshot["summary"]["files_new"] == len(_FILES) + 1
    assert snapshot["summary"]["backup_start"] == TIME
