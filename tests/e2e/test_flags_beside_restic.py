"""Flags that no other comparison gives: to Argosy and to restic 0.18, on the same repository or on two copies of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy
from tests.support.compared import HOSTS, Compared, make_key_cheap
from tests.support.restic import PASSWORD, ResticRepository
from tests.support.trees import assert_same_tree

OLDEST = ("--host", HOSTS[0], "--tag", "a")
"""Of the four snapshots the first."""


class Pair:
    """Both programs, each with a repository of its own in a folder of its own."""

    def __init__(self, compared: Compared, place: Path, *, copied: bool) -> None:
        self.ours = Argosy(place / "argosy")
        self.theirs = compared.model.restic.at(place / "restic" / "repository", place / "restic")
        for repository in (self.ours.repository, Path(self.theirs.location)):
            repository.parent.mkdir(parents=True)
            if copied:
                shutil.copytree(compared.argosy.repository, repository)

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> None:
        """The same arguments for both."""
        self.ours.run(*arguments, cwd=cwd)
        self.theirs.run(*arguments, cwd=cwd)

    def snapshots(self) -> list[list[dict[str, Any]]]:
        """What stands in the snapshots of both, without what differs from run to run."""
        return [
            [{key: snapshot.get(key) for key in ("hostname", "paths", "tags", "tree")} for snapshot in listed]
            for listed in (self.ours.documents("snapshots")[0], self.theirs.json_lines("snapshots")[0])
        ]

    def assert_same_snapshots(self) -> None:
        ours, theirs = self.snapshots()
        assert ours == theirs


@pytest.fixture
def copies(compared: Compared, tmp_path: Path) -> Pair:
    """Two copies of the repository that restic wrote."""
    return Pair(compared, tmp_path, copied=True)


@pytest.fixture
def fresh(compared: Compared, tmp_path: Path) -> Pair:
    """Two repositories without a snapshot."""
    pair = Pair(compared, tmp_path, copied=False)
    pair.run("init", "--repository-version", "2")
    for location in (str(pair.ours.repository), pair.theirs.location):
        make_key_cheap(location)
    return pair


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", "latest", "--tag", "a"),
        ("ls", "latest", "--path", "{source}"),
        ("ls", "latest", "--host", "beta", "--path", "{source}/sub"),
        ("find", "x", "--path", "{source}"),
        ("find", "PLAIN*", "--ignore-case"),
        ("find", "sub", "--reverse"),
        ("find", "*", "--oldest", "2020-09-13 12:26:50"),
        ("stats", "--path", "{source}", "--mode", "restore-size"),
        ("dump", "--host", "alpha", "latest", "{source}/plain.txt"),
        ("dump", "--tag", "a", "latest", "{source}/plain.txt"),
        ("dump", "--path", "{source}", "latest", "{source}/sub/text.md"),
        ("snapshots", "--latest", "1", "--path", "{source}"),
    ],
    ids=lambda arguments: " ".join(arguments).replace("{source}", "SOURCE"),
)
def test_what_is_read_and_printed(compared: Compared, arguments: tuple[str, ...]) -> None:
    given = [word.format(source=compared.source) for word in arguments]
    assert compared.argosy.run(*given).stdout
    compared.assert_same_output(*given)


@pytest.mark.parametrize("archive", ["tar", "zip"])
def test_a_dump_to_a_file(compared: Compared, tmp_path: Path, archive: str) -> None:
    for run, name in _both(compared):
        run("dump", "--archive", archive, "--target", tmp_path / name, *OLDEST, "latest", f"{compared.source}/sub")
    names = [_names_in(tmp_path / name, tmp_path / f"{name} unpacked", archive) for name in ("ours", "theirs")]
    assert names[0] == names[1] != []


def _both(compared: Compared) -> list[tuple[Callable[..., Any], str]]:
    return [(compared.argosy.run, "ours"), (compared.model.run, "theirs")]


def _names_in(file: Path, into: Path, archive: str) -> list[str]:
    # Names as they are unpacked: the two write long ones in other ways.
    if archive == "tar":
        # Python's own way warns without a filter, which it knows from 3.11.4 on.
        into.mkdir()
        subprocess.run(["tar", "-xf", file, "-C", into], check=True)
    else:
        shutil.unpack_archive(file, into, archive)
    return sorted(os.fsencode(path.relative_to(into)).hex() for path in into.rglob("*"))


@pytest.mark.parametrize(
    "flags",
    [
        ("--password-file", "{password}"),
        ("--password-command", "cat {password}"),
        ("--key-hint", "{key}"),
        ("--no-lock",),
        ("--retry-lock", "1s"),
        ("--cache-dir", "{home}/another cache"),
        ("--limit-download", "100000"),
        ("--limit-upload", "100000"),
        ("-o", "s3.region=nowhere"),
        ("--option", "s3.connections=3"),
        ("--quiet",),
        ("--verbose",),
    ],
    ids=lambda flags: flags[0],
)
def test_global_flags_change_nothing_of_the_answer(compared: Compared, tmp_path: Path, flags: tuple[str, ...]) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    (key,) = compared.argosy.run("list", "keys").stdout.decode().split()
    given = [word.format(password=password, key=key[:8], home=tmp_path) for word in flags]
    compared.assert_same_output("list", "snapshots", *given)
    assert sorted(compared.argosy.run("list", "snapshots", *given).stdout.decode().split()) == sorted(
        compared.snapshot_ids()
    )


def test_a_repository_named_in_a_file(compared: Compared, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.write_text(f"{compared.argosy.repository}\n")
    ours = Argosy(compared.home, environment={"ARGOSY_REPOSITORY": ""})
    listed = ours.run("list", "snapshots", "--repository-file", named).stdout.decode().split()
    assert sorted(listed) == sorted(compared.snapshot_ids())


@pytest.mark.parametrize(
    "flags",
    [
        ("--include", "*.md"),
        ("--iinclude", "*.MD"),
        ("--include-file", "{patterns}"),
        ("--iinclude-file", "{patterns}"),
        ("--exclude", "*.md"),
        ("--iexclude", "*.MD"),
        ("--exclude-file", "{patterns}"),
        ("--iexclude-file", "{patterns}"),
        ("--exclude-xattr", "user.*"),
        ("--include-xattr", "user.argosy"),
        ("--sparse",),
        ("--verify",),
        ("--dry-run",),
        ("--host", "beta"),
        ("--tag", "b"),
        ("--path", "{source}"),
    ],
    ids=lambda flags: flags[0],
)
def test_a_restore_gives_the_same(compared: Compared, tmp_path: Path, flags: tuple[str, ...]) -> None:
    patterns = tmp_path / "patterns"
    patterns.write_text("# a comment\n*.md\n/**/deepest\n")
    given = [word.format(patterns=patterns, source=compared.source) for word in flags]
    for run, name in _both(compared):
        (tmp_path / name).mkdir()
        run("restore", "latest", "--target", tmp_path / name, *given)
    assert_same_tree(tmp_path / "theirs", tmp_path / "ours", ignore=_IGNORED)


@pytest.mark.parametrize("overwrite", ["always", "if-changed", "if-newer", "never"])
@pytest.mark.parametrize("delete", [(), ("--delete",)], ids=["", "delete"])
def test_a_restore_over_what_is_there(
    compared: Compared, tmp_path: Path, overwrite: str, delete: tuple[str, ...]
) -> None:
    for run, name in _both(compared):
        target = tmp_path / name
        run("restore", f"latest:{compared.source}", "--target", target, *OLDEST)
        (target / "plain.txt").write_bytes(b"other")
        (target / "sub" / "text.md").write_bytes(b"newer")
        (target / "sub" / "not in the snapshot").write_bytes(b"mine")
        os.utime(target / "plain.txt", (1_000_000_000, 1_000_000_000))
        os.utime(target / "sub" / "text.md", (1_900_000_000, 1_900_000_000))
        os.utime(target / "sub" / "not in the snapshot", (1_800_000_000, 1_800_000_000))
        run("restore", f"latest:{compared.source}", "--target", target, "--overwrite", overwrite, *delete, *OLDEST)
    assert_same_tree(tmp_path / "theirs", tmp_path / "ours", ignore=_IGNORED)


# What restic does not give back, or only some versions do.
_IGNORED = frozenset({"links"})

BACKUPS: list[tuple[str, ...]] = [
    ("--files-from", "{list}"),
    ("--files-from-verbatim", "{list}"),
    ("--files-from-raw", "{raw}"),
    (".", "--one-file-system"),
    (".", "--no-scan"),
    (".", "--read-concurrency", "3"),
    (".", "--time", "2020-02-02 02:02:02"),
    (".", "--host", "elsewhere", "--tag", "x,y"),
    (".", "--force"),
    (".", "--ignore-inode"),
    (".", "--ignore-ctime"),
    (".", "--parent", "latest"),
    (".", "--skip-if-unchanged"),
    (".", "--dry-run"),
    (".", "--compression", "max"),
    (".", "--pack-size", "8"),
    (".", "--no-extra-verify"),
]


@pytest.mark.parametrize("flags", BACKUPS, ids=lambda flags: " ".join(flags).replace(".", "SOURCE"))
def test_a_backup_makes_the_same_snapshots(fresh: Pair, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Trees, paths, hosts and tags are the same: of files of up to 512 KiB the ids of all trees are restic's."""
    source = tmp_path / "source"
    _make_small_source(source)
    (tmp_path / "list").write_text("a\nsub\n")
    (tmp_path / "raw").write_bytes(b"a\0sub\0")
    # Named from within: the directories above, whose times change with other tests, are no part of it.
    fresh.run("backup", ".", cwd=source)
    _change(source)
    fresh.run("backup", *(word.format(list=tmp_path / "list", raw=tmp_path / "raw") for word in flags), cwd=source)
    fresh.assert_same_snapshots()


def test_access_times_are_kept_where_they_are_asked_for(fresh: Pair, tmp_path: Path) -> None:
    """Each run's own reading moves nothing: both open files without that."""
    source = tmp_path / "source"
    _make_small_source(source)
    os.utime(source / "a", (1_300_000_000, 1_500_000_000))
    for run in (fresh.ours.run, fresh.theirs.run):
        run("backup", "--with-atime", source / "a")
        nodes = [json.loads(line) for line in run("ls", "latest", "--json").stdout.splitlines()[1:]]
        assert [node["atime"] for node in nodes if node["type"] == "file"] == ["2011-03-13T07:06:40Z"]


def test_a_backup_of_a_stream(fresh: Pair) -> None:
    """By restic's words for it; the file's time is that of the run."""
    fresh.run("backup", "--stdin-filename", "said", "--stdin-from-command", "--", "echo", "a word")
    for run in (fresh.ours.run, fresh.theirs.run):
        assert run("dump", "latest", "/said").stdout == b"a word\n"
    ours, theirs = fresh.snapshots()
    assert [snapshot["paths"] for snapshot in ours] == [snapshot["paths"] for snapshot in theirs]


def _make_small_source(source: Path) -> None:
    (source / "sub" / "deeper").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "sub/c", "sub/deeper/d")):
        (source / name).write_bytes(name.encode() * 1000)
        os.utime(source / name, (1_500_000_000 + number, 1_500_000_000 + number))
    for directory in (source / "sub" / "deeper", source / "sub", source):
        os.utime(directory, (1_400_000_000, 1_400_000_000))


def _change(source: Path) -> None:
    (source / "sub" / "c").write_bytes(b"changed")
    os.utime(source / "sub" / "c", (1_600_000_000, 1_600_000_000))


def test_a_subset_and_the_cache_of_a_check(compared: Compared) -> None:
    for flags in (("--read-data-subset", "1/2"), ("--read-data-subset", "50%"), ("--with-cache",)):
        for run in (compared.argosy.run, compared.model.run):
            assert b"no errors were found" in run("check", *flags).stdout.lower()


@pytest.mark.parametrize("flags", [("--tag", "b"), ("--path", "{source}"), ("--host", "beta", "--tag", "with space")])
def test_a_copy_takes_the_same_snapshots(
    compared: Compared, fresh: Pair, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """The source by its file, its password by a command, its key by a hint."""
    (tmp_path / "from").write_text(f"{compared.argosy.repository}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (key,) = compared.argosy.run("list", "keys").stdout.decode().split()
    whence = ("--from-repository-file", tmp_path / "from", "--from-password-command", f"cat {tmp_path / 'password'}")
    given = [word.format(source=compared.source) for word in flags]
    fresh.run("copy", *whence, "--from-key-hint", key[:8], *given)
    assert all(fresh.snapshots())
    fresh.assert_same_snapshots()


@pytest.mark.parametrize(
    "flags",
    [
        ("--max-unused", "0"),
        ("--max-unused", "unlimited"),
        ("--max-repack-size", "1"),
        ("--repack-cacheable-only",),
        ("--repack-small",),
        ("--repack-uncompressed",),
        ("--repack-smaller-than", "1M"),
    ],
    ids=" ".join,
)
def test_a_forget_that_prunes_leaves_the_same(copies: Pair, flags: tuple[str, ...]) -> None:
    """The same snapshots, and in both repositories all that they need."""
    copies.run("forget", "--keep-last", "1", "--prune", *flags)
    copies.assert_same_snapshots()
    for location in (copies.ours.repository, copies.theirs.location):
        _restic_at(copies, location).run("check", "--read-data")
    if flags == ("--max-unused", "0"):
        assert _blobs(copies, copies.ours.repository) == _blobs(copies, copies.theirs.location)


def _restic_at(copies: Pair, location: Path | str) -> ResticRepository:
    return copies.theirs.restic.at(location, copies.theirs.home)


def _blobs(copies: Pair, location: Path | str) -> set[bytes]:
    return set(_restic_at(copies, location).run("list", "blobs").stdout.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ("rewrite", "--exclude-file", "{patterns}"),
        ("rewrite", "--iexclude-file", "{patterns}"),
        ("rewrite", "--exclude", "*.md", "--path", "{source}"),
        ("tag", "--add", "new", "--path", "{source}"),
        ("repair snapshots", "--path", "{source}"),
        ("repair snapshots", "--tag", "b", "--dry-run"),
    ],
    ids=lambda arguments: " ".join(arguments).replace("{source}", "SOURCE"),
)
def test_what_is_changed_is_the_same(
    compared: Compared, copies: Pair, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "patterns").write_text("*.md\n")
    verb, *flags = arguments
    copies.run(*verb.split(), *(word.format(patterns=tmp_path / "patterns", source=compared.source) for word in flags))
    ours, theirs = copies.snapshots()
    assert _sorted(ours) == _sorted(theirs)


def _sorted(documents: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


def test_a_repository_made_after_another(compared: Compared, tmp_path: Path) -> None:
    (tmp_path / "from").write_text(f"{compared.argosy.repository}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (key,) = compared.argosy.run("list", "keys").stdout.decode().split()
    whence = ("--from-repository-file", tmp_path / "from", "--from-password-command", f"cat {tmp_path / 'password'}")
    pair = Pair(compared, tmp_path / "pair", copied=False)
    pair.run("init", "--copy-chunker-params", *whence, "--from-key-hint", key[:8])
    runs: list[Callable[..., Any]] = [pair.ours.run, pair.theirs.run, compared.model.run]
    assert len({json.loads(run("cat", "config").stdout)["chunker_polynomial"] for run in runs}) == 1
