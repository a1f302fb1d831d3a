"""Two machines see the same source and repository, or in what they differ (R10)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.daemon.sight import ENTRIES_A_ROOT, Entry, Sight, first_difference, look_at, refusal, sample_paths

ENTRY = Entry(b"/data/a", 1000, 100, 0o100644, 12, 500, 10**18, [b"user.x"])


def test_the_sample_is_each_root_and_its_first_entries_by_name(tmp_path: Path) -> None:
    for number in range(ENTRIES_A_ROOT + 5):
        (tmp_path / f"{number:03}").touch()
    paths = sample_paths([os.fsencode(tmp_path)])
    names = [b"%03d" % number for number in range(ENTRIES_A_ROOT)]
    assert paths == [os.fsencode(tmp_path), *(os.path.join(os.fsencode(tmp_path), name) for name in names)]


def test_a_root_that_is_a_file_or_absent_is_a_sample_of_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    roots = [os.fsencode(tmp_path / "file"), os.fsencode(tmp_path / "absent")]
    assert sample_paths(roots) == roots
    assert [entry.path for entry in look_at(roots)] == roots[:1]


def test_what_is_looked_at_is_what_lstat_says(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"12345")
    link.symlink_to("nowhere")
    seen = {entry.path: entry for entry in look_at(map(os.fsencode, (tmp_path, file, link)))}
    found = seen[os.fsencode(file)]
    assert (found.size_bytes, found.inode, found.mode) == (5, file.stat().st_ino, file.stat().st_mode)
    # A directory's size is its file system's affair, a link's that of its text.
    assert seen[os.fsencode(tmp_path)].size_bytes == seen[os.fsencode(link)].size_bytes == 0


def test_the_same_sight_differs_in_nothing() -> None:
    assert first_difference(Sight([ENTRY], ["aa"]), Sight([ENTRY], ["aa", "bb"])) == ""


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("uid", 65534, "another owner"),
        ("gid", 65534, "another group"),
        ("mode", 0o100600, "another type or mode"),
        ("inode", 13, "another inode"),
        ("size_bytes", 501, "another size"),
        ("mtime_ns", 1, "another time of change"),
        ("xattrs", [], "another set of extended attributes"),
    ],
)
def test_each_difference_is_named(field: str, value: object, words: str) -> None:
    fields = {name: getattr(ENTRY, name) for name in ENTRY.__struct_fields__}
    other = Entry(**{**fields, field: value})
    assert first_difference(Sight([ENTRY], []), Sight([other], [])) == f"/data/a has {words}"


def test_an_entry_that_is_not_there_is_named() -> None:
    assert "/data/a is not there" in first_difference(Sight([ENTRY], []), Sight([], []))


def test_another_repository_lacks_the_jobs_lock() -> None:
    difference = first_difference(Sight([], ["ab" * 32]), Sight([], ["cd" * 32]))
    assert "abababab" in difference
    error = refusal("nas-1", difference)
    assert "nas-1 does not see what the master sees" in error.message
    assert error.hint
