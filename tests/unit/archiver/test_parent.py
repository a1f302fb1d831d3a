"""Comparing entries with the parent snapshot's tree: what stands, what is reused, what is read again."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from argosy.archiver.comparison import Comparison
from argosy.archiver.parent import CompareOptions, ParentTree, child_subtrees, skip_node
from argosy.errors import Damaged
from argosy.filesystem.directory import Entry
from argosy.restic_format.node import encode_tail, finish_other, format_time
from argosy.restic_format.tree import encode_tree
from tests.unit.archiver.conftest import (
    DIRECTORY,
    LINK,
    TIME_NS,
    directory_node,
    file_node,
    identity,
    prefix_of,
    stat_of,
)

XATTRS = encode_tail(None, [("user.a]}", b'],"content":["'), ("user.b", b"x")], 0)
AWKWARD = [b"\x01", b"\n", b' "', b'","type":"file', b"A", b"\\", b"\\xff", b"a", b"a.b", b"b", "ü".encode(), b"\xff"]


def cursor(nodes: Sequence[bytes], options: CompareOptions | None = None, missing: Sequence[bytes] = ()) -> ParentTree:
    """A cursor over a tree of these nodes; blobs with an id of ``missing`` are not in the repository."""
    lost = [identity.hex().encode() for identity in missing]
    return ParentTree(
        encode_tree(nodes),
        options or CompareOptions(),
        lambda content: not any(identity in content for identity in lost),
        format_time,
    )


def compared(parent: ParentTree, entries: Sequence[Entry]) -> Comparison:
    """One run, to the end."""
    comparison = Comparison()
    parent.compare(entries, prefix_of, comparison)
    parent.finish(comparison)
    return comparison


def names(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.name for entry in entries]


def test_what_is_as_it_was_stands() -> None:
    entries = [Entry(name, stat_of(inode=10 + at)) for at, name in enumerate(AWKWARD)]
    nodes = [file_node(entry, "one", "two") for entry in entries]
    comparison = compared(cursor(nodes), entries)
    assert comparison.standing == entries
    assert comparison == Comparison(standing=entries)


def test_every_kind_of_node_stands() -> None:
    empty, link = Entry(b"empty", stat_of(size=0)), Entry(b"link", stat_of(LINK, size=4))
    named = Entry(b"named", stat_of())
    link_node = finish_other(prefix_of(link) + encode_tail(b'"]}\xff', [], 0))
    comparison = compared(
        cursor([file_node(empty), link_node, file_node(named, "x", tail=XATTRS)]), [empty, link, named]
    )
    assert comparison.standing == [empty, link, named]


@pytest.mark.parametrize("may_stand", [True, False])
def test_a_directory_gives_its_subtree_and_comes_as_a_part(may_stand: bool) -> None:
    """Whether its own metadata changed or not."""
    same, other = Entry(b"a", stat_of(DIRECTORY)), Entry(b"b", stat_of(DIRECTORY))
    nodes = [directory_node(same, identity("a")), directory_node(other, identity("b"))]
    changed = Entry(b"b", stat_of(DIRECTORY, mtime_ns=1))
    fresh = Entry(b"c", stat_of(DIRECTORY))
    comparison = compared(cursor(nodes, CompareOptions(prefix_may_stand=may_stand)), [same, changed, fresh])
    assert comparison.directories == [(same, identity("a")), (changed, identity("b")), (fresh, None)]
    assert comparison.dropped == [b"a", b"b"]


def test_new_changed_and_deleted_names_are_told_apart() -> None:
    there = {name: Entry(name, stat_of()) for name in (b"b", b"d", b"e", b"g", b"h")}
    nodes = [file_node(entry, "x") for entry in there.values()]
    now = [
        Entry(b"a", stat_of()),
        there[b"b"],
        Entry(b"c", stat_of()),
        Entry(b"e", stat_of(size=4)),
        Entry(b"f", stat_of()),
        there[b"g"],
        Entry(b"z", stat_of()),
    ]
    comparison = compared(cursor(nodes), now)
    assert names(comparison.standing) == [b"b", b"g"]
    assert names(comparison.fresh) == [b"a", b"c", b"e", b"f", b"z"]
    assert comparison.changed == {b"e"}
    assert sorted(comparison.dropped) == [b"d", b"e", b"h"]


@pytest.mark.parametrize("entries", [[], [Entry(b"a", stat_of())]])
def test_one_side_may_be_empty(entries: list[Entry]) -> None:
    assert names(compared(cursor([]), entries).fresh) == names(entries)
    assert compared(cursor([file_node(entry, "x") for entry in entries]), []).dropped == names(entries)


@pytest.mark.parametrize(
    ("now", "options", "good"),
    [
        (stat_of(0o100600), CompareOptions(), True),
        (stat_of(links=2), CompareOptions(), True),
        (stat_of(), CompareOptions(prefix_may_stand=False), True),
        (stat_of(size=4), CompareOptions(), False),
        (stat_of(mtime_ns=TIME_NS + 1), CompareOptions(), False),
        (stat_of(ctime_ns=TIME_NS + 1), CompareOptions(), False),
        (stat_of(ctime_ns=TIME_NS + 1), CompareOptions(ignore_ctime=True), True),
        (stat_of(inode=8), CompareOptions(), False),
        (stat_of(inode=8), CompareOptions(ignore_inode=True), True),
        (stat_of(LINK), CompareOptions(), False),
    ],
)
def test_content_is_reused_where_nothing_that_counts_has_changed(
    now: os.stat_result, options: CompareOptions, good: bool
) -> None:
    entry = Entry(b"name", now)
    comparison = compared(cursor([file_node(Entry(b"name", stat_of()), "one", "two")], options), [entry])
    assert comparison.dropped == [b"name"]
    if good:
        content = f'["{identity("one").hex()}","{identity("two").hex()}"]'.encode()
        assert comparison.reused == [(entry, prefix_of(entry), content)]
    else:
        assert comparison.fresh == [entry]
        assert comparison.changed == {b"name"}


def test_a_time_in_another_zone_is_the_same_time() -> None:
    """restic writes times in the zone of its machine."""
    entry = Entry(b"name", stat_of())
    node = file_node(entry, "x")
    utc = format_time(TIME_NS).encode()
    assert utc == b"2023-11-14T22:13:20.123456789Z"
    node = node.replace(utc, b"2023-11-15T00:13:20.123456789+02:00")
    assert names([entry for entry, _, _ in compared(cursor([node]), [entry]).reused]) == [b"name"]
    wrong = node.replace(b"00:13:20", b"01:13:20")
    assert compared(cursor([wrong]), [entry]).fresh == [entry]
    broken = node.replace(b"2023-11-15T00", b"2023-99-99T00")
    assert compared(cursor([broken]), [entry]).fresh == [entry]


def test_a_file_whose_blobs_are_gone_is_read_again() -> None:
    kept, lost = Entry(b"kept", stat_of()), Entry(b"lost", stat_of())
    moved = Entry(b"moved", stat_of(0o100600))
    nodes = [file_node(kept, "a"), file_node(lost, "a", "b"), file_node(Entry(b"moved", stat_of()), "b")]
    comparison = compared(cursor(nodes, missing=[identity("b")]), [kept, lost, moved])
    assert comparison.standing == [kept]
    assert comparison.fresh == [lost, moved]
    assert comparison.dropped == [b"lost", b"moved"]


def test_a_node_with_keys_behind_its_content_does_not_stand() -> None:
    """It is not in the form that we write; its content may be good all the same."""
    first, second = Entry(b"a", stat_of()), Entry(b"b", stat_of(LINK))
    directory, last = Entry(b"c", stat_of(DIRECTORY)), Entry(b"d", stat_of())
    unusual = b',"error":"{\\"brace]},{"}'
    nodes = [
        file_node(first, "x")[:-1] + unusual,
        finish_other(prefix_of(second) + encode_tail(b"to", [], 0))[:-1] + unusual,
        directory_node(directory, identity("c"))[:-1] + unusual,
        file_node(last, "x"),
    ]
    comparison = compared(cursor(nodes), [first, second, directory, last])
    assert names([entry for entry, _, _ in comparison.reused]) == [b"a"]
    assert comparison.fresh == [second]
    assert comparison.directories == [(directory, identity("c"))]
    assert comparison.standing == [last]


@pytest.mark.parametrize("mode", [0o100644, DIRECTORY])
def test_a_file_without_a_list_and_a_directory_without_a_subtree_do_not_stand(mode: int) -> None:
    """Whoever wrote the node had not read them."""
    entry, after = Entry(b"a", stat_of(mode)), Entry(b"b", stat_of())
    comparison = compared(cursor([prefix_of(entry) + b',"content":null}', file_node(after, "x")]), [entry, after])
    assert comparison.standing == [after]
    assert comparison.dropped == [b"a"]
    assert comparison.fresh == ([entry] if mode == 0o100644 else [])
    assert comparison.directories == ([] if mode == 0o100644 else [(entry, None)])


@pytest.mark.parametrize("changed", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_a_node_without_content_is_damage(changed: bool, last: bool) -> None:
    """And not one with the content of its neighbour."""
    entry, after = Entry(b"a", stat_of()), Entry(b"b", stat_of())
    nodes = [prefix_of(entry) + b',"user":"x"}'] + ([] if last else [file_node(after, "x")])
    with pytest.raises(Damaged):
        compared(cursor(nodes), [Entry(b"a", stat_of(size=9 if changed else 3)), after])


@pytest.mark.parametrize(
    "tree",
    [
        b'{"nodes":null}',
        b'{"nodes": []}',
        b'{"nodes":[{"type":"file","name":"a","content":null}]}',
        b'{"nodes":[{"name":"a","mode":1,"type":"file","content":null}]}',
        b'{"nodes":[{"name":"a","mode":1,"type":"x"},{"name":"b","type":"file","content":null}]}',
        b'{"nodes":[{"name":"a","type":"file","mtime":5,"content":null}]}',
    ],
)
def test_a_tree_of_another_shape_is_damage(tree: bytes) -> None:
    with pytest.raises(Damaged):
        compared(
            ParentTree(tree, CompareOptions(), lambda _: True, format_time),
            [Entry(b"a", stat_of()), Entry(b"b", stat_of())],
        )


@pytest.mark.parametrize("order", [(2, 0, 3, 1), (1, 0), (0, 0), (1, 1), (0, 1, 1), (1, 0, 1), (3, 3)])
def test_a_tree_out_of_order_is_damaged(order: tuple[int, ...]) -> None:
    """Else a name could both stand and be dropped, and its file would be missing from the new tree."""
    entries = [Entry(name, stat_of()) for name in (b"a", b"b", b"c", b"d")]
    tree = [file_node(entries[at], "x") for at in order]
    with pytest.raises(Damaged, match="out of order"):
        compared(cursor(tree), entries)


def test_entries_may_come_in_runs() -> None:
    entries = [Entry(name, stat_of()) for name in AWKWARD]
    parent, comparison = cursor([file_node(entry, "x") for entry in entries]), Comparison()
    for at in range(0, len(entries), 5):
        parent.compare(entries[at : at + 5], prefix_of, comparison)
    parent.finish(comparison)
    assert comparison.standing == entries


@pytest.mark.parametrize("count", [0, 1, 5, len(AWKWARD)])
def test_what_is_sealed_is_passed_over_without_a_verdict(count: int) -> None:
    entries = [Entry(name, stat_of()) for name in AWKWARD]
    parent = cursor([file_node(entry, "x") for entry in entries])
    if count:
        parent.skip_through(AWKWARD[count - 1])
    comparison = compared(parent, entries[count:])
    assert comparison.standing == entries[count:]
    assert comparison.dropped == []


def test_a_name_that_is_not_in_the_tree_may_be_skipped_through() -> None:
    entries = [Entry(b"a", stat_of()), Entry(b"c", stat_of())]
    parent = cursor([file_node(entry, "x") for entry in entries])
    parent.skip_through(b"b")
    assert compared(parent, entries[1:]).standing == entries[1:]


def test_nodes_that_stand_are_copied_where_the_tree_is_not_read_again() -> None:
    kept, link = Entry(b"a", stat_of()), Entry(b"b", stat_of(LINK))
    directory, changed, last = Entry(b"c", stat_of(DIRECTORY)), Entry(b"d", stat_of(size=9)), Entry(b"e", stat_of())
    link_node = finish_other(prefix_of(link) + encode_tail(b"to", [], 0))
    nodes = [
        file_node(kept, "x", tail=XATTRS),
        link_node,
        directory_node(directory, identity("c")),
        file_node(Entry(b"d", stat_of()), "x"),
        file_node(last, "y"),
    ]
    comparison = Comparison()
    cursor(nodes).compare([kept, link, directory, changed, last], prefix_of, comparison, keep_standing=True)
    assert comparison.standing_nodes == [(b"a", nodes[0]), (b"b", link_node), (b"e", nodes[4])]
    assert comparison.standing == [kept, link, last]


def test_the_subtrees_of_a_tree() -> None:
    plain, directory = Entry(b"a", stat_of()), Entry(b"\xff", stat_of(DIRECTORY))
    tree = encode_tree([file_node(plain, "x"), directory_node(directory, identity("sub"))])
    assert child_subtrees(tree) == {b"a": None, b"\xff": identity("sub")}


def test_skipping_ends_just_behind_the_node() -> None:
    node = file_node(Entry(b"a", stat_of()), "x", tail=XATTRS)
    assert skip_node(b"__" + node + b',{"name"', 2) == 2 + len(node)


def test_subtrees_of_a_tree_out_of_order_are_not_told() -> None:
    nodes = [file_node(Entry(name, stat_of())) for name in (b"b", b"a")]
    with pytest.raises(Damaged, match="out of order"):
        child_subtrees(encode_tree(nodes))


def test_after_a_deleted_file_the_next_one_still_stands() -> None:
    entries = [Entry(name, stat_of()) for name in (b"a", b"b", b"c", b"d")]
    comparison = compared(cursor([file_node(entry, "x") for entry in entries]), [entries[0], entries[3]])
    assert comparison.standing == [entries[0], entries[3]]
    assert comparison.dropped == [b"b", b"c"]


@pytest.mark.parametrize("length", [0, 1, 9, 10, 30, 200, 450])
def test_a_tree_that_ends_too_soon_is_damaged(length: int) -> None:
    entries = [Entry(b"a", stat_of()), Entry(b"b", stat_of())]
    tree = encode_tree([file_node(entry, "x", "y") for entry in entries])[:length]
    with pytest.raises(Damaged):
        compared(ParentTree(tree, CompareOptions(), lambda _: True, format_time), entries)
