"""`argosy mount`, with a real mount."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.support.command import Argosy
from tests.support.compared import Compared, make_source
from tests.support.damage import flip_blob, ground_of
from tests.support.mounts import mounted, require_mounts
from tests.support.trees import assert_same_tree


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Argosy:
    """A repository with one snapshot of files of every kind, in /source."""
    home = tmp_path_factory.mktemp("mount")
    make_source(home / "source")
    (home / "source" / "big").write_bytes(os.urandom(12_000_000))
    argosy = Argosy(home)
    argosy.run("backup", "--init", "--host", "alpha", "--tag", "one,two", "source")
    return argosy


def test_a_mount_holds_the_source(saved: Argosy, tmp_path: Path) -> None:
    """diff -r, cp -a, sixteen readers at once, the middle of a big file; Ctrl-C takes it away."""
    source = saved.home / "source"
    with mounted(saved) as mount:
        shown = mount.directory / "snapshots" / "latest" / "source"
        assert _names(shown) == _names(source)
        # diff cannot compare pipes.
        same: list[str | Path] = ["diff", "-r", "--no-dereference", "--exclude", "pipe", source, shown]
        assert subprocess.run(same, capture_output=True, check=False).stdout == b""
        subprocess.run(["cp", "-a", shown, tmp_path / "copy"], check=True)
        assert_same_tree(source, tmp_path / "copy")
        expected = (source / "big").read_bytes()
        with ThreadPoolExecutor(16) as threads:
            assert set(threads.map(lambda _: (shown / "big").read_bytes() == expected, range(16))) == {True}
        with open(shown / "big", "rb") as file:
            file.seek(7_654_321)
            assert file.read(1000) == expected[7_654_321:7_655_321]
        with pytest.raises(OSError, match="Read-only"):
            (shown / "new").write_bytes(b"")
        mount.end(signal.SIGINT)
        assert mount.process.returncode == 0
        assert not os.path.ismount(mount.directory)


def test_a_listing_that_takes_many_questions_is_whole_and_right(tmp_path: Path) -> None:
    """Each entry once, in its place, with the attributes and the extended attributes that it has."""
    argosy = Argosy(tmp_path)
    source = tmp_path / "data"
    source.mkdir()
    for number in range(2500):
        path = source / f"{number:04}-{'x' * (number % 90)}"
        path.write_bytes(b"." * (number % 7))
        path.chmod(0o400 + number % 8)
        os.utime(path, ns=(number * 10**9, number * 10**9 + number))
    os.symlink("0007", source / "link")
    argosy.run("backup", "--init", "data")
    with mounted(argosy) as mount:
        shown = mount.directory / "snapshots" / "latest" / "data"
        assert sorted(os.listdir(shown)) == sorted(os.listdir(source))
        for entry in os.scandir(shown):
            ours, theirs = entry.stat(follow_symlinks=False), os.lstat(source / entry.name)
            assert _facts(ours) == _facts(theirs)
            assert ours.st_ino == entry.inode()
        with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
            os.getxattr(shown / "link", "user.none", follow_symlinks=False)


def _facts(found: os.stat_result) -> tuple[int, ...]:
    return found.st_mode, found.st_size, found.st_uid, found.st_gid, found.st_nlink, found.st_mtime_ns


def test_places_are_restics(compared: Compared) -> None:
    with mounted(compared.argosy) as mount:
        root = mount.directory
        assert sorted(os.listdir(root)) == ["hosts", "ids", "snapshots", "tags"]
        assert sorted(os.listdir(root / "ids")) == sorted(found[:8] for found in compared.snapshot_ids())
        snapshots = compared.argosy.documents("snapshots")[0]
        assert sorted(os.listdir(root / "hosts")) == sorted({snapshot["hostname"] for snapshot in snapshots})
        assert {"a", "b", "with space"} <= {tag for snapshot in snapshots for tag in snapshot.get("tags", ())}
        assert sorted(os.listdir(root / "tags")) == sorted(
            {tag for snapshot in snapshots for tag in snapshot.get("tags", ())}
        )
        latest = os.readlink(root / "hosts" / "alpha" / "latest")
        newest = compared.argosy.documents("snapshots", "--host", "alpha")[0][-1]
        assert latest[:19] == newest["time"][:19]
        assert (root / "tags" / "b" / latest / str(compared.source).lstrip("/") / "plain.txt").read_bytes() == (
            b"changed since"
        )
        mount.end(signal.SIGTERM)
        assert not os.path.ismount(root)


def test_templates_and_filters(saved: Argosy) -> None:
    with mounted(saved, "--path-template", "%h/%t/%T", "--time-template", "2006", "--owner-root") as mount:
        latest, year = sorted(os.listdir(mount.directory / "alpha" / "two"), reverse=True)
        assert latest == "latest"
        assert year.startswith("20")
        assert (mount.directory / "alpha" / "one" / year / "source").stat().st_uid == 0


def test_acls_are_what_they_were(tmp_path: Path, program: Callable[[str], str]) -> None:
    """Also through ``cp -a``; and where there is none, none is told."""
    argosy, source = Argosy(tmp_path), tmp_path / "data"
    (source / "directory").mkdir(parents=True)
    (source / "file").write_bytes(b"")
    (source / "plain").write_bytes(b"")
    setfacl = program("setfacl")
    subprocess.run([setfacl, "-m", "u:65534:r,g:65533:rw", source / "file"], check=True)
    subprocess.run([setfacl, "-m", "d:u:65534:rwx,u:65533:x", source / "directory"], check=True)
    argosy.run("backup", "--init", "data")
    with mounted(argosy) as mount:
        shown = mount.directory / "snapshots" / "latest" / "data"
        subprocess.run(["cp", "-a", shown, tmp_path / "copy"], check=True)
        acls = {place: _acls(place) for place in (source, shown, tmp_path / "copy")}
    assert len(acls[source]) == 3
    assert acls[shown] == acls[source]
    assert acls[tmp_path / "copy"] == acls[source]


def _acls(directory: Path) -> dict[tuple[str, str], bytes]:
    found = {}
    for name, kind in product(("file", "directory", "plain"), ("access", "default")):
        try:
            found[name, kind] = os.getxattr(directory / name, f"system.posix_acl_{kind}")
        except OSError as error:
            assert error.errno == errno.ENODATA  # noqa: PT017 - for some of them
    return found


def test_extended_attributes_can_be_left_out(saved: Argosy) -> None:
    with mounted(saved, "--no-xattrs") as mount:
        shown = mount.directory / "snapshots" / "latest" / "source"
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            os.listxattr(shown / "big")
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            os.getxattr(shown / "big", "user.none")
        assert (shown / "big").read_bytes() == (saved.home / "source" / "big").read_bytes()


def test_a_damaged_blob_is_an_error_and_is_named(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bad").write_bytes(b"bad" * 1000)
    (tmp_path / "data" / "good").write_bytes(b"good")
    argosy.run("backup", "--init", "data")
    blob = _blob(argosy, "bad")
    flip_blob(ground_of(argosy), bytes.fromhex(blob))
    with mounted(argosy) as mount:
        shown = mount.directory / "snapshots" / "latest" / "data"
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            (shown / "bad").read_bytes()
        assert (shown / "good").read_bytes() == b"good"
        said = mount.end(signal.SIGINT).decode()
    assert blob in said
    assert "/data/bad" in said


def test_what_cannot_be_mounted_is_refused(saved: Argosy) -> None:
    require_mounts()
    assert "there is no directory" in saved.says("mount", saved.home / "nowhere", expect=1)
    assert "time template" in saved.says("mount", saved.home, "--time-template", "/", expect=1)


def _names(directory: Path) -> list[bytes]:
    found = subprocess.run(["find", ".", "-print0"], cwd=directory, capture_output=True, check=True)
    return sorted(found.stdout.split(b"\0"))


def _blob(argosy: Argosy, name: str) -> str:
    nodes = json.loads(argosy.run("cat", "tree", "latest:/data").stdout)["nodes"]
    content: str = next(node["content"][0] for node in nodes if node["name"] == name)
    return content
