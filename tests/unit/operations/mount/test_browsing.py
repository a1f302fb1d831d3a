"""What a listing of a snapshot's directory tells of its entries."""

from __future__ import annotations

import stat
from typing import cast

import pytest

from argosy.errors import Damaged
from argosy.operations.mount.browser import Browser
from argosy.operations.mount.layout import Place
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from argosy.repository.snapshots import StoredSnapshot
from argosy.restic_format.node import encode_metadata, finish_file
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.tree import encode_tree


class OneTree:
    """A reader that has one blob; counts how often it was asked."""

    def __init__(self, tree: bytes) -> None:
        self.tree = tree
        self.loaded = 0

    def load_tree(self, _tree_id: bytes) -> tuple[bytes, ...]:
        self.loaded += 1
        return (self.tree,)


def browser_of(reader: OneTree) -> Browser:
    snapshot = Snapshot(time="2026-01-01T00:00:00Z", tree=bytes(32), paths=[])
    layout = Place(names={"latest": Place(snapshot=StoredSnapshot(bytes(32), snapshot))})
    return Browser(lambda: layout, cast("BlobReader", reader), cast("DedupLookup", None))


def file(name: bytes, size: int) -> bytes:
    return finish_file(encode_metadata(name, "file", 0o640, 10**18, 1, 2, 3, 4, "", "", 7, 0, size, 1), [])


def test_a_listing_tells_all_that_stat_tells_from_any_entry_on() -> None:
    reader = OneTree(encode_tree(file(b"f%04d" % number, number) for number in range(2000)))
    browser = browser_of(reader)
    listed = dict(browser.entries(b"/latest", 0))
    assert list(listed) == [b"f%04d" % number for number in range(2000)]
    for name in (b"f0000", b"f0511", b"f0512", b"f1999"):
        found = browser.attributes(b"/latest/" + name)
        assert listed[name] == found
        assert (found.size, found.mode, found.uid, found.gid) == (int(name[1:]), stat.S_IFREG | 0o640, 3, 4)
        assert (found.mtime_ns, found.atime_ns, found.ctime_ns) == (10**18, 1, 2)
    assert list(browser.entries(b"/latest", 1998)) == list(listed.items())[1998:]
    assert reader.loaded == 1


def test_an_entry_that_makes_no_sense_does_not_hide_the_others() -> None:
    late = file(b"late", 2).replace(b"2001-09-09", b"2001-13-09")
    odd = file(b"odd", 3).replace(b'"mode":416', b'"mode":"x"')
    browser = browser_of(OneTree(encode_tree([file(b"first", 1), late, odd, file(b"z", 4)])))
    listed = dict(browser.entries(b"/latest", 0))
    assert [name for name, found in listed.items() if found is not None] == [b"first", b"z"]
    for name in (b"late", b"odd"):
        assert listed[name] is None
        with pytest.raises(Damaged):
            browser.attributes(b"/latest/" + name)


def test_extended_attributes_are_told_of_those_that_have_them_and_of_no_other() -> None:
    tree = encode_tree([file(b"with", 1)[:-1] + b',"extended_attributes":[{"name":"user.x","value":"eA=="}]}'])
    browser = browser_of(OneTree(tree))
    assert browser.xattrs(b"/latest/with") == {"user.x": b"x"}
    assert browser.has_attributes_beside(b"/latest/with")
    assert browser.xattrs(b"/latest") == browser.xattrs(b"/") == {}
    assert not browser_of(OneTree(encode_tree([file(b"without", 1)]))).has_attributes_beside(b"/latest/without")


def test_what_is_not_there_is_missing() -> None:
    browser = browser_of(OneTree(encode_tree([file(b"file", 1)])))
    for path in (b"/nowhere", b"/latest/nothing", b"/nowhere/at/all"):
        with pytest.raises(FileNotFoundError):
            browser.attributes(path)
    with pytest.raises(NotADirectoryError):
        browser.attributes(b"/latest/file/below")
    assert stat.S_ISDIR(browser.attributes(b"/").mode)
    assert stat.S_ISDIR(browser.attributes(b"/latest").mode)
