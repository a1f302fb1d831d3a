"""Snapshots."""

from __future__ import annotations

import pytest

from argosy.errors import Damaged
from argosy.restic_format.snapshot import Snapshot, SnapshotSummary, decode_snapshot, encode_snapshot

ID = bytes(range(32))
HEX = ID.hex()
TIME = "2024-01-02T03:04:05.6Z"
SUMMARY = SnapshotSummary(TIME, TIME, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
FULL = Snapshot(
    TIME,
    ID,
    ["/a<b>", "/ü"],
    parent=ID,
    hostname="h",
    username="u",
    uid=1,
    gid=2,
    excludes=["*.tmp"],
    tags=["t", "plan:1"],
    original=ID,
    program_version="argosy 1",
    summary=SUMMARY,
)
FULL_JSON = (
    f'{{"time":"{TIME}","parent":"{HEX}","tree":"{HEX}","paths":["/a\\u003cb\\u003e","/ü"],"hostname":"h",'
    f'"username":"u","uid":1,"gid":2,"excludes":["*.tmp"],"tags":["t","plan:1"],"original":"{HEX}",'
    f'"program_version":"argosy 1","summary":{{"backup_start":"{TIME}","backup_end":"{TIME}","files_new":1,'
    '"files_changed":2,"files_unmodified":3,"dirs_new":4,"dirs_changed":5,"dirs_unmodified":6,"data_blobs":7,'
    '"tree_blobs":8,"data_added":9,"data_added_packed":10,"total_files_processed":11,'
    '"total_bytes_processed":12}}'
).encode()


def test_every_key_stands_where_restic_writes_it() -> None:
    assert encode_snapshot(FULL) == FULL_JSON
    assert decode_snapshot(FULL_JSON, "snapshot") == FULL


def test_empty_keys_are_left_out_but_not_the_paths() -> None:
    data = encode_snapshot(Snapshot(TIME, ID, []))
    assert data == f'{{"time":"{TIME}","tree":"{HEX}","paths":[]}}'.encode()
    assert encode_snapshot(decode_snapshot(data, "snapshot")) == data


def test_the_time_keeps_its_offset_and_is_known_in_utc() -> None:
    data = FULL_JSON.replace(TIME.encode(), b"2024-01-02T04:04:05.6+01:00")
    snapshot = decode_snapshot(data, "snapshot")
    assert encode_snapshot(snapshot) == data
    assert snapshot.time_ns() == FULL.time_ns() == 1_704_164_645_600_000_000


def test_unknown_keys_are_kept() -> None:
    """Another tool's remarks survive a change of tags."""
    data = FULL_JSON[:-1] + b',"label":"x y","delete":{"at": [1]}}'
    snapshot = decode_snapshot(data, "snapshot")
    assert {key: bytes(value) for key, value in snapshot.unknown.items()} == {
        "label": b'"x y"',
        "delete": b'{"at": [1]}',
    }
    assert encode_snapshot(snapshot) == data


def test_a_path_that_is_not_utf8_is_written_as_restic_does() -> None:
    data = encode_snapshot(Snapshot(TIME, ID, ["/\udcff"]))
    assert rb'"paths":["/\ufffd"]' in data


def test_null_lists_are_empty() -> None:
    data = f'{{"time":"{TIME}","tree":"{HEX}","paths":null,"tags":null,"parent":null}}'.encode()
    snapshot = decode_snapshot(data, "snapshot")
    assert (list(snapshot.paths), list(snapshot.tags), snapshot.parent) == ([], [], None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        FULL_JSON.replace(HEX.encode(), b"12"),
        FULL_JSON.replace(b'"paths":[', b'"paths":[1,'),
        FULL_JSON.replace(f'"time":"{TIME}"'.encode(), b'"time":"noon"'),
    ],
)
def test_what_is_no_snapshot_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged, match="snapshot 12"):
        decode_snapshot(data, "snapshot 12")
