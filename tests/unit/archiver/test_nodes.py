"""From a stat to a node's first bytes."""

from __future__ import annotations

import pytest

from argosy.archiver.nodes import NodeEncoder, rename_node, totals_of_node
from argosy.filesystem.directory import Entry
from argosy.restic_format.names import encode_name
from argosy.restic_format.node import decode_node, finish_file, finish_other
from tests.unit.archiver.conftest import DEVICE, DIRECTORY, LINK, PIPE, TIME_NS, file_node, prefix_of, stat_of

NAMES = [b"a", b'"', b'","type":"file', b"back\\", b"\xff\n", b"u\xcc\x88"]


@pytest.mark.parametrize("old", NAMES)
@pytest.mark.parametrize("new", NAMES)
def test_a_renamed_node_differs_in_its_name_alone(old: bytes, new: bytes) -> None:
    node = file_node(Entry(old, stat_of(links=2)), "x")
    assert rename_node(node, encode_name(new)) == file_node(Entry(new, stat_of(links=2)), "x")


def test_only_files_count_in_the_totals() -> None:
    """And what looks like a size in a name does not."""
    name = b',"size":99'
    assert totals_of_node(file_node(Entry(name, stat_of(size=12)), "x")) == {
        "total_files_processed": 1,
        "total_bytes_processed": 12,
    }
    empty = totals_of_node(file_node(Entry(name, stat_of(size=0))))
    assert empty == {"total_files_processed": 1, "total_bytes_processed": 0}
    assert totals_of_node(finish_other(prefix_of(Entry(b'"type":"file"', stat_of(LINK))))) == {}


@pytest.mark.parametrize(("with_atime", "atime_ns"), [(True, TIME_NS - 5 * 10**9), (False, TIME_NS)])
def test_the_access_time_is_written_on_demand(with_atime: bool, atime_ns: int) -> None:
    stat = stat_of()
    stat = type(stat)(tuple(stat), {"st_atime_ns": TIME_NS - 5 * 10**9, "st_mtime_ns": TIME_NS, "st_ctime_ns": TIME_NS})
    encoder = NodeEncoder(with_atime=with_atime, device_id_always=True)
    node = decode_node(finish_file(encoder.prefix(b"a", stat, "", "", DEVICE, 7), []))
    assert node.atime_ns() == atime_ns
    assert node.mtime_ns() == TIME_NS


@pytest.mark.parametrize(("always", "links", "device"), [(True, 1, DEVICE), (False, 1, 0), (False, 2, DEVICE)])
def test_the_device_is_left_out_on_demand_where_it_tells_nothing(always: bool, links: int, device: int) -> None:
    encoder = NodeEncoder(with_atime=False, device_id_always=always)
    node = decode_node(finish_file(encoder.prefix(b"a", stat_of(links=links), "", "", DEVICE, 7), []))
    assert node.device_id == device


def test_the_size_is_what_was_read() -> None:
    encoder = NodeEncoder(with_atime=False, device_id_always=True)
    assert decode_node(finish_file(encoder.prefix(b"a", stat_of(size=3), "", "", 1, 1, 9), [])).size == 9
    assert decode_node(finish_file(encoder.prefix(b"a", stat_of(size=3), "", "", 1, 1), [])).size == 3


@pytest.mark.parametrize("mode", [DIRECTORY, LINK, PIPE])
def test_only_files_have_a_size(mode: int) -> None:
    assert b'"size"' not in prefix_of(Entry(b"a", stat_of(mode, size=4096)))
