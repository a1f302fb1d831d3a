"""`argosy ls` prints what restic 0.18 prints."""

from __future__ import annotations

import json

import pytest

from tests.support.compared import Compared


@pytest.mark.parametrize(
    "flags", [(), ("--long",), ("--long", "--human-readable"), ("--ncdu",), ("--reverse",)], ids=" ".join
)
def test_the_text_is_restics(compared: Compared, flags: tuple[str, ...]) -> None:
    for snapshot in compared.snapshot_ids():
        compared.assert_same_output("ls", snapshot, *flags)


@pytest.mark.parametrize("order", ["name", "size", "time", "mtime", "atime", "ctime", "extension"])
def test_sorted_entries_are_restics(compared: Compared, order: str) -> None:
    compared.assert_same_output("ls", "latest", "--host", "alpha", "--sort", order)
    compared.assert_same_output("ls", "latest", "--host", "alpha", "--sort", order, "--reverse", "--long")


def test_documents_are_restics(compared: Compared) -> None:
    """Names that no JSON can hold, too."""
    for snapshot in compared.snapshot_ids():
        documents = compared.assert_same_documents("ls", snapshot)
        assert documents[0][-2:] == [("message_type", "snapshot"), ("struct_type", "snapshot")]


@pytest.mark.parametrize("flags", [(), ("--recursive",), ("--recursive", "--long"), ("--ncdu",)], ids=" ".join)
@pytest.mark.parametrize(
    "directories",
    [("/source/sub",), ("/source/sub/deeper",), ("/source/sub/", "/source/empty"), ("/source",), ("/",), ("/none",)],
    ids=" ".join,
)
def test_directories_select_as_in_restic(
    compared: Compared, directories: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    whole = f"{compared.snapshot_ids()[0]}:{compared.source.parent}"
    compared.assert_same_output("ls", whole, *directories, *flags)
    if "--ncdu" not in flags:
        compared.assert_same_documents("ls", whole, *directories, *[flag for flag in flags if flag != "--long"])


def test_a_path_behind_the_snapshot_is_the_root(compared: Compared) -> None:
    compared.assert_same_output("ls", f"{compared.snapshot_ids()[0]}:{compared.source}/sub/deeper")
    compared.assert_same_documents("ls", f"latest:{compared.source}/sub", "--host", "alpha")


def test_ncdu_reads_its_format(compared: Compared) -> None:
    version_major, version_minor, about, root = json.loads(
        compared.argosy.run("ls", "latest", "--host", "beta", "--ncdu").stdout
    )
    assert (version_major, version_minor) == (1, 2)
    assert about["hostname"] == "beta"
    assert root[0] == {"name": "/"}


def test_what_is_not_there_is_an_error(compared: Compared) -> None:
    assert "has no directory" in compared.argosy.says("ls", "latest:/nowhere", expect=1)
    assert "not absolute" in compared.argosy.says("ls", "latest", "relative", expect=1)
    assert "does not exist" in compared.argosy.says("ls", "0123456789", expect=1)
    assert "exclude" in compared.argosy.says("ls", "latest", "--ncdu", "--json", expect=1)
