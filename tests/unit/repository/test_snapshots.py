"""Finding snapshots by restic's rules."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from argosy.errors import Damaged, SnapshotMissing
from argosy.repository.blobs import BlobReader
from argosy.repository.layout import FileKind, object_name
from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository
from argosy.repository.snapshots import (
    SnapshotFilter,
    find_parent,
    find_subtree,
    latest_snapshot,
    load_snapshots,
    resolve_id,
    resolve_snapshot,
    save_snapshot,
    split_subpath,
)
from argosy.restic_format.blob import BlobType
from argosy.restic_format.node import encode_metadata, finish_directory, finish_other
from argosy.restic_format.snapshot import Snapshot
from argosy.restic_format.times import format_time
from argosy.restic_format.tree import encode_tree
from tests.support.storage_doubles import MemoryStorage
from tests.unit.repository.conftest import Filler

DAY_NS = 86_400 * 10**9


def make_snapshot(
    day: int, *, host: str = "nas", paths: Sequence[str] = ("/data",), tags: Sequence[str] = ()
) -> Snapshot:
    return Snapshot(time=format_time(day * DAY_NS), tree=bytes(32), paths=paths, hostname=host, tags=tags)


def save(repository: Repository, *snapshots: Snapshot) -> list[bytes]:
    return [save_snapshot(repository, snapshot) for snapshot in snapshots]


def test_all_are_loaded_oldest_first(repository: Repository) -> None:
    ids = save(repository, make_snapshot(3), make_snapshot(1), make_snapshot(2))
    assert [stored.id for stored in load_snapshots(repository)] == [ids[1], ids[2], ids[0]]


def test_a_damaged_one_is_an_error_or_reported(repository: Repository, storage: MemoryStorage) -> None:
    good, bad = save(repository, make_snapshot(1), make_snapshot(2))
    storage.objects[object_name(FileKind.SNAPSHOT, bad)] += b"x"
    with pytest.raises(Damaged, match=bad.hex()):
        load_snapshots(repository)
    reported: dict[bytes, Damaged] = {}
    found = load_snapshots(repository, on_damaged=reported.__setitem__)
    assert [stored.id for stored in found] == [good]
    assert list(reported) == [bad]


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (SnapshotFilter(), True),
        (SnapshotFilter(hosts=["other", "nas"]), True),
        (SnapshotFilter(hosts=["other"]), False),
        (SnapshotFilter(tags=[["a"]]), True),
        (SnapshotFilter(tags=[["a", "b"]]), True),
        (SnapshotFilter(tags=[["a", "c"]]), False),
        (SnapshotFilter(tags=[["c"], ["b"]]), True),
        (SnapshotFilter(tags=[[""]]), False),
        (SnapshotFilter(paths=["/x"]), True),
        (SnapshotFilter(paths=["/x", "/y"]), True),
        (SnapshotFilter(paths=["/x", "/z"]), False),
        (SnapshotFilter(hosts=["nas"], tags=[["c"]]), False),
    ],
)
def test_filters_are_restics(wanted: SnapshotFilter, matches: bool) -> None:
    """`--tag a,b` wants both, `--tag a --tag b` either; each `--path` must be there."""
    assert wanted.matches(make_snapshot(1, paths=["/x", "/y"], tags=["a", "b"])) is matches


def test_the_empty_tag_means_no_tags() -> None:
    assert SnapshotFilter(tags=[[""]]).matches(make_snapshot(1))


def test_latest_is_the_newest_that_matches(repository: Repository) -> None:
    ids = save(repository, make_snapshot(2), make_snapshot(1), make_snapshot(3, host="other"))
    assert resolve_snapshot(repository, "latest")[0].id == ids[2]
    assert resolve_snapshot(repository, "latest", SnapshotFilter(hosts=["nas"]))[0].id == ids[0]
    with pytest.raises(SnapshotMissing, match="no snapshot matches"):
        resolve_snapshot(repository, "latest", SnapshotFilter(hosts=["nobody"]))


def test_of_two_at_the_same_time_latest_is_always_the_same_one(repository: Repository) -> None:
    save(repository, make_snapshot(1), make_snapshot(1))
    snapshots = load_snapshots(repository)
    assert latest_snapshot(snapshots) == latest_snapshot(reversed(snapshots))


def test_a_snapshot_is_named_by_the_start_of_its_id(repository: Repository) -> None:
    first, second = save(repository, make_snapshot(1), make_snapshot(2))
    for digits in (64, 20):
        assert resolve_snapshot(repository, first.hex()[:digits])[0].id == first
    assert resolve_snapshot(repository, f"{second.hex()}:data/x")[1] == "data/x"


@pytest.mark.parametrize("name", ["", "zz", "0" * 64, "Z" * 64, "/etc"])
def test_a_name_of_no_snapshot_is_missing(repository: Repository, name: str) -> None:
    save(repository, make_snapshot(1))
    with pytest.raises(SnapshotMissing, match="does not exist"):
        resolve_snapshot(repository, name)


def test_a_name_of_several_snapshots_shows_them(repository: Repository, storage: MemoryStorage) -> None:
    for number in range(12):
        storage.objects[object_name(FileKind.SNAPSHOT, b"\xab" + bytes([number]) * 31)] = b"?"
    with pytest.raises(SnapshotMissing, match=r"ab0000000000, ab0101010101, .*, …"):
        resolve_id(repository, "ab")


def test_a_subpath_is_split_off_at_the_first_colon() -> None:
    assert split_subpath("latest") == ("latest", "")
    assert split_subpath("abcd:/a:b") == ("abcd", "/a:b")


def test_the_parent_is_the_newest_before_of_the_same_host_and_paths(repository: Repository) -> None:
    ids = save(
        repository,
        make_snapshot(1),
        make_snapshot(2, paths=["/data", "/more"], tags=["t"]),
        make_snapshot(3, host="other"),
        make_snapshot(4, paths=["/elsewhere"]),
        make_snapshot(9),
    )

    def parent(
        *, host: str | None = "nas", paths: Sequence[str] | None = ("/data",), day: int = 5, tag: str = ""
    ) -> bytes | None:
        found = find_parent(
            load_snapshots(repository), host=host, paths=paths, before_ns=day * DAY_NS, tags=[tag] if tag else None
        )
        return found.id if found else None

    assert parent() == ids[1]
    assert parent(day=1) == ids[0]
    assert parent(day=0) is None
    assert parent(day=10) == ids[4]
    assert parent(host=None) == ids[2]
    assert parent(paths=None) == ids[3]
    assert parent(tag="t") == ids[1]
    assert parent(paths=("/data", "/more", "/most")) is None


def test_a_subpath_leads_to_its_tree(filler: Filler, lookup: DedupLookup) -> None:
    def node(name: bytes, kind: str) -> bytes:
        return encode_metadata(name, kind, 0, 0, 0, 0, 0, 0, "", "", 0, 0, 0, 0)

    (inner,) = filler.store([encode_tree([])], BlobType.TREE)
    middle_nodes = [finish_other(node(b"fifo", "fifo")), finish_directory(node(b"\xff", "dir"), inner)]
    (middle,) = filler.store([encode_tree(middle_nodes)], BlobType.TREE)
    (root,) = filler.store([encode_tree([finish_directory(node(b"data", "dir"), middle)])], BlobType.TREE)
    reader = BlobReader(filler.repository, lookup)
    assert find_subtree(reader, root, "") == root
    assert find_subtree(reader, root, "/data/") == middle
    assert find_subtree(reader, root, "./data//\udcff") == inner
    for missing in ("nothing", "data/fifo", "data/\udcff/deeper"):
        with pytest.raises(SnapshotMissing, match="no directory"):
            find_subtree(reader, root, missing)
