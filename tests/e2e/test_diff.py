"""`argosy diff` prints what restic 0.18 prints."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.command import Argosy, decode_lines
from tests.support.compared import Compared, make_key_cheap, make_source
from tests.support.damage import flip_blob, ground_of, subtree_of
from tests.support.restic import Restic, restic_parameters


@pytest.fixture(scope="module", params=restic_parameters())
def changed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Two snapshots with a change of every kind between them, and unchanged directories whose blobs move."""
    restic: Restic = request.param
    home = tmp_path_factory.mktemp("changed")
    source = home / "source"
    make_source(source)
    (source / "same" / "within").mkdir(parents=True)
    (source / "same" / "within" / "kept").write_bytes(b"kept, and copied")
    (source / "goes").mkdir()
    (source / "goes" / "file").write_bytes(b"gone")
    (source / "goes" / "copied").write_bytes(b"kept, and copied")
    (source / "becomes a file").mkdir()
    (source / "rots").write_bytes(b"before")
    status = (source / "rots").stat()
    argosy = Argosy(home)
    writer = restic.at(argosy.repository, home)
    writer.init()
    make_key_cheap(str(argosy.repository))
    writer.run("backup", source)
    shutil.rmtree(source / "goes")
    (source / "becomes a file").rmdir()
    (source / "becomes a file").write_bytes(b"now")
    (source / "comes" / "deep").mkdir(parents=True)
    (source / "comes" / "deep" / "copy").write_bytes(b"kept, and copied")
    (source / "comes" / "new \xe9").write_bytes(b"new")
    (source / "comes" / "link").symlink_to("copy")
    (source / "plain.txt").write_bytes(b"other content")
    (source / "sub" / "text.md").chmod(0o600)
    (source / "rots").write_bytes(b"behind")
    os.utime(source / "rots", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.rename(source / os.fsdecode(b"latin \xe9\xff"), source / os.fsdecode(b"latin \xff"))
    writer.run("backup", "--force", source)
    return Compared(home, source, argosy, writer)


@pytest.mark.parametrize("flags", [(), ("--metadata",), ("--quiet",)], ids=" ".join)
def test_text_and_statistics_are_restics(changed: Compared, flags: tuple[str, ...]) -> None:
    first, second = changed.snapshot_ids()
    changed.assert_same_output("diff", first, second, *flags)
    changed.assert_same_output("diff", second, first, *flags)


def test_documents_are_restics(changed: Compared) -> None:
    first, second = changed.snapshot_ids()
    documents = changed.assert_same_documents("diff", first[:8], second[:8], "--metadata")
    assert dict(documents[-1])["message_type"] == "statistics"
    assert {dict(document).get("modifier") for document in documents[:-1]} >= {"+", "-", "M", "TU", "U"}


def test_a_directory_of_each_snapshot(changed: Compared) -> None:
    first, second = changed.snapshot_ids()
    for one, other in (("sub", "sub"), ("same", "sub"), ("sub/deeper", "comes")):
        changed.assert_same_output("diff", f"{first}:{changed.source}/{one}", f"{second}:{changed.source}/{other}")


def test_a_snapshot_does_not_differ_from_itself(changed: Compared) -> None:
    first, second = changed.snapshot_ids()
    changed.assert_same_output("diff", first, first)
    assert len(changed.argosy.documents("diff", second, "latest", "--metadata")) == 1


def test_without_blobs_the_changes_are_the_same(changed: Compared) -> None:
    first, second = changed.snapshot_ids()
    with_blobs = changed.argosy.documents("diff", first, second)
    without = changed.argosy.documents("diff", first, second, "--no-blobs")
    assert without[:-1] == with_blobs[:-1]
    assert without[-1]["added"]["files"] == with_blobs[-1]["added"]["files"]
    assert without[-1]["added"]["data_blobs"] == 0
    assert "Blobs" not in changed.argosy.says("diff", first, second, "--no-blobs")


def test_what_is_not_there_is_an_error(changed: Compared) -> None:
    first, _ = changed.snapshot_ids()
    assert "does not exist" in changed.argosy.says("diff", first, "0123456789", expect=1)
    assert "has no directory" in changed.argosy.says("diff", first, f"{first}:/nowhere", expect=1)


def test_a_damaged_directory_is_named_and_the_rest_is_compared(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path)
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "file").write_bytes(b"1")
    argosy.run("backup", "--init", "data")
    (tmp_path / "data" / "sub" / "file").write_bytes(b"22")
    (tmp_path / "data" / "young").write_bytes(b"")
    argosy.run("backup", "data")
    first, second = (snapshot["id"] for snapshot in argosy.documents("snapshots")[0])
    flip_blob(ground_of(argosy), subtree_of(argosy, f"{second}:/data", "sub"))
    done = argosy.run("diff", first, second, "--json", expect=1)
    (said,) = decode_lines(done.stderr)[:-1] or decode_lines(done.stderr)
    assert said["item"] == "/data/sub/"
    assert "cannot be read" in said["error"]["message"]
    assert "/data/young" in {change.get("path") for change in decode_lines(done.stdout)}
