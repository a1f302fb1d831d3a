"""Listings of directories: found by name, and bounded."""

from __future__ import annotations

import pytest

from argosy.errors import Damaged
from argosy.operations.mount.listing import Listing, Listings
from argosy.restic_format.node import encode_metadata, finish_file
from argosy.restic_format.tree import encode_tree


def tree(*names: bytes) -> bytes:
    return encode_tree(
        finish_file(encode_metadata(name, "file", 0o100644, 1, 1, 1, 0, 0, "", "", 7, 0, 0, 1), []) for name in names
    )


def test_entries_are_found_by_name_and_by_place() -> None:
    listing = Listing(tree(b"a", b"b\xff", b"c"), "tree")
    found = listing.find(b"b\xff")
    assert found is not None
    assert found.name_bytes() == listing.at(1).name_bytes() == b"b\xff"
    assert listing.find(b"bb") is None
    assert listing.find(b"z") is None


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"..",), (b"a/b",)])
def test_names_that_no_directory_has_are_damage(names: tuple[bytes, ...]) -> None:
    with pytest.raises(Damaged, match="not the name of one file"):
        Listing(tree(*names), "tree")


def test_the_listings_used_last_are_kept_up_to_a_limit() -> None:
    trees = {bytes((number,)): tree(*(b"%d" % name for name in range(10, 60))) for number in range(4)}
    loaded: list[bytes] = []

    def load(tree_id: bytes) -> bytes:
        loaded.append(tree_id)
        return trees[tree_id]

    one = Listing(trees[b"\0"], "tree").size_bytes
    listings = Listings(load, 2 * one)
    for number in (0, 1, 0, 2, 0, 1):
        listings.get(bytes((number,)))
    assert loaded == [b"\0", b"\1", b"\2", b"\1"]
