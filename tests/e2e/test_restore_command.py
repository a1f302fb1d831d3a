"""`argosy restore` as users and scripts meet it: words, documents, exit codes, refusals."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy, decode_lines
from tests.support.machines import Machines
from tests.support.restic import require_restic
from tests.support.trees import File, HardLink, Symlink, assert_same_tree, make_tree, snapshot_tree

SAVED: dict[str, Any] = {
    "a": b"a" * 2000,
    "b": b"",
    "dir": {"c": b"c", "d.TXT": b"d", "more": HardLink("a")},
    "link": Symlink("a"),
    "wrong": File(b"saved", mtime_ns=5),
}
FOUND: dict[str, Any] = {"a": b"a" * 2000, "wrong": b"other", "extra": {"inside": b"x"}}


@pytest.fixture
def argosy(tmp_path: Path, machines: Machines) -> Argosy:
    """The program, with a snapshot of ``source``."""
    made = Argosy(tmp_path, machines=machines)
    make_tree(tmp_path / "source", SAVED)
    made.run("init")
    made.run("backup", "source", "--host", "first")
    return made


@pytest.mark.always_on_both
def test_it_says_what_it_restores_and_what_it_did(argosy: Argosy) -> None:
    said = argosy.says("restore", "latest", "--target", "out", "--verify").splitlines()
    assert re.fullmatch(r"restoring snapshot [0-9a-f]{8} of \[.*/source\] at .* by \w+@first to out", said[0])
    assert said[1] == "verifying files in out"
    assert said[2].startswith("Summary: Restored 9 files/dirs (1.960 KiB) in 0:0")
    assert said[3].startswith("finished verifying 5 files in out (took 0:0")
    assert_same_tree(argosy.home / "source", argosy.home / "out/source")
    said = argosy.says("restore", "latest", "-t", "out").splitlines()
    assert said[-1].endswith(", skipped 5 files/dirs 1.960 KiB")
    assert argosy.says("restore", "latest", "-t", "out", "-q") == ""


@pytest.mark.parametrize("flags", [(), ("--dry-run",), ("--dry-run", "--delete"), ("--delete",)], ids=str)
def test_documents_are_restics(argosy: Argosy, flags: tuple[str, ...]) -> None:
    """Every entry with the same action and size, and the same sums, as restic 0.18 says of the same scene."""
    theirs = require_restic((0, 18, 0)).at(argosy.repository, argosy.home)
    heard: list[list[dict[str, Any]]] = []
    for name in ("by restic", "by argosy"):
        target = argosy.home / name
        make_tree(target / "source", FOUND)
        words: tuple[str | Path, ...] = ("restore", "latest", "--target", target, "-vv", *flags)
        documents = theirs.json_lines(*words) if name == "by restic" else argosy.documents(*words)
        text = json.dumps([document for document in documents if document["message_type"] != "status"])
        heard.append(json.loads(text.replace(str(target), "TARGET")))
    (*their_items, their_summary), (*our_items, our_summary) = heard
    assert sorted(map(str, our_items)) == sorted(map(str, their_items))
    ours_added = {"error_count", "snapshot_id", "seconds_elapsed"}
    assert {k: v for k, v in our_summary.items() if k not in ours_added} == their_summary
    trees = [snapshot_tree(argosy.home / name) for name in ("by restic", "by argosy")]
    assert trees[0].keys() == trees[1].keys()


def test_entries_are_listed_with_two_v(argosy: Argosy) -> None:
    make_tree(argosy.home / "out/source", FOUND)
    said = argosy.says("restore", "latest:source", "-t", "out/source", "-vv", "--delete").splitlines()
    out = argosy.home / "out/source"
    assert sorted(said[1:-1]) == [
        f"deleted   {out}/extra",
        f"deleted   {out}/extra/inside",
        "restored  /b with size 0 B",
        "restored  /dir",
        "restored  /dir/c with size 1 B",
        "restored  /dir/d.TXT with size 1 B",
        "restored  /dir/more",
        "restored  /link",
        "unchanged /a with size 1.953 KiB",
        "updated   /wrong with size 5 B",
    ]
    assert said[0].endswith(", its part source, to out/source")
    assert said[-1].endswith(", deleted 2 files/dirs")


def test_status_documents_come_while_it_runs(argosy: Argosy) -> None:
    documents = argosy.documents("restore", "latest", "--target", "out")
    status = [document for document in documents if document["message_type"] == "status"]
    assert status
    assert {"percent_done", "total_files", "total_bytes"} <= status[-1].keys()
    assert argosy.documents("restore", "latest", "--target", "out", "-q")[-1]["message_type"] == "summary"


@pytest.mark.always_on_both
def test_an_entry_that_fails_is_named_and_the_exit_code_is_1(argosy: Argosy) -> None:
    make_tree(argosy.home / "out/source/a", {"inside": b"x"})
    done = argosy.run("restore", "latest", "--target", "out", expect=1)
    said = done.stderr.decode().splitlines()
    assert said[0] == "error: /source/a: Directory not empty"
    assert said[1:] == ["Fatal: There was 1 error", "Each is named above. Everything else was restored."]
    assert b"Summary: Restored 8 / 9 files/dirs" in done.stdout
    done = argosy.run("restore", "latest", "--target", "out", "--json", expect=1)
    error, fatal = decode_lines(done.stderr)
    assert error == {
        "message_type": "error",
        "error": {"message": "Directory not empty"},
        "during": "restore",
        "item": "/source/a",
    }
    assert (fatal["message_type"], fatal["code"]) == ("exit_error", 1)
    assert decode_lines(done.stdout)[-1]["error_count"] == 1


def test_latest_is_chosen_by_host_tag_and_path(argosy: Argosy) -> None:
    (argosy.home / "source/a").write_bytes(b"later")
    argosy.run("backup", "source", "--host", "second", "--tag", "later")
    for flags, wanted in (
        (("--host", "first"), 2000),
        (("--tag", "later"), 5),
        ((), 5),
        (("--path", "/nowhere"), None),
    ):
        target = argosy.home / str(flags)
        argosy.run("restore", "latest", "--target", target, *flags, expect=0 if wanted else 1)
        assert wanted is None or (target / "source/a").stat().st_size == wanted


def test_patterns_come_from_files_too(argosy: Argosy) -> None:
    """With comments, variables and standard input, as restic reads them."""
    (argosy.home / "list").write_text("# comment\n\n /source/$WHAT \n")
    chosen = replace(argosy, environment={"WHAT": "dir"})
    chosen.run("restore", "latest", "-t", "out", "--include-file", "list", "--iinclude-file", "-", given=b"LINK\n")
    assert sorted(os.listdir(argosy.home / "out/source")) == ["dir", "link"]
    chosen.run("restore", "latest", "-t", "rest", "--exclude-file", "list", "-e", "a")
    assert sorted(os.listdir(argosy.home / "rest/source")) == ["b", "link", "wrong"]
    argosy.run("restore", "latest", "-t", "most", "--iexclude", "*.txt", "--iexclude-file", "-", given=b"WRONG")
    assert sorted(os.listdir(argosy.home / "most/source")) == ["a", "b", "dir", "link"]
    assert sorted(os.listdir(argosy.home / "most/source/dir")) == ["c", "more"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("latest",), "please specify a directory to restore to (--target)"),
        (("latest", "-t", ""), "please specify a directory to restore to (--target)"),
        ((), "Missing argument 'SNAPSHOT'"),
        (("latest", "-t", "out", "-i", "a", "-e", "b"), "exclude and include patterns are mutually exclusive"),
        (
            ("latest", "-t", "out", "--include-xattr", "a", "--exclude-xattr", "b"),
            "xattr patterns are mutually exclusive",
        ),
        (("latest", "-t", "out", "--dry-run", "--verify"), "--dry-run and --verify are mutually exclusive"),
        (("latest", "-t", "/", "--delete"), "must be combined with an include or exclude filter"),
        (("latest", "-t", "out", "--overwrite", "sometimes"), "'sometimes' is not one of"),
        (("latest", "-t", "out", "-i", "[a"), "invalid patterns: '[a'"),
        (("latest", "-t", "repository/data"), "lies in the repository"),
        (("latest", "-t", "source/a"), "cannot write to the target"),
        (("ffff", "-t", "out"), "snapshot ffff does not exist"),
        (("latest:/source/a", "-t", "out"), "the snapshot has no directory /source/a"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    argosy: Argosy, words: tuple[str, ...], reason: str
) -> None:
    before = snapshot_tree(argosy.home / "source")
    said = argosy.says("restore", *words, expect=1)
    assert reason in said
    assert not (argosy.home / "out").exists()
    assert snapshot_tree(argosy.home / "source") == before


def test_exit_codes_tell_what_is_wrong_with_the_repository(argosy: Argosy) -> None:
    argosy.run("restore", "latest", "-t", "out", "-r", "nowhere", expect=10)
    replace(argosy, password="wrong").run("restore", "latest", "-t", "out", expect=12)
    assert not (argosy.home / "out").exists()


def test_a_dry_run_makes_nothing_at_all(argosy: Argosy) -> None:
    said = argosy.says("restore", "latest", "-t", "new/out", "--dry-run", "-vv")
    assert "restored  /source/a with size 1.953 KiB" in said
    assert not (argosy.home / "new").exists()


def test_a_lock_is_held_meanwhile_unless_not_wanted(argosy: Argosy) -> None:
    """An exclusive lock of another process keeps a restore away; --no-lock does not ask."""
    restic = require_restic().at(argosy.repository, argosy.home)
    with restic.locked():
        argosy.run("restore", "latest", "-t", "out")
    argosy.repository.joinpath("locks").chmod(0o500)
    argosy.run("restore", "latest", "-t", "out", "--no-lock")
    assert list((argosy.repository / "locks").iterdir()) == []
