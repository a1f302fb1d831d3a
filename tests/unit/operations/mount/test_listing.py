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
    listing = Listing((tree(b"a", b"b\xff"), tree(b"c")), "tree")
    found = listing.find(b"b\xff")
    assert found is not None
    assert found.name_bytes() == b"b\xff"
    assert [name for name, _ in listing.entries(1)] == [b"b\xff", b"c"]
    assert next(listing.entries(1)) == (b"b\xff", found)
    assert list(listing.entries(3)) == list(Listing((tree(),), "tree").entries(0)) == []
    assert listing.find(b"bb") is None
    assert listing.find(b"z") is None


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"..",), (b"a/b",)])
def test_names_that_no_directory_has_are_damage(names: tuple[bytes, ...]) -> None:
    with pytest.raises(Damaged, match="not the name of one file"):
        Listing((tree(*names),), "tree")


def test_a_large_directory_is_kept_small_and_found_whole() -> None:
    names = sorted(b"%d" % number for number in range(0, 120_000, 2))
    data = tree(*names)
    listing = Listing((data,), "tree")
    assert listing.size_bytes < len(data) / 2
    assert [name for name, _ in listing.entries(0)] == names
    for start in (1, 511, 512, 30_001, len(names) - 1):
        assert next(listing.entries(start))[0] == names[start]
    for name in (names[0], names[511], names[512], names[7777], names[-1]):
        found = listing.find(name)
        assert found is not None
        assert found.name_bytes() == name
    assert listing.find(b"") is listing.find(b"15") is listing.find(b"99999") is None


def test_which_entries_can_have_extended_attributes_is_known_without_looking_at_them() -> None:
    plain = [b"%06d" % number for number in range(5000)]
    data = tree(*plain).replace(b'"000007"', b'"000007","extended_attributes":[{"name":"user.x","value":"eA=="}]')
    listing = Listing((data,), "tree")
    assert listing.has_attributes
    assert listing.may_have_attributes(b"000007")
    assert not listing.may_have_attributes(b"004999")
    assert not listing.may_have_attributes(b"")
    assert not Listing((tree(*plain),), "tree").has_attributes


def test_the_listings_used_last_are_kept_up_to_a_limit() -> None:
    trees = {bytes((number,)): tree(*(b"%d" % name for name in range(10, 60))) for number in range(10)}
    loaded: list[bytes] = []

    def load(tree_id: bytes) -> tuple[bytes, ...]:
        loaded.append(tree_id)
        return (trees[tree_id],)

    one = Listing((trees[b"\0"],), "tree").size_bytes
    listings = Listings(load, 9 * one)
    for number in (*range(9), 0, 9, 0, 1):
        listings.get(bytes((number,)))
    assert loaded == [bytes((number,)) for number in (*range(10), 1)]


def test_directories_above_a_huge_one_do_not_drive_it_out() -> None:
    trees = {bytes((number,)): tree(b"a" * 100) for number in range(3)} | {
        b"huge": tree(*(b"%5d" % n for n in range(9999)))
    }
    loaded: list[bytes] = []

    def load(tree_id: bytes) -> tuple[bytes, ...]:
        loaded.append(tree_id)
        return (trees[tree_id],)

    listings = Listings(load, 1)
    for tree_id in [*trees, *trees]:
        listings.get(tree_id)
    assert loaded == list(trees)
