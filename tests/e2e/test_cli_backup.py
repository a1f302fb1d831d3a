"""`argosy backup` and `argosy init` as users and scripts meet them: flags, documents, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from argosy.repository.layout import FileKind
from argosy.repository.repository import open_repository
from argosy.restic_format.times import format_time
from argosy.storage.open import open_storage
from tests.e2e.engines import Why
from tests.support.command import Argosy, decode_lines
from tests.support.machines import Machines
from tests.support.restic import PASSWORD, require_restic

CONTENT = {"a.txt": b"a", "b.tmp": b"b", "sub/c.TXT": b"c", "sub/.nobackup": b"", "big": bytes(3000)}


@pytest.fixture
def argosy(tmp_path: Path, machines: Machines) -> Argosy:
    """The program, with a repository."""
    made = Argosy(tmp_path, machines=machines)
    made.run("init")
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return fill(tmp_path / "source")


def fill(root: Path) -> Path:
    """A small tree."""
    for name, content in CONTENT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def summary(documents: Sequence[Any]) -> dict[str, Any]:
    """The last document, which is the summary."""
    last: dict[str, Any] = documents[-1]
    assert last["message_type"] == "summary"
    return last


def snapshots(argosy: Argosy) -> list[dict[str, Any]]:
    """The repository's snapshots as restic sees them, oldest first."""
    restic = require_restic().at(argosy.repository, argosy.home)
    (listed,) = restic.json_lines("snapshots")
    return sorted(listed, key=lambda snapshot: str(snapshot["time"]))


def names(argosy: Argosy) -> set[str]:
    """The names of the files in the latest snapshot, as restic lists them."""
    restic = require_restic().at(argosy.repository, argosy.home)
    return {node["name"] for node in restic.json_lines("ls", "latest")[1:] if node["type"] == "file"}


@pytest.mark.one_engine(Why.ANOTHER_VERB)
def test_init_says_what_it_made(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path)
    (document,) = argosy.documents("init")
    assert document["message_type"] == "initialized"
    assert document["repository"] == str(argosy.repository)
    config = require_restic().at(argosy.repository, tmp_path).run("cat", "config").stdout
    assert json.loads(config)["id"] == document["id"]


@pytest.mark.one_engine(Why.ANOTHER_VERB)
def test_init_refuses_what_is_there(argosy: Argosy) -> None:
    assert "already at" in argosy.says("init", expect=1)


def test_a_backup_ends_with_a_summary_and_a_snapshot(argosy: Argosy, source: Path) -> None:
    text = argosy.says("backup", source)
    assert "Files:           5 new,     0 changed,     0 unmodified" in text
    (snapshot,) = snapshots(argosy)
    assert f"snapshot {snapshot['short_id']} saved" in text
    assert snapshot["paths"] == [str(source)]
    require_restic().at(argosy.repository, argosy.home).check()


@pytest.mark.always_on_both
def test_the_summary_as_a_document_tells_of_the_same(argosy: Argosy, source: Path) -> None:
    document = summary(argosy.documents("backup", source.name))
    (snapshot,) = snapshots(argosy)
    assert document["snapshot_id"] == snapshot["id"]
    assert document["tree"] == snapshot["tree"]
    assert (document["files_new"], document["total_files_processed"]) == (5, 5)
    again = summary(argosy.documents("backup", source.name))
    assert (again["files_new"], again["files_unmodified"], again["data_added"]) == (0, 5, 0)
    assert again["parent"] == document["snapshot_id"]


def test_its_documents_have_every_field_of_restics(argosy: Argosy, source: Path) -> None:
    """Scripts made for restic find what they read: message types and fields of restic 0.18."""
    restic = require_restic((0, 18, 0)).at(argosy.home / "restics", argosy.home)
    restic.init()
    theirs = {document["message_type"]: document for document in restic.json_lines("backup", str(source))}
    ours = {document["message_type"]: document for document in argosy.documents("backup", source)}
    assert set(theirs) <= {"status", "summary"}
    assert set(theirs["summary"]) <= set(ours["summary"])
    same = ("files_new", "dirs_new", "data_blobs", "total_files_processed", "total_bytes_processed")
    assert [ours["summary"][name] for name in same] == [theirs["summary"][name] for name in same]
    # What is known only at the end, or of no use to a job that works on many files, is left out.
    optional = {"current_files", "total_files", "seconds_remaining"}
    assert set(theirs.get("status", {})) - optional <= set(ours["status"])


def test_the_flags_of_the_snapshot(argosy: Argosy, source: Path) -> None:
    argosy.run(
        "backup", "--tag", "a,b", "--tag", "c", "-H", "other", "--time", "2012-11-01 22:08:41", "-e", "*.tmp", source
    )
    (snapshot,) = snapshots(argosy)
    assert snapshot["tags"] == ["a", "b", "c"]
    assert snapshot["hostname"] == "other"
    assert str(snapshot["time"]).startswith("2012-11-01T22:08:41")
    assert snapshot["excludes"] == ["*.tmp"]


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        (["--exclude", "*.tmp"], {"b.tmp"}),
        (["--iexclude", "*.txt"], {"a.txt", "c.TXT"}),
        (["--exclude-file", "patterns"], {"b.tmp", "big"}),
        (["--iexclude-file", "insensitive"], {"a.txt", "c.TXT"}),
        (["--exclude-if-present", ".nobackup"], {"c.TXT"}),
        (["--exclude-larger-than", "2k"], {"big"}),
    ],
)
def test_the_flags_that_leave_out(argosy: Argosy, source: Path, flags: list[str], missing: set[str]) -> None:
    (argosy.home / "patterns").write_text("# comment\n*.tmp\nbig\n")
    (argosy.home / "insensitive").write_text("*.TXT\n")
    document = summary(argosy.documents("backup", *flags, source))
    assert names(argosy) == {Path(name).name for name in CONTENT} - missing
    assert document["excluded"] == len(missing)


def test_lists_of_files(argosy: Argosy, source: Path) -> None:
    (argosy.home / "raw").write_bytes(os.fsencode(source / "a.txt") + b"\0")
    (argosy.home / "patterns").write_text(f"{source}/*.tmp\n")
    argosy.run("backup", "--files-from-raw", "raw", "--files-from", "patterns", source / "big")
    assert names(argosy) == {"a.txt", "b.tmp", "big"}


def test_a_listed_file_that_is_gone_is_named_and_ends_in_exit_code_3(argosy: Argosy, source: Path) -> None:
    (argosy.home / "list").write_text(f"{source}/a.txt\n{source}/gone\n")
    assert f"{source}/gone" in argosy.says("backup", "--files-from-verbatim", "list", expect=3)
    assert names(argosy) == {"a.txt"}


def test_a_dry_run_writes_nothing(argosy: Argosy, source: Path) -> None:
    before = sorted(argosy.repository.rglob("*"))
    document = summary(argosy.documents("backup", "--dry-run", source))
    assert document["dry_run"]
    assert "snapshot_id" not in document
    assert document["files_new"] == 5
    assert sorted(argosy.repository.rglob("*")) == before
    assert not (argosy.state / "history.sqlite").exists()


def test_skip_if_unchanged(argosy: Argosy, source: Path) -> None:
    # Named from here: then the tree holds no directory above it, which our own state changes.
    argosy.run("backup", source.name, cwd=source.parent)
    assert "nothing has changed" in argosy.says("backup", "--skip-if-unchanged", source.name, cwd=source.parent)
    assert len(snapshots(argosy)) == 1


def test_a_storage_snapshot_is_saved_under_the_shares_name(argosy: Argosy, source: Path) -> None:
    frozen = fill(source / ".snapshot" / "hourly")
    argosy.run("backup", "--as", "/mnt/nas", frozen)
    (snapshot,) = snapshots(argosy)
    assert snapshot["paths"] == ["/mnt/nas"]
    assert names(argosy) == {Path(name).name for name in CONTENT}


def test_storage_snapshots_are_skipped_and_counted(argosy: Argosy, source: Path) -> None:
    fill(source / ".snapshot" / "hourly")
    assert "skipped: 1 storage snapshot directory" in argosy.says("backup", source)
    assert len(names(argosy)) == len(CONTENT)


def test_quiet_means_quiet(argosy: Argosy, source: Path) -> None:
    assert argosy.says("backup", "-q", source) == ""


def test_global_flags_stand_before_the_verb_too(argosy: Argosy, source: Path) -> None:
    elsewhere = argosy.home / "elsewhere"
    argosy.run("-r", elsewhere, "init")
    argosy.run("-r", elsewhere, "--compression", "max", "backup", source)
    assert list((elsewhere / "snapshots").iterdir())


@pytest.mark.one_engine(Why.THIS_STATE)
def test_the_programs_own_state_is_not_backed_up(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path / "home")
    fill(argosy.home)
    argosy.run("init", "-r", tmp_path / "repository")
    argosy.run("backup", "-r", tmp_path / "repository", argosy.home)
    restic = require_restic().at(tmp_path / "repository", tmp_path)
    listed = {Path(node["path"]).name for node in restic.json_lines("ls", "latest")[1:]}
    assert set(CONTENT) - {"sub/c.TXT", "sub/.nobackup"} <= listed
    assert not {"state", "jobs", "cache"} & listed


# -- exit codes -------------------------------------------------------------------------------------------------


def remove(_argosy: Argosy, source: Path) -> list[str | Path]:
    shutil.rmtree(source)
    return ["backup", source]


def empty(_argosy: Argosy, source: Path) -> list[str | Path]:
    shutil.rmtree(source)
    source.mkdir()
    return ["backup", source]


FAILURES: list[tuple[str, Callable[[Argosy, Path], list[str | Path]], int, str]] = [
    ("nothing named", lambda _a, _s: ["backup"], 1, "nothing to back up"),
    ("nonsense flag", lambda _a, s: ["backup", "--nonsense", s], 1, "--nonsense"),
    ("nonsense value", lambda _a, s: ["backup", "--resume-within", "soon", s], 1, "soon"),
    ("nonsense pattern", lambda _a, s: ["backup", "-e", "[", s], 1, "["),
    ("source gone", remove, 1, "source"),
    ("source empty", empty, 1, "--allow-shrink"),
    ("no parent", lambda _a, s: ["backup", "--parent", "abcdef", s], 1, "abcdef"),
    ("no repository", lambda a, s: ["backup", "-r", a.home / "nowhere", s], 10, "argosy init"),
]


@pytest.mark.always_on_both
@pytest.mark.parametrize(
    ("arrange", "code", "words"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_failures_are_clear_and_have_their_exit_code(
    arrange: Callable[[Argosy, Path], list[str | Path]], code: int, words: str, argosy: Argosy, source: Path
) -> None:
    arguments = arrange(argosy, source)
    said = argosy.says(*arguments, expect=code)
    assert said.startswith("Fatal: ")
    assert words in said
    (document,) = decode_lines(argosy.run(*arguments, "--json", expect=code).stderr)
    assert document["message_type"] == "exit_error"
    assert document["code"] == code


def test_a_wrong_password_is_exit_code_12(argosy: Argosy, source: Path) -> None:
    wrong = replace(argosy, password="wrong")
    assert "password" in wrong.says("backup", source, expect=12)


def test_a_locked_repository_is_exit_code_11_unless_it_is_waited_for(argosy: Argosy, source: Path) -> None:
    """restic's own exclusive lock, as prune takes it."""
    restic = require_restic().at(argosy.repository, argosy.home)
    argosy.run("backup", source)
    lock = exclusive_lock(restic.location)
    assert "lock" in argosy.says("backup", source, expect=11)
    with argosy.started("backup", "--retry-lock", "5m", source) as waiting:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
        lock.unlink()
        assert waiting.wait(timeout=60) == 0


def exclusive_lock(location: str) -> Path:
    """An exclusive lock of another machine in the repository; returns its file."""

    repository = open_repository(open_storage(location), PASSWORD.encode())
    document = {
        "time": format_time(time.time_ns()),
        "exclusive": True,
        "hostname": "elsewhere",
        "username": "u",
        "pid": 7,
    }
    identity = repository.save_unpacked(FileKind.LOCK, json.dumps(document).encode())
    return Path(location) / "locks" / identity.hex()


@pytest.mark.one_engine(Why.THIS_USER)
def test_unreadable_files_are_named_counted_and_exit_code_3(argosy: Argosy, source: Path) -> None:
    (source / "a.txt").chmod(0)
    (source / "sub").chmod(0)
    done = subprocess.run(
        without_root(argosy.command("backup", "--json", source)),
        env=argosy.variables(),
        capture_output=True,
        check=False,
        timeout=100,
    )
    (source / "sub").chmod(0o700)
    assert done.returncode == 3, done.stderr.decode()
    errors = decode_lines(done.stderr)
    assert {error["item"] for error in errors if error["message_type"] == "error"} == {
        str(source / "a.txt"),
        str(source / "sub"),
    }
    assert errors[-1] == {
        "message_type": "exit_error",
        "code": 3,
        "message": "Warning: at least one source file could not be read",
    }
    document = summary(decode_lines(done.stdout))
    assert document["unread"] == 2
    assert names(argosy) == {"b.tmp", "big"}
    job = argosy.says("jobs", document["job_id"])
    assert str(source / "a.txt") in job
    assert "Permission denied" in job


def without_root(command: Sequence[str | bytes | Path]) -> list[str | bytes | Path]:
    """The command without root's right to read everything."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]


# -- --init -----------------------------------------------------------------------------------------------------


@pytest.mark.always_on_both
def test_backup_with_init_makes_a_repository_once(tmp_path: Path, machines: Machines, source: Path) -> None:
    argosy = Argosy(tmp_path, machines=machines)
    assert "created repository" in argosy.says("backup", "--init", source)
    assert "created repository" not in argosy.says("backup", "--init", source)
    assert len(snapshots(argosy)) == 2


def test_backup_with_init_makes_none_where_one_was(argosy: Argosy, source: Path) -> None:
    """The disk of the repository is not mounted: exit code 10, and nothing is made in the mount point (R8)."""
    argosy.run("backup", source)
    argosy.repository.rename(argosy.home / "unmounted")
    assert "Is the disk mounted" in argosy.says("backup", "--init", source, expect=10)
    assert not argosy.repository.exists()
    (argosy.home / "unmounted").rename(argosy.repository)
    argosy.run("backup", "--init", source)


def test_a_dry_run_with_init_makes_none(tmp_path: Path, machines: Machines, source: Path) -> None:
    argosy = Argosy(tmp_path, machines=machines)
    assert summary(argosy.documents("backup", "--init", "--dry-run", source))["files_new"] == 5
    assert not argosy.repository.exists()
