"""Merging a huge directory's runs: in name order, each name once, the latest part's."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy import native
from argosy.archiver import merging
from argosy.archiver.merging import merge_into, merge_runs, merge_upon, place_runs
from argosy.archiver.runs import decode_run, encode_run, plain_bytes
from argosy.errors import Damaged
from argosy.filesystem.directory import Entry
from argosy.restic_format.compression import Compressor
from argosy.restic_format.tree import encode_tree
from tests.unit.archiver.conftest import file_node, stat_of
from tests.unit.archiver.test_parent import AWKWARD, XATTRS


@pytest.fixture(params=["kernel", "python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nodes are put in place by the native kernel, or without it."""
    if request.param == "python":
        monkeypatch.setattr(merging, "_replace_quickly", lambda *_: None)
    elif native.kernel() is None:
        pytest.skip(native.status()[1])
    return str(request.param)


class Runs:
    """Runs by part number, and which were loaded when."""

    def __init__(self, runs: Sequence[Sequence[bytes]]) -> None:
        compressor = Compressor("fastest")
        self.encoded = [
            encode_run(names, [b"%d:" % part + name for name in names], compressor) for part, names in enumerate(runs)
        ]
        self.loaded: list[int] = []

    def load(self, part: int) -> bytes:
        """As the database does."""
        self.loaded.append(part)
        return self.encoded[part]

    def merged(self) -> list[bytes]:
        """All nodes."""
        return list(merge_runs(place_runs(range(len(self.encoded)), self.load), self.load))


@pytest.mark.parametrize(
    ("runs", "merged"),
    [
        ([], []),
        ([[]], []),
        ([[b"a", b"b"]], [b"0:a", b"0:b"]),
        ([[b"c", b"d"], [], [b"a", b"b"]], [b"2:a", b"2:b", b"0:c", b"0:d"]),
        ([[b"a", b"d"], [b"b", b"e"], [b"c"]], [b"0:a", b"1:b", b"2:c", b"0:d", b"1:e"]),
        ([[b"a", b"b"], [b"b"], [b"a"]], [b"2:a", b"1:b"]),
        ([[b"a"], [b"a"], [b"a"]], [b"2:a"]),
        ([[b"a", b"b", b"c"], [b"a", b"c"]], [b"1:a", b"0:b", b"1:c"]),
        ([[b"b"], [b"a", b"b", b"c"]], [b"1:a", b"1:b", b"1:c"]),
        ([[b"\xff"], ["ü".encode()], [b"Z"]], [b"2:Z", b"1:" + "ü".encode(), b"0:\xff"]),
    ],
)
def test_a_later_part_wins_and_names_are_in_order(runs: list[list[bytes]], merged: list[bytes]) -> None:
    assert Runs(runs).merged() == merged


@given(st.lists(st.sets(st.binary(min_size=1, max_size=2), max_size=8), max_size=8))
def test_merging_equals_a_dictionary(runs: list[set[bytes]]) -> None:
    in_order = [sorted(names) for names in runs]
    expected = {name: b"%d:" % part + name for part, names in enumerate(in_order) for name in names}
    assert Runs(in_order).merged() == [expected[name] for name in sorted(expected)]


def test_runs_that_follow_one_another_are_loaded_one_by_one() -> None:
    """Memory is for the runs that overlap."""
    runs = Runs([[b"%d%d" % (part, at) for at in range(3)] for part in range(5)])
    places = place_runs(range(5), runs.load)
    runs.loaded.clear()
    merged = merge_runs(places, runs.load)
    next(merged)
    assert runs.loaded == [0]
    assert len(list(merged)) == 14
    assert runs.loaded == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "least", "most"),
    [(b"{}" * 500, 1000, 1100), (b"{}" * 5000, 20, 100), (os.urandom(5000), 5000, 5100)],
    ids=["small", "large", "random"],
)
def test_a_run_comes_back_and_knows_its_length(content: bytes, least: int, most: int) -> None:
    """It is compressed where that pays."""
    names, nodes = [b"a", b"\xff"], [content, b"[]"]
    run = encode_run(names, nodes, Compressor("fastest"))
    assert decode_run(run) == (names, nodes)
    assert least < len(run) < most
    assert len(content) < plain_bytes(run) < len(content) + 100


def node(name: bytes, version: int) -> bytes:
    """A node with extended attributes, and with a key that some other writer left, to be told from its neighbours."""
    made = file_node(Entry(name, stat_of(inode=version)), "x", tail=XATTRS if version % 2 else b"")
    return made[:-1] + b',"error":"}"}' if version == 3 else made


@pytest.mark.usefixtures("way")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    base=st.dictionaries(st.sampled_from(AWKWARD), st.integers(1, 3)),
    changed=st.dictionaries(st.sampled_from(AWKWARD), st.integers(4, 5)),
    deleted=st.sets(st.sampled_from(AWKWARD)),
)
def test_changes_are_merged_into_the_parents_tree(
    base: dict[bytes, int], changed: dict[bytes, int], deleted: set[bytes]
) -> None:
    tree = encode_tree([node(name, version) for name, version in sorted(base.items())])
    changes: dict[bytes, bytes | None] = dict.fromkeys(deleted.intersection(base))
    changes.update({name: node(name, version) for name, version in changed.items()})
    wanted = {name: node(name, version) for name, version in base.items()} | changes
    expected = [kept for _, kept in sorted(wanted.items()) if kept is not None]
    assert [bytes(found) for found in merge_upon(tree, changes)] == expected
    assert merge_into(tree, changes) == encode_tree(expected)


@pytest.mark.usefixtures("way")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=st.dictionaries(st.sampled_from(AWKWARD), st.integers(1, 3), min_size=1), data=st.data())
def test_where_names_stay_the_tree_is_copied_around_the_new_nodes(base: dict[bytes, int], data: st.DataObject) -> None:
    """None of the others is parsed; which the slower way would do."""
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(base)), st.integers(4, 5)))
    tree = encode_tree([node(name, version) for name, version in sorted(base.items())])
    nodes = {name: node(name, version) for name, version in (base | changed).items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "merge_upon", None)
        assert merge_into(tree, {name: nodes[name] for name in changed}) == encode_tree(
            [found for _, found in sorted(nodes.items())]
        )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(st.one_of(st.text("abcü", min_size=1, max_size=12), st.just("long" * 60)), min_size=1, max_size=60),
    data=st.data(),
)
def test_the_places_in_a_large_tree_are_found_by_halving(way: str, names: set[str], data: st.DataObject) -> None:
    """Each by either way, whatever lies beside it: nodes of many kinds, many blobs, extended attributes."""
    raw = sorted(name.encode() for name in names)
    base = {name: node(name, 1 + at % 2) for at, name in enumerate(raw)}
    for name in data.draw(st.sets(st.sampled_from(raw))):
        base[name] = file_node(Entry(name, stat_of()), *map(str, range(data.draw(st.integers(0, 60)))))
    changed = {name: node(name, 5) for name in data.draw(st.sets(st.sampled_from(raw), min_size=1))}
    tree, nodes = encode_tree(list(base.values())), [new for _, new in sorted(changed.items())]
    replace = merging._replace_quickly if way == "kernel" else merging._replace
    assert replace(tree, nodes) == encode_tree(list((base | changed).values()))


@pytest.mark.parametrize("name", [b"A", b"ab", b"b\xff", "ö".encode()])
def test_a_name_that_is_not_there_has_no_place(way: str, name: bytes) -> None:
    replace = merging._replace_quickly if way == "kernel" else merging._replace
    many = [node(b"%03d" % number, 2) for number in range(100)]
    for tree in (encode_tree([]), encode_tree([node(b"a", 1), node(b"b", 1)]), encode_tree(many)):
        assert replace(tree, [node(name, 1)]) is None


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "odd",
    [
        b'"generic_attributes":{"a":[{"x":1},{"name":"b","type":"file","mode":1}]}}',
        b'"generic_attributes":[{"name":"c","type":"file","mode":1}]}',
        b'"generic_attributes":[' + file_node(Entry(b"d", stat_of()), "x") + b"]}",
    ],
)
def test_a_tree_that_is_written_otherwise_is_read_as_json(odd: bytes) -> None:
    """A node is never taken to end, or to begin, where another value does."""
    first = node(b"a", 1)[:-1] + b"," + odd
    tree = encode_tree([first, node(b"b", 1).replace(b'"mode":', b' "mode":'), node(b"c", 1), node(b"d", 1)])
    for name in (b"a", b"b", b"c", b"d"):
        changes = {name: node(name, 2)}
        assert merge_into(tree, changes) == encode_tree(merge_upon(tree, changes))


def test_a_tree_that_has_not_what_was_seen_in_it_is_not_built_upon() -> None:
    with pytest.raises(Damaged, match="not where it was"):
        merge_upon(encode_tree([node(b"b", 1)]), {b"a": None})
