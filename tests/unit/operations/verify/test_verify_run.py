"""A snapshot against a directory: what is the same, what differs, what cannot be read, what is damaged."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import Damaged, EngineError, Interrupted, SnapshotMissing, SourceGone, UsageError
from argosy.operations.session import open_session
from argosy.operations.verify import contents, plan, worker
from argosy.operations.verify.messages import Difference
from argosy.operations.verify.options import VerifyObserver, VerifyOptions, VerifyResult
from argosy.operations.verify.report import check_report
from argosy.operations.verify.run import run_check_report, run_verify
from argosy.repository.snapshots import find_subtree
from argosy.restic_format.node import finish_file
from argosy.restic_format.tree import encode_tree
from argosy.restorer.selection import SelectionSpec
from tests.support.backups import Scene
from tests.support.damage import Ground, copy_repository, flip_blob, node
from tests.support.inline_engine import InlineEngine
from tests.support.trees import Directory, Fifo, File, HardLink, Socket, Symlink, make_tree

BIG = os.urandom(3_000_000)
NAMES = [f"n{number:02}" for number in range(25)]
TREE = {
    "big": BIG,
    "bytes\udcff": b"not UTF-8",
    "empty": b"",
    "first": b"one file",
    "second": HardLink("first"),
    "line\nfeed": b"escaped",
    "link": Symlink(target="first"),
    "marked": File(content=b"marked", xattrs={"user.note": b"here"}),
    "pipe": Fifo(),
    "many": dict.fromkeys(NAMES, b"the same"),
    "sub": Directory(entries={"deep": {"file": b"down here"}}, mtime_ns=10**18),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository with one snapshot of ``TREE``."""
    home = tmp_path_factory.mktemp("verified")
    make_tree(home / "source", TREE)
    scene = Scene(home).init()
    scene.backup(home / "source")
    return scene


@pytest.fixture
def source(saved: Scene, tmp_path: Path) -> Path:
    """A copy of the source, to be changed."""
    copy = tmp_path / "copy"
    shutil.copytree(saved.home / "source", copy, symlinks=True, copy_function=_copy, ignore=_ignore_pipe)
    os.mkfifo(copy / "pipe")
    for name in ("pipe", "."):
        shutil.copystat(saved.home / "source" / name, copy / name)
    os.unlink(copy / "second")
    os.link(copy / "first", copy / "second")
    return copy


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)


def _ignore_pipe(_directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "pipe"]


class Heard:
    """What an observer was told."""

    def __init__(self) -> None:
        self.found: list[Difference] = []
        self.problems: list[tuple[bytes, str]] = []

    def observer(self, **more: Any) -> VerifyObserver:
        return VerifyObserver(
            found=self.found.append, problem=lambda path, reason: self.problems.append((path, reason)), **more
        )

    def words(self) -> dict[str, str]:
        """Each path with what was said of it."""
        return {
            os.fsdecode(found.path): " ".join([found.kind, *found.fields, *([found.reason] if found.reason else [])])
            for found in self.found
        }


def verify(scene: Scene, source: Path, snapshot: str = "latest:/source", **options: Any) -> tuple[VerifyResult, Heard]:
    heard = Heard()
    given = VerifyOptions(source=os.fsencode(source), snapshot=snapshot, **options)
    return run_verify(scene.access(), given, heard.observer(), InlineEngine), heard


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each directory is cut after ten entries, as one with millions is after thousands."""
    monkeypatch.setattr(plan, "_NODES_A_PART", 10)
    monkeypatch.setattr(plan, "_NODES_A_TASK", 1)
    monkeypatch.setattr("argosy.restorer.tree_nodes._WHOLE_TREE_BYTES", 0)


def test_a_source_that_did_not_change_is_the_same(saved: Scene) -> None:
    result, heard = verify(saved, saved.home / "source")
    assert (heard.found, heard.problems, result.exit_code) == ([], [], 0)
    assert (result.files, result.directories, result.others) == (len(NAMES) + 8, 3, 2)
    assert result.size_bytes == sum(
        path.stat().st_size for path in (saved.home / "source").rglob("*") if path.is_file() and not path.is_symlink()
    )


def test_the_place_of_the_source_in_the_snapshot_is_found(saved: Scene, source: Path) -> None:
    assert verify(saved, saved.home / "source", "latest")[0].subpath == "/source"
    assert verify(saved, saved.home / "source" / "sub", "latest")[0].subpath == "/source/sub"
    result, heard = verify(saved, source, "latest")
    assert result.subpath == ""
    assert heard.words()["source"] == "missing_in_source"


@pytest.mark.usefixtures("in_small_parts")
def test_every_difference_is_named_with_what_differs(saved: Scene, source: Path) -> None:
    with open(source / "big", "r+b") as file:
        file.seek(2_900_000)
        file.write(b"other")
    os.utime(source / "big", ns=(0, os.stat(saved.home / "source" / "big").st_mtime_ns))
    (source / "first").write_bytes(b"longer than it was")
    (source / "empty").chmod(0o600)
    os.removexattr(source / "marked", "user.note")
    os.unlink(source / "link")
    os.symlink("elsewhere", source / "link")
    os.unlink(source / "pipe")
    (source / "pipe").write_bytes(b"")
    shutil.rmtree(source / "sub")
    make_tree(source / "new", {"a": {"b": b"", "c": b""}})
    make_tree(source, {"socket": Socket()})
    (source / "many" / "n07").unlink()
    (source / "many" / "n11a").write_bytes(b"")
    (source / ".snapshot").mkdir()
    result, heard = verify(saved, source, ignored=frozenset(("mtime",)))
    assert heard.words() == {
        "big": "changed content",
        "first": "changed size content",
        "second": "changed size content",
        "empty": "changed mode",
        "marked": "changed xattrs",
        "link": "changed target",
        "pipe": "changed type",
        "sub": "missing_in_source",
        "new": "missing_in_snapshot",
        "many/n07": "missing_in_source",
        "many/n11a": "missing_in_snapshot",
    }
    assert (result.exit_code, result.differences, result.below, result.passed_over) == (4, 11, 5, 2)
    assert [found.path for found in heard.found if found.silent] == [b"big"]
    assert result.silent == 1


@pytest.mark.usefixtures("in_small_parts")
def test_a_large_directory_in_parts_is_compared_whole(saved: Scene, source: Path) -> None:
    result, heard = verify(saved, source)
    assert (heard.found, result.exit_code, result.files) == ([], 0, len(NAMES) + 8)


def test_mtimes_and_what_is_ignored(saved: Scene, source: Path) -> None:
    os.utime(source / "empty", ns=(0, 5))
    assert verify(saved, source)[1].words() == {"empty": "changed mtime"}
    assert verify(saved, source, ignored=frozenset(("mtime",)))[0].exit_code == 0


def test_patterns_choose_what_is_compared(saved: Scene, source: Path) -> None:
    (source / "first").write_bytes(b"other")
    (source / "junk").write_bytes(b"")
    left_out = SelectionSpec(exclude=(b"/source/first", b"second", b"junk"))
    assert verify(saved, source, selection=left_out)[0].exit_code == 0
    result, heard = verify(saved, source, selection=SelectionSpec(include=(b"/source/sub/deep",)))
    assert (heard.found, result.files, result.directories) == ([], 1, 1)


def test_what_cannot_be_read_is_named_and_nothing_else_is_lost(
    saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, contents, "open_file", b"big", errno.EIO)
    _refuse(monkeypatch, worker, "open_below", b"sub/deep", errno.EACCES)
    result, heard = verify(saved, source)
    assert heard.words() == {"big": "unreadable Input/output error", "sub/deep": "unreadable Permission denied"}
    assert (result.exit_code, result.unreadable, result.differences) == (3, 2, 0)


def test_a_share_that_goes_away_is_no_difference(saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(monkeypatch, contents, "open_file", b"big", errno.ESTALE)
    with pytest.raises(SourceGone, match="went away"):
        verify(saved, source)


def test_a_source_that_was_exchanged_meanwhile_is_no_difference(
    saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exchange(reader: contents.ContentReader, *arguments: Any) -> contents.Comparison:
        if source.exists():
            source.rename(source.with_name("away"))
            source.mkdir()
        return compare(reader, *arguments)

    compare = contents.ContentReader.compare
    monkeypatch.setattr(contents.ContentReader, "compare", exchange)
    with pytest.raises(SourceGone, match="went away"):
        verify(saved, source)


def test_a_file_that_never_holds_still_is_told_as_such(
    saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_while_it_is_read(monkeypatch, source / "big", 99)
    result, heard = verify(saved, source)
    assert heard.words() == {"big": "changing"}
    assert (result.exit_code, result.changing) == (4, 1)


def test_a_file_that_holds_still_at_last_is_compared(
    saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_while_it_is_read(monkeypatch, source / "big", 2)
    assert verify(saved, source, ignored=frozenset(("mtime",)))[0].exit_code == 0


def test_work_that_fails_is_done_again_and_counted_once(
    saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(monkeypatch, 2)
    result, heard = verify(saved, source)
    assert (heard.found, result.exit_code, result.files) == ([], 0, len(NAMES) + 8)


def test_work_that_keeps_failing_ends_it(saved: Scene, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail(monkeypatch, 3)
    with pytest.raises(EngineError, match="failed 3 times: planted"):
        verify(saved, source)


def test_damage_in_the_repository_is_named_and_the_rest_compared(saved: Scene, source: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path / "damaged")
    scene.home.mkdir()
    copy_repository(saved.repository, scene.repository)
    ground = Ground(scene.repository, scene.open())
    flip_blob(ground, _tree_of(scene, "sub"))
    ground.replace_index(lambda packs: [pack for pack in packs if pack in ground.tree_packs])
    (source / "empty").write_bytes(b"no more")
    result, heard = verify(scene, source, ignored=frozenset(("mtime",)))
    lost = {path for path, reason in heard.problems if "is in no index" in reason}
    assert {b"line\nfeed", b"many/n07", b"big"} <= lost
    assert {path for path, _ in heard.problems} - lost == {b"sub"}
    assert heard.words() == {"empty": "changed size content"}
    assert (result.exit_code, result.problems) == (1, len(NAMES) + 6 + 1)


def test_nodes_that_make_no_sense_are_named_and_the_others_compared(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene").init()
    make_tree(tmp_path / "source", {"a": b"", "late": b"", "no mode": b"", "z": b""})
    nodes = [finish_file(node(name), []) for name in (b"a", b"late", b"no mode", b"z", b"../climbs", b"b")]
    nodes[1] = nodes[1].replace(b"2023-11-14", b"2023-13-14")
    nodes[2] = nodes[2].replace(b'"mode":420', b'"mode":"rw"')
    ground = Ground(scene.repository, scene.open())
    ground.save_snapshot_of(ground.store([encode_tree(nodes)])[0])
    result, heard = verify(scene, tmp_path / "source", "latest:", ignored=frozenset(("mode", "owner", "links")))
    assert sorted(path for path, _ in heard.problems) == [b"", b"", b"late", b"no mode"]
    assert {path: words for path, words in heard.words().items() if path in ("a", "z")} == {
        "a": "changed mtime",
        "z": "changed mtime",
    }
    assert (result.exit_code, result.problems) == (1, 4)


def test_a_report_proves_and_sha256sum_reads_it(saved: Scene, source: Path, tmp_path: Path) -> None:
    (source / "empty").write_bytes(b"no more")
    report = tmp_path / "report"
    verify(saved, source, report=os.fsencode(report), ignored=frozenset(("mtime",)))
    proved = run_check_report(saved.access(), os.fsencode(report))
    assert (proved.header["source"], proved.header["subpath"]) == (os.fspath(source), "/source")
    assert (proved.summary["differences"], proved.summary["files"]) == (1, len(NAMES) + 8)
    lines = report.read_bytes().split(b"\n")
    assert b"%b  big" % hashlib.sha256(BIG).hexdigest().encode() in lines
    assert b"\\%b  line\\nfeed" % hashlib.sha256(b"escaped").hexdigest().encode() in lines
    assert b"%b  bytes\xff" % hashlib.sha256(b"not UTF-8").hexdigest().encode() in lines
    assert not any(line.endswith(b"  empty") for line in lines)
    assert sorted(os.listdir(tmp_path)) == ["copy", "report"]
    with pytest.raises(UsageError, match="exists"):
        verify(saved, source, report=os.fsencode(report))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace(b"sub/deep/file", b"sub/deep/fi1e"), "changed after it was signed"),
        (lambda text: text.replace(b'"differences":0', b'"differences":1'), "changed after it was signed"),
        (lambda text: b"\n".join(text.split(b"\n")[:-2]) + b"\n", "no signature"),
        (lambda text: text + b"# more\n", "below its signature"),
        (lambda text: text.replace(b'"signature":"', b'"signature":"AA'), "signature does not hold"),
        (lambda text: text.replace(b'"public_key":"M', b'"public_key":"N'), "another key"),
        (lambda text: text.replace(b'# {"message_type":"sig', b'# {"message_type:"sig'), "no JSON"),
    ],
)
def test_a_report_that_was_changed_proves_nothing(
    report: bytes, saved: Scene, change: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    changed = tmp_path / "report"
    changed.write_bytes(change(report))
    assert changed.read_bytes() != report
    with pytest.raises(Damaged, match=reason):
        check_report(os.fsencode(changed), saved.open().key)


@pytest.fixture(scope="module")
def report(saved: Scene, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("report") / "report"
    verify(saved, saved.home / "source", report=os.fsencode(path))
    return path.read_bytes()


def test_a_report_gets_its_name_where_there_are_no_hard_links(
    saved: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    verify(saved, saved.home / "source", report=os.fsencode(tmp_path / "report"))
    assert os.listdir(tmp_path) == ["report"]
    run_check_report(saved.access(), os.fsencode(tmp_path / "report"))


def test_a_full_disk_is_told_and_leaves_no_report(
    saved: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def full(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".unfinished"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="cannot be written: No space left"):
        verify(saved, saved.home / "source", report=os.fsencode(tmp_path / "report"))
    assert os.listdir(tmp_path) == []


def test_a_source_behind_a_link_is_compared(saved: Scene, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(saved.home / "source")
    assert verify(saved, tmp_path / "link")[0].exit_code == 0


def test_a_report_of_another_repository_proves_nothing(report: bytes, tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(report)
    other = Scene(tmp_path / "other").init()
    with pytest.raises(Damaged, match="another key"):
        run_check_report(other.access(), os.fsencode(tmp_path / "report"))


def test_an_interrupted_comparison_leaves_no_report(saved: Scene, source: Path, tmp_path: Path) -> None:
    options = VerifyOptions(os.fsencode(source), "latest:/source", report=os.fsencode(tmp_path / "report"))
    with pytest.raises(Interrupted):
        run_verify(saved.access(), options, VerifyObserver(stop_requested=lambda: True), InlineEngine)
    assert os.listdir(tmp_path) == ["copy"]


def test_wrong_use_is_refused(saved: Scene, source: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceGone, match="cannot be read"):
        verify(saved, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="size cannot be ignored"):
        verify(saved, source, ignored=frozenset(("size",)))
    with pytest.raises(SnapshotMissing):
        verify(saved, source, "latest:/nowhere")
    with pytest.raises(UsageError, match="cannot be made"):
        verify(saved, source, report=os.fsencode(tmp_path / "no" / "report"))
    with pytest.raises(UsageError, match="lies in the directory"):
        verify(saved, source, report=os.fsencode(source / "sub" / "report"))
    with pytest.raises(UsageError, match="cannot be read"):
        run_check_report(saved.access(), os.fsencode(tmp_path / "no"))


def _refuse(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, name: bytes, number: int) -> None:
    """Have opening an entry fail."""
    original = getattr(module, function)

    def opening(dir_fd: int, opened: bytes) -> int:
        if opened == name:
            raise OSError(number, os.strerror(number))
        found: int = original(dir_fd, opened)
        return found

    monkeypatch.setattr(module, function, opening)


def _fail(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have the first comparisons of a file raise what nobody foresaw."""
    original = contents.ContentReader.compare
    left = [times]

    def compare(reader: contents.ContentReader, *arguments: Any) -> contents.Comparison:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("planted")
        return original(reader, *arguments)

    monkeypatch.setattr(contents.ContentReader, "compare", compare)


def _write_while_it_is_read(monkeypatch: pytest.MonkeyPatch, path: Path, times: int) -> None:
    """Have each of the first readings of the file find it changed at the end."""
    original = contents.ContentReader._digest
    left = [times]

    def digest(reader: contents.ContentReader, fd: int, found: os.stat_result, *arguments: Any) -> str | None:
        result = original(reader, fd, found, *arguments)
        if left[0] and os.path.samestat(found, os.stat(path)):
            left[0] -= 1
            os.utime(path, ns=(0, found.st_mtime_ns + 1))
        return result

    monkeypatch.setattr(contents.ContentReader, "_digest", digest)


def _tree_of(scene: Scene, name: str) -> bytes:
    """The id of the tree of a directory of the source."""
    with open_session(scene.access()) as session:
        reader = session.blob_reader(session.open_lookup())
        return find_subtree(reader, scene.snapshots()[-1].snapshot.tree, f"/source/{name}")
