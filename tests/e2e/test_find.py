"""`argosy find` prints what restic 0.18 prints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Argosy, decode_lines
from tests.support.compared import Compared
from tests.support.damage import flip_blob, ground_of, subtree_of

NAMES = [
    ("*.md",),
    ("plain.txt", "sub"),
    ("deeper/*",),
    ("/nowhere/*",),
    ("PLAIN*", "-i"),
    ("*", "-N", "2020-09-13 12:26:50"),
    ("*", "-O", "13.09.2020 12:26:50"),
    ("**/deepest", "--long"),
    ("link", "large.bin", "--long", "--human-readable"),
    ("sub", "-R", "--host", "beta"),
    ("x", "--tag", "b"),
    ("*ünï*", "latin*"),
]


@pytest.mark.parametrize("arguments", NAMES, ids=" ".join)
def test_entries_by_name_and_time(compared: Compared, arguments: tuple[str, ...]) -> None:
    compared.assert_same_output("find", *arguments)


@pytest.mark.parametrize("arguments", [("*",), ("x", "-R"), ("/nowhere",)], ids=" ".join)
def test_documents_are_restics(compared: Compared, arguments: tuple[str, ...]) -> None:
    compared.assert_same_documents("find", *arguments)


def test_chosen_snapshots(compared: Compared) -> None:
    first, second, *_ = compared.snapshot_ids()
    compared.assert_same_output("find", "plain.txt", "-s", first, "--snapshot", second[:8])


def test_blobs_and_trees_by_id(compared: Compared) -> None:
    """restic stops at the first place of a tree; these have one."""
    first = compared.snapshot_ids()[0]
    nodes = {node["name"]: node for node in _nodes(compared, f"{first}:{compared.source}/sub")}
    blob, tree = nodes["text.md"]["content"][0], nodes["deeper"]["subtree"]
    for flags in (("--blob", blob), ("--blob", blob[:8]), ("--tree", tree, "-s", first), ("--tree", tree[:8], "-R")):
        compared.assert_same_output("find", *flags)
        compared.assert_same_documents("find", *flags)
    compared.assert_same_output("find", "--blob", blob, "--show-pack-id")
    compared.assert_same_output("find", "--tree", tree, "--show-pack-id")
    (matches,) = compared.argosy.documents("find", "--blob", blob, "--show-pack-id")
    packs = compared.argosy.says("list", "packs").split()
    assert {match["pack"] in packs for match in matches} == {True}


def test_what_a_pack_holds(compared: Compared) -> None:
    first = compared.snapshot_ids()[0]
    (node,) = [node for node in _nodes(compared, f"{first}:{compared.source}") if node["name"] == "large.bin"]
    (matches,) = compared.argosy.documents("find", "--blob", node["content"][0], "--show-pack-id")
    compared.assert_same_output("find", "--pack", matches[0]["pack"])
    compared.assert_same_documents("find", "--pack", matches[0]["pack"][:8])


def test_the_trees_of_a_pack_are_found_too(compared: Compared) -> None:
    """restic 0.18 finds none of them."""
    first = compared.snapshot_ids()[0]
    root = compared.argosy.documents("snapshots")[0][0]["tree"]
    (matches,) = compared.argosy.documents("find", "--tree", root, "--show-pack-id", "-s", first)
    assert [(match["object_type"], match["path"]) for match in matches] == [("tree", "/")]
    (of_pack,) = compared.argosy.documents("find", "--pack", matches[0]["pack"], "-s", first)
    assert ("tree", root) in {(match["object_type"], match["id"]) for match in of_pack}


def test_wrong_use_is_refused(compared: Compared) -> None:
    says = compared.argosy.says
    assert "is not the start of an id" in says("find", "--blob", "large.bin", expect=1)
    assert "no index lists a pack" in says("find", "--pack", "0" * 64, expect=1)
    assert "later than --newest" in says("find", "x", "-O", "2021-01-01", "-N", "2020-01-01", expect=1)
    assert "is no time" in says("find", "x", "-O", "yesterday", expect=1)
    assert "invalid patterns" in says("find", "[", expect=1)
    assert "'PATTERN…'" in says("find", expect=1)


def test_a_damaged_directory_is_named_and_the_rest_is_searched(tmp_path: Path) -> None:
    argosy = Argosy(tmp_path)
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "wanted").write_bytes(b"1")
    (tmp_path / "data" / "wanted !").write_bytes(b"2")
    os.symlink("wanted", tmp_path / "data" / "!")
    argosy.run("backup", "--init", "data")
    flip_blob(ground_of(argosy), subtree_of(argosy, "latest:/data", "sub"))
    done = argosy.run("find", "wanted*", "--json", expect=1)
    (found,) = json.loads(done.stdout)
    assert [match["path"] for match in found["matches"]] == ["/data/wanted !"]
    assert "/data/sub in snapshot" in decode_lines(done.stderr)[0]["item"]
    assert "/data/!\n" in argosy.says("find", "!", expect=1)


def _nodes(compared: Compared, where: str) -> list[Any]:
    nodes: list[Any] = json.loads(compared.argosy.run("cat", "tree", where).stdout)["nodes"]
    return nodes
