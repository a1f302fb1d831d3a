"""What is seen in one tree: its subtrees, its blobs, and everything that is wrong."""

from __future__ import annotations

import hashlib

from argosy.operations.check.messages import TreeFound
from argosy.operations.check.tree_checks import look_at_tree
from argosy.restic_format.node import encode_metadata, encode_tail, finish_directory, finish_file, finish_other
from argosy.restic_format.tree import encode_tree

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))


def start(name: bytes, kind: str = "file") -> bytes:
    return encode_metadata(name, kind, 0o644, 1, 2, 3, 0, 0, "", "", 0, 0, 0, 1)


def look(data: bytes) -> TreeFound:
    (found,) = look_at_tree(hashlib.sha256(data).digest(), [data])
    return found


def test_a_sound_tree_names_each_of_its_blobs_once() -> None:
    found = look(
        encode_tree(
            [
                finish_file(start(b"a"), [ONE, TWO, ONE]),
                finish_directory(start(b"b", "dir"), THREE),
                finish_file(start(b"c"), []),
                finish_directory(start(b"d", "dir"), THREE),
                finish_other(start(b"e", "symlink") + encode_tail(b"target \xff", [("user.x", b"\0")], 0)),
                finish_other(start(b"f", "fifo")),
            ]
        )
    )
    assert (found.contents, found.subtrees, found.problems) == (ONE + TWO, THREE, [])


def test_all_problems_of_a_tree_are_told_and_the_rest_is_seen() -> None:
    found = look(
        encode_tree(
            [
                finish_file(start(b"b"), [ONE]),
                finish_file(start(b"a"), [TWO]),
                b'{"name":7}',
                finish_other(start(b"c")),
                finish_other(start(b"d", "dir")),
                finish_directory(start(b"e", "dir"), THREE),
                finish_file(start(b"f/g"), []),
                finish_file(start(b".."), []),
                finish_file(start(b"z").replace(b"1970", b"197x"), []),
                finish_other(start(b"zz", "symlink") + b',"linktarget_raw":"?"'),
            ]
        )
    )
    assert (found.contents, found.subtrees) == (ONE + TWO, THREE)
    for words in (
        'node "a" stands after "b"',
        "node 2: it is not a node",
        'node "c": it is a file without a list of contents',
        'node "d": it is a directory without a subtree',
        'node "f/g" is not the name of one file',
        'node ".." is not the name of one file',
        'node "z"',
        'node "zz"',
    ):
        assert any(words in problem for problem in found.problems), (words, found.problems)
    assert len(found.problems) == 8


def test_what_is_no_tree_is_one_problem() -> None:
    for data in (b"", b"{", b'{"nodes":{}}', b"\xff"):
        found = look(data)
        assert len(found.problems) == 1
        assert "not a tree" in found.problems[0]


def test_a_name_cannot_steer_a_terminal() -> None:
    (problem,) = look(encode_tree([finish_other(start(b"\x1b[2J\xff"))])).problems
    assert problem.isprintable()
    assert "x1b[2J" in problem


def test_a_large_tree_is_looked_at_node_by_node() -> None:
    """Decoded whole it would take ten times its bytes."""
    nodes = [finish_file(start(b"%08d" % number), [ONE]) for number in range(30_000)]
    nodes[20_000] = finish_other(start(b"%08d" % 20_000))
    found = look(encode_tree(nodes))
    assert found.contents == ONE
    assert len(found.problems) == 1
    assert "00020000" in found.problems[0]
