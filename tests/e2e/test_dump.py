"""`argosy dump` gives the bytes of a file, and archives that hold what restic's hold."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

from tests.support.compared import Compared
from tests.support.trees import assert_same_tree


def members(archive: bytes) -> dict[str, tuple[object, ...]]:
    """What a tar holds, for a comparison."""
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape") as tar:
        found: dict[str, tuple[object, ...]] = {}
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            found[member.name] = (
                member.type,
                member.mode,
                member.uid,
                member.gid,
                member.uname,
                member.gname,
                member.mtime,
                member.linkname,
                {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY")},
                b"" if file is None else file.read(),
            )
        return found


def test_a_file_is_its_bytes(compared: Compared) -> None:
    first = compared.snapshot_ids()[0]
    for name in ("large.bin", "empty", "sub/text.md", "sub/deeper/deepest/x", "ünïcödé", "new\nline"):
        path = compared.source / name
        assert compared.argosy.run("dump", first, path).stdout == path.read_bytes()
    assert compared.argosy.run("dump", first, compared.source / "plain.txt").stdout == b"plain"
    odd = bytes(compared.source) + b"/latin \xe9\xff"
    assert compared.argosy.run("dump", first, odd).stdout == b"named latin \xe9\xff"
    assert compared.argosy.run("dump", f"{first}:{compared.source}/sub", "deeper/../text.md").stdout


def test_a_tar_holds_what_restics_holds(compared: Compared) -> None:
    first = f"{compared.snapshot_ids()[0]}:{compared.source}"
    ours = members(compared.argosy.run("dump", first, "/").stdout)
    theirs = members(compared.model.run("dump", first, "/").stdout)
    assert set(ours) == {name for name in theirs if name != "pipe"}
    for name, member in ours.items():
        assert member == theirs[name], name


def test_a_whole_snapshot_comes_back_from_its_tar(compared: Compared, tmp_path: Path) -> None:
    second = f"{compared.snapshot_ids()[1]}:{compared.source}"
    archive = compared.argosy.run("dump", second, "/").stdout
    subprocess.run(["tar", "-x", "-p", "-f", "-", "-C", tmp_path], input=archive, check=True, capture_output=True)
    for path in compared.source.rglob("*"):
        if path.is_file():
            there = os.fsencode(tmp_path) + bytes(path)[len(bytes(compared.source)) :]
            with open(there, "rb") as file:
                assert file.read() == path.read_bytes()
    assert os.readlink(tmp_path / "link") == "sub/text.md"
    assert (tmp_path / "empty directory").is_dir()


def test_a_zip_holds_what_restics_holds(compared: Compared) -> None:
    first = f"{compared.snapshot_ids()[0]}:{compared.source}"
    with (
        zipfile.ZipFile(io.BytesIO(compared.argosy.run("dump", "-a", "zip", first, "/").stdout)) as ours,
        zipfile.ZipFile(io.BytesIO(compared.model.run("dump", "-a", "zip", first, "/").stdout)) as theirs,
    ):
        assert ours.testzip() is None
        by_name = {info.filename: info for info in theirs.infolist()}
        plain = [info for info in ours.infolist() if info.filename.isprintable() and "\\x" not in info.filename]
        assert len(plain) >= 14
        for info in plain:
            other = by_name[info.filename]
            assert ours.read(info) == theirs.read(other)
            assert info.external_attr >> 16 == other.external_attr >> 16, info.filename
            assert info.is_dir() == other.is_dir()
            assert info.extra == other.extra


def test_an_archive_leaves_out_pipes_and_says_so(compared: Compared) -> None:
    done = compared.argosy.run("dump", compared.snapshot_ids()[0], "/")
    assert b"pipe is a fifo" in done.stderr


def test_the_target_is_a_file_that_is_whole_or_not_there(compared: Compared, tmp_path: Path) -> None:
    first = compared.snapshot_ids()[0]
    target = tmp_path / "target"
    compared.argosy.run("dump", "-t", target, first, compared.source / "large.bin")
    assert target.read_bytes() == (compared.source / "large.bin").read_bytes()
    assert "cannot write" in compared.argosy.says(
        "dump", "-t", tmp_path / "no" / "directory", first, compared.source / "large.bin", expect=1
    )
    assert target.exists()


def test_what_is_not_there_is_an_error(compared: Compared) -> None:
    first = compared.snapshot_ids()[0]
    for path, words in (
        ("/nowhere", "has no /nowhere"),
        (f"{compared.source}/plain.txt/below", "is a file, not a directory"),
        (f"{compared.source}/pipe", "neither a file nor a directory"),
        (f"{compared.source}/link", "neither a file nor a directory"),
    ):
        assert words in compared.argosy.says("dump", first, path, expect=1)


def test_a_tree_round_trips(compared: Compared, tmp_path: Path) -> None:
    """GNU tar gives back a directory as it was, times to the second apart."""
    second = f"{compared.snapshot_ids()[1]}:{compared.source}/sub"
    archive = compared.argosy.run("dump", second, "/deeper").stdout
    subprocess.run(["tar", "-x", "-p", "-f", "-", "-C", tmp_path], input=archive, check=True, capture_output=True)
    assert_same_tree(compared.source / "sub" / "deeper", tmp_path / "deeper")
