"""What `argosy backup` is to read and to leave out."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from argosy.cli.output import Output
from argosy.cli.sources import Excludes, Sources, collect_excludes, collect_sources
from argosy.cli.variables import Variables
from argosy.errors import UsageError


def sources(*arguments: str, stderr: io.StringIO | None = None, json: bool = False, **lists: Path) -> Sources:
    flags = dict.fromkeys(("files_from", "files_from_verbatim", "files_from_raw"), ())
    output = Output(json=json, stdout=io.StringIO(), stderr=stderr or io.StringIO())
    return collect_sources(arguments, flags | {name: (str(path),) for name, path in lists.items()}, output)


def excludes(
    read: Sources | None = None, own: Sequence[Path] = (), shown_as: str | None = None, **flags: Any
) -> Excludes:
    several = ("exclude", "iexclude", "exclude_file", "iexclude_file", "exclude_if_present")
    every = dict.fromkeys(several, ()) | {"exclude_caches": False, "exclude_larger_than": None}
    variables = Variables({"HOME": "/home/u"})
    return collect_excludes(every | flags, variables, own, read or Sources([b"/data"]), shown_as)


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with files a.txt, b.txt and "# c"; it is the working directory."""
    for name in ("a.txt", "b.txt", "# c"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_lists_come_before_the_command_line(three: Path) -> None:
    (three / "patterns").write_text("# comment\n*.txt\n")
    (three / "verbatim").write_text("# c\n")
    (three / "raw").write_bytes(b"a.txt\0")
    found = sources(
        "last",
        files_from=three / "patterns",
        files_from_verbatim=three / "verbatim",
        files_from_raw=three / "raw",
    )
    assert found.paths == [b"a.txt", b"b.txt", b"# c", b"a.txt", b"last"]
    assert found.missing == 0


def test_a_path_of_a_list_that_is_not_there_is_named_and_counted(three: Path) -> None:
    """Lists are made ahead of time; what the user names on the command line must exist, and fails later."""
    (three / "verbatim").write_bytes(b"gone\nnot \xff there\na.txt\n")
    said = io.StringIO()
    found = sources("nowhere", files_from_verbatim=three / "verbatim", stderr=said, json=True)
    assert found.paths == [b"a.txt", b"nowhere"]
    assert found.missing == 2
    assert [json.loads(line)["item"] for line in said.getvalue().splitlines()] == ["gone", "not \ufffd there"]


def test_a_pattern_of_a_list_that_matches_nothing_is_said(three: Path) -> None:
    (three / "patterns").write_text("*.txt\n*.nix\n")
    said = io.StringIO()
    assert len(sources(files_from=three / "patterns", stderr=said).paths) == 2
    assert "*.nix" in said.getvalue()


@pytest.mark.parametrize("arguments", [[], [""]])
def test_nothing_to_back_up_is_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        sources(*arguments)


def test_a_list_that_cannot_be_read_is_named(three: Path) -> None:
    with pytest.raises(UsageError, match="missing-list"):
        sources(files_from=three / "missing-list")


def test_another_list_is_another_job(three: Path) -> None:
    """An unfinished job is resumed only if the content of its lists is the same (R5)."""
    (three / "one").write_text("a.txt\n")
    (three / "two").write_text("b.txt\n")
    one, again, two = (sources(files_from=three / name) for name in ("one", "one", "two"))
    assert one.key == again.key != two.key


def test_patterns_of_flags_and_files_become_rules(tmp_path: Path) -> None:
    (tmp_path / "patterns").write_text("# comment\n*.o\n$HOME/x\n")
    made = excludes(exclude=("*.tmp",), iexclude=("*.BAK",), exclude_file=(str(tmp_path / "patterns"),))
    for path in (b"/data/a.tmp", b"/data/a.bak", b"/data/a.o", b"/home/u/x"):
        assert made.rules.excluded(path, False)
    assert not made.rules.excluded(b"/data/a", False)


def test_the_snapshot_records_what_restic_records(tmp_path: Path) -> None:
    """The patterns of --exclude, not those of files."""
    (tmp_path / "patterns").write_text("*.o\n")
    made = excludes(exclude=("*.tmp",), iexclude=("*.BAK",), exclude_file=(str(tmp_path / "patterns"),))
    assert made.recorded == ("*.tmp",)


@pytest.mark.parametrize(
    "other",
    [
        {"exclude": ("*.o",)},
        {"iexclude": ("*.tmp",)},
        {"exclude_caches": True},
        {"exclude_if_present": (".nobackup",)},
        {"exclude_larger_than": "1M"},
    ],
)
def test_every_flag_that_changes_what_is_read_makes_another_job(other: dict[str, Any]) -> None:
    assert excludes(exclude=("*.tmp",)).key != excludes(**({"exclude": ("*.tmp",)} | other)).key


def test_a_size_means_the_same_however_it_is_written() -> None:
    assert excludes(exclude_larger_than="1M").key == excludes(exclude_larger_than="1048576").key


@pytest.mark.parametrize(
    "wrong", [{"exclude": ("[",)}, {"exclude_larger_than": "huge"}, {"exclude_if_present": (":header",)}]
)
def test_nonsense_is_wrong_usage(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        excludes(**wrong)


def test_the_programs_own_directories_are_left_out_where_they_lie_in_a_source(tmp_path: Path) -> None:
    """The job file changes with every moment of the backup that would read it."""
    read = Sources([os.fsencode(tmp_path)])
    made = excludes(read, [tmp_path / "state", Path("/elsewhere/state")])
    assert made.rules.excluded(os.fsencode(tmp_path / "state" / "jobs"), True)
    assert not made.rules.excluded(b"/elsewhere/state", True)
    assert not made.rules.excluded(os.fsencode(tmp_path / "other"), True)
    assert made.recorded == ()


def test_they_are_found_under_the_name_that_a_source_is_shown_as(tmp_path: Path) -> None:
    made = excludes(Sources([os.fsencode(tmp_path)]), [tmp_path / "state"], shown_as="/mnt/nas/")
    assert made.rules.excluded(b"/mnt/nas/state", True)
