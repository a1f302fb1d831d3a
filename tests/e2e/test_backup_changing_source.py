"""A source that changes while it is read, and entries that cannot be read (R8, R9)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.backups import Outcome, Scene, assert_restores, assert_sound
from tests.support.restic import require_restic
from tests.support.trees import Directory, File, HardLink, make_tree

MIB = 1 << 20
SEGMENTS = {
    "archiver.ledger.SEGMENT_BYTES": MIB,
    "archiver.directory_scan.SEGMENT_BYTES": MIB,
    "archiver.directory_filling.SEGMENT_BYTES": MIB,
    "archiver.batch_work.SEGMENT_BYTES": MIB,
    "archiver.big_files.SEGMENT_BYTES": MIB,
    "archiver.returning.SEGMENT_BYTES": MIB,
}


def disturbed(scene: Scene, source: Path, plans: dict[str, Any], **spec: Any) -> Outcome:
    """A backup during which these things happen to these files."""
    marks = scene.home / "marks"
    marks.mkdir(exist_ok=True)
    return scene.run(source, faults={"disturb": plans, "marks": str(marks)}, **spec)


def listed(scene: Scene) -> dict[str, str]:
    """Type by path of what the latest snapshot holds."""
    nodes = scene.restic(require_restic()).json_lines("ls", "latest")[1:]
    return {node["path"]: node["type"] for node in nodes}


def assert_entries_of_a_full_run(scene: Scene, source: Path, **spec: Any) -> None:
    """The latest snapshot has the entries that a full run saves, in every field.

    The directories themselves are as listed: what happened to a file moved their times afterwards.
    """
    at = scene.restic(require_restic())
    before = scene.snapshots()[-1].id.hex()
    full = scene.run(source, force=True, **spec)["snapshot"]
    ours, theirs = (
        [node for node in at.json_lines("ls", name)[1:] if node["path"] != "/source"] for name in (before, full)
    )
    assert before != full
    assert ours == theirs


def content(scene: Scene, path: str) -> bytes:
    """The bytes of a file of the latest snapshot, as restic reads them."""
    return scene.restic(require_restic()).run("dump", "latest", path).stdout


@pytest.fixture(params=["small", "large"])
def file_bytes(request: pytest.FixtureRequest) -> bytes:
    """The content of the file that is disturbed: one blob, or several chunks."""
    return b"0123456789" * 10 if request.param == "small" else os.urandom(3 * MIB)


@pytest.fixture
def source(tmp_path: Path, file_bytes: bytes) -> Path:
    make_tree(tmp_path / "source", {"a": b"a", "victim": file_bytes, "z": b"z"})
    return tmp_path / "source"


def test_a_file_that_vanishes_is_counted(scene: Scene, source: Path) -> None:
    """It is not there any more, so it is not in the snapshot, and nothing is unread."""
    outcome = disturbed(scene, source, {"victim": "vanish"})
    assert (outcome.returncode, outcome["counters"]["vanished"], outcome["unread"]) == (0, 1, 0)
    assert listed(scene) == {"/source": "dir", "/source/a": "file", "/source/z": "file"}
    assert_sound(scene, require_restic())


@pytest.mark.parametrize("plan", ["grow", "shrink", "empty"])
def test_a_file_that_changes_its_size_is_saved_as_it_was_read(scene: Scene, source: Path, plan: str) -> None:
    """The node's size is the number of bytes in the snapshot."""
    outcome = disturbed(scene, source, {"victim": plan})
    assert outcome.returncode == 0
    now = (source / "victim").read_bytes()
    assert content(scene, "/source/victim") == now
    nodes = scene.restic(require_restic()).json_lines("ls", "latest")[1:]
    assert next(node.get("size", 0) for node in nodes if node["name"] == "victim") == len(now)
    assert_sound(scene, require_restic((0, 18, 0)))
    # Its times are of before the change, so the next run reads it again and agrees with a full one.
    assert scene.backup(source).tree_id == scene.backup(source, force=True).tree_id


def test_a_file_replaced_by_another_is_looked_at_again(scene: Scene, source: Path) -> None:
    """Another inode goes back to the master, which queues what is there now: its own content with its own fields."""
    outcome = disturbed(scene, source, {"victim": "replace"})
    assert outcome.returncode == 0
    assert content(scene, "/source/victim") == b"the other file"
    assert_entries_of_a_full_run(scene, source)


def test_a_file_replaced_again_and_again_is_read_all_the_same(scene: Scene, source: Path) -> None:
    """After two returns whatever inode is there is read."""
    outcome = disturbed(scene, source, {"victim": ["replace", 9]})
    assert outcome.returncode == 0
    assert content(scene, "/source/victim") == b"the other file"


@pytest.mark.parametrize("batch_files", [1, 1024])
@pytest.mark.parametrize("plan", ["directory", "symlink"])
def test_a_file_replaced_by_something_else_becomes_that(
    scene: Scene, source: Path, plan: str, batch_files: int
) -> None:
    """A directory is scanned, even after the scan had ended; a link is saved as one."""
    outcome = disturbed(scene, source, {"victim": plan}, batch_files=batch_files)
    assert outcome.returncode == 0
    found = listed(scene)
    assert found["/source/victim"] == {"directory": "dir", "symlink": "symlink"}[plan]
    assert ("/source/victim/inner" in found) == (plan == "directory")
    assert_entries_of_a_full_run(scene, source)


def test_a_file_that_cannot_be_read_is_named_and_counted(scene: Scene, source: Path) -> None:
    """Exit code 3, the path and the reason; all else is saved. What one machine alone cannot read another tries."""
    outcome = disturbed(scene, source, {"victim": ["deny", 99]})
    assert (outcome.returncode, outcome["unread"]) == (3, 1)
    assert outcome["unread_entries"] == [[str(source / "victim"), "Permission denied"]]
    assert set(listed(scene)) == {"/source", "/source/a", "/source/z"}


def test_a_share_that_answers_badly_fails_the_attempt_and_not_the_file(scene: Scene, source: Path) -> None:
    """ESTALE once: the batch is tried again, nothing is missing."""
    outcome = disturbed(scene, source, {"victim": "stale"})
    assert (outcome.returncode, outcome["unread"]) == (0, 0)
    assert outcome.tree_id == scene.backup(source, force=True).tree_id.hex()


def test_a_file_that_always_answers_badly_is_named_in_the_end(scene: Scene, source: Path) -> None:
    """While the share as a whole stands, one file must not hold up the job: after three attempts it is unread."""
    outcome = disturbed(scene, source, {"victim": ["stale", 99]})
    assert (outcome.returncode, outcome["unread"]) == (3, 1)
    assert set(listed(scene)) == {"/source", "/source/a", "/source/z"}


def test_a_worker_that_dies_costs_nothing_but_its_batch(scene: Scene, source: Path) -> None:
    """SIGKILL of a worker in the midst of a file: another one takes the batch up, and the run ends well."""
    outcome = disturbed(scene, source, {"victim": "kill"}, pack_size_bytes=MIB)
    assert (outcome.returncode, outcome["resumed"]) == (0, False)
    assert outcome.tree_id == scene.backup(source, force=True).tree_id.hex()
    assert_sound(scene, require_restic())


class TestHardLinks:
    """Files with several names whose first name comes to nothing."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        make_tree(
            tmp_path / "source",
            {
                "d1": {"first": b"content"},
                "d2": {"second": HardLink("d1/first")},
                "d3": {"third": HardLink("d1/first")},
            },
        )
        return tmp_path / "source"

    @pytest.mark.parametrize("batch_files", [1, 1024])
    @pytest.mark.parametrize(("plan", "code"), [("vanish", 0), (["deny", 99], 3)], ids=["vanish", "deny"])
    def test_the_other_names_are_read_if_the_first_cannot_be(
        self, scene: Scene, source: Path, plan: Any, code: int, batch_files: int
    ) -> None:
        """Each of them keeps its content."""
        outcome = disturbed(scene, source, {"first": plan}, batch_files=batch_files, scan_threads=1)
        assert outcome.returncode == code
        assert content(scene, "/source/d2/second") == content(scene, "/source/d3/third") == b"content"
        assert "/source/d1/first" not in listed(scene)

    def test_a_first_name_that_is_replaced_does_not_lend_its_content(self, scene: Scene, source: Path) -> None:
        """The others keep what they have, the first has what is there now."""
        outcome = disturbed(scene, source, {"first": "replace"})
        assert outcome.returncode == 0
        assert content(scene, "/source/d1/first") == b"the other file"
        assert content(scene, "/source/d2/second") == content(scene, "/source/d3/third") == b"content"


class TestBigFiles:
    """Files above SEGMENT_BYTES, here 1 MiB, are read in segments by several workers."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        make_tree(
            tmp_path / "source",
            {
                "a": b"a",
                "exact": os.urandom(3 * MIB),
                "victim": File(os.urandom(5 * MIB + 77), mode=0o640, xattrs={"user.x": b"1"}),
                "z": {"below": os.urandom(MIB + 1), "not above": os.urandom(MIB)},
            },
        )
        return tmp_path / "source"

    def test_segments_give_the_whole_file(self, scene: Scene, source: Path) -> None:
        """Content, size, mode and attributes are right, and the tree does not depend on the workers."""
        outcome = scene.run(source, limits=SEGMENTS, workers=3)
        assert outcome["counters"]["total_files_processed"] == outcome["counters"]["files_new"] == 5
        assert_restores(scene, require_restic((0, 18, 0)), source)
        assert_sound(scene, require_restic())
        other = Scene(scene.home / "other").init_like(scene)
        assert other.run(source, limits=SEGMENTS, workers=1, batch_files=1).tree_id == outcome.tree_id
        again = scene.run(source, limits=SEGMENTS)
        assert (again.tree_id, again["counters"]["files_unmodified"]) == (outcome.tree_id, 5)

    @pytest.mark.parametrize("plan", ["grow", "shrink", "empty", "replace", "directory", "symlink"])
    def test_a_big_file_that_changes_is_read_again(self, scene: Scene, source: Path, plan: str) -> None:
        """Segments that do not agree are redone; the snapshot has the file as it is in the end."""
        outcome = disturbed(scene, source, {"victim": plan}, limits=SEGMENTS)
        assert (outcome.returncode, outcome["unread"]) == (0, 0)
        assert_entries_of_a_full_run(scene, source, limits=SEGMENTS)
        assert_sound(scene, require_restic())

    def test_a_big_file_that_keeps_changing_is_read_in_sequence(self, scene: Scene, source: Path) -> None:
        """After two more tries one worker reads it from start to end, and the log says so."""
        outcome = disturbed(scene, source, {"victim": ["grow", 40]}, limits=SEGMENTS)
        assert outcome.returncode == 0
        at = scene.restic(require_restic())
        node = next(node for node in at.json_lines("ls", "latest")[1:] if node["name"] == "victim")
        assert len(content(scene, "/source/victim")) == node["size"]
        assert_sound(scene, require_restic())
        assert any("kept changing" in text for text in outcome["log"])

    def test_a_big_file_that_vanishes_is_counted_once(self, scene: Scene, source: Path) -> None:
        """Though each of its segments meets its absence."""
        outcome = disturbed(scene, source, {"victim": "vanish"}, limits=SEGMENTS)
        assert (outcome.returncode, outcome["counters"]["vanished"]) == (0, 1)
        assert "/source/victim" not in listed(scene)

    def test_a_big_file_that_cannot_be_read_is_named_once(self, scene: Scene, source: Path) -> None:
        """Though each of its segments is refused."""
        outcome = disturbed(scene, source, {"victim": ["deny", 99]}, limits=SEGMENTS)
        assert (outcome.returncode, outcome["unread"]) == (3, 1)


class TestAsAnOrdinaryUser:
    """Files and directories that the modes keep from who runs the backup; root gives its rights away for it."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            pytest.skip("root can read everything, and there is no setpriv to give its rights away")
        make_tree(
            tmp_path / "source",
            {
                "closed": Directory({"hidden": b"x", "deeper": {"y": b"y"}}, mode=0),
                "names only": Directory({"seen": b"x"}, mode=0o400),
                "entry only": Directory({"unseen": b"x"}, mode=0o100),
                "readable": b"r",
                "secret": File(b"s", mode=0),
            },
        )
        return tmp_path / "source"

    @pytest.mark.parametrize("batch_files", [1, 1024])
    def test_what_is_not_allowed_is_named_and_the_rest_is_saved(
        self, scene: Scene, source: Path, batch_files: int
    ) -> None:
        """Each file and directory once, with the reason; exit code 3; the snapshot holds the rest."""
        outcome = scene.run(source, confined=True, batch_files=batch_files)
        assert outcome.returncode == 3
        unread = dict(outcome["unread_entries"])
        assert set(unread) == {str(source / name) for name in ("closed", "names only/seen", "entry only", "secret")}
        assert set(unread.values()) == {"Permission denied"}
        assert outcome["unread"] == 4
        assert set(listed(scene)) == {"/source", "/source/names only", "/source/readable"}
        assert_sound(scene, require_restic())

    def test_what_has_become_readable_is_saved_by_the_next_run(self, scene: Scene, source: Path) -> None:
        """Nothing of a failure sticks."""
        scene.run(source, confined=True)
        for path in ("closed", "names only", "entry only"):
            (source / path).chmod(0o755)
        (source / "secret").chmod(0o644)
        outcome = scene.run(source, confined=True)
        assert outcome.returncode == 0
        assert outcome.tree_id == scene.backup(source, force=True).tree_id.hex()
