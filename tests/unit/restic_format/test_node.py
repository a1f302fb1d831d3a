"""Nodes."""

from __future__ import annotations

import msgspec
import pytest

from argosy.errors import Damaged
from argosy.restic_format.node import (
    Node,
    NodeFields,
    decode_node,
    encode_fields,
    encode_metadata,
    encode_node,
    encode_tail,
    finish_directory,
    finish_file,
    finish_other,
    is_canonical,
    replace_subtree,
    unknown_keys,
)

ID = bytes(range(32))
HEX = ID.hex()
SECOND = 10**9
PREFIX = b'{"name":"n"'

FILE = NodeFields(
    b"a<b",
    "file",
    0o644,
    SECOND,
    2 * SECOND,
    3 * SECOND + 5,
    1000,
    100,
    "user",
    'gr"oup',
    inode=7,
    device_id=8,
    size=9,
    links=2,
)
FILE_JSON = (
    rb'{"name":"a\u003cb","type":"file","mode":420,"mtime":"1970-01-01T00:00:01Z",'
    rb'"atime":"1970-01-01T00:00:02Z","ctime":"1970-01-01T00:00:03.000000005Z","uid":1000,"gid":100,'
    rb'"user":"user","group":"gr\"oup","inode":7,"device_id":8,"size":9,"links":2'
)
EVERY_KEY = (
    b'{"name":"n","type":"symlink","mode":134218239,"mtime":"2024-01-02T03:04:05.6Z",'
    b'"atime":"2024-01-02T03:04:05.6Z","ctime":"2024-01-02T03:04:05.6Z","uid":1,"gid":2,"user":"u","group":"g",'
    b'"inode":3,"device_id":4,"links":5,"linktarget":"\\ufffd","linktarget_raw":"/w==",'
    b'"extended_attributes":[{"name":"user.b","value":"AP8="},{"name":"user.a","value":""}],'
    b'"generic_attributes":{"windows.file_attributes":32},"device":6,"content":["' + HEX.encode() + b'"],'
    b'"subtree":"' + HEX.encode() + b'","error":"e"}'
)


def test_metadata_has_restics_keys_in_restics_order() -> None:
    assert encode_fields(FILE) == FILE_JSON
    assert encode_metadata(*msgspec.structs.astuple(FILE)[:14]) == FILE_JSON


def test_empty_keys_are_left_out_but_not_the_owners_numbers() -> None:
    fields = NodeFields(b"n", "file", 0, 0, 0, 0, 0, 0)
    epoch = b'"1970-01-01T00:00:00Z"'
    expected = b'{"name":"n","type":"file","mtime":%b,"atime":%b,"ctime":%b,"uid":0,"gid":0' % (epoch, epoch, epoch)
    assert encode_fields(fields) == expected


@pytest.mark.parametrize(
    ("node_type", "has_size", "has_links"),
    [
        ("file", True, True),
        ("symlink", False, True),
        ("dev", False, True),
        ("chardev", False, True),
        ("dir", False, False),
        ("fifo", False, False),
        ("socket", False, False),
    ],
)
def test_size_and_links_stand_where_restic_writes_them(node_type: str, has_size: bool, has_links: bool) -> None:
    """lstat has both for every type."""
    node = encode_metadata(b"n", node_type, 0o644, 0, 0, 0, 0, 0, "", "", 1, 1, 4096, 2)
    assert (b'"size":4096' in node) == has_size
    assert (b'"links":2' in node) == has_links


@pytest.mark.parametrize(
    ("linktarget", "xattrs", "device", "encoded"),
    [
        (None, [], 0, b""),
        (b"", [], 0, b""),
        (b"a<\xc3\xbc", [], 0, b',"linktarget":"a\\u003c\xc3\xbc"'),
        ("\ufffd".encode(), [], 0, ',"linktarget":"\ufffd"'.encode()),
        (b"\xff", [], 0, b',"linktarget":"\\ufffd","linktarget_raw":"/w=="'),
        (None, [("user.a", b"")], 0, b',"extended_attributes":[{"name":"user.a","value":""}]'),
        (
            b"t",
            [("user.b", b"\x00\xff"), ("user.<a", b"1")],
            259,
            b',"linktarget":"t","extended_attributes":[{"name":"user.b","value":"AP8="},'
            b'{"name":"user.\\u003ca","value":"MQ=="}],"device":259',
        ),
    ],
)
def test_the_tail_has_restics_keys_in_restics_order(
    linktarget: bytes | None, xattrs: list[tuple[str, bytes]], device: int, encoded: bytes
) -> None:
    assert encode_tail(linktarget, xattrs, device) == encoded


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_file_lists_its_blobs_and_an_empty_one_none(count: int) -> None:
    node = finish_file(PREFIX, [ID] * count)
    content = ",".join([f'"{HEX}"'] * count)
    assert node == PREFIX + f',"content":[{content}]}}'.encode()
    assert decode_node(node).content_ids() == [ID] * count


def test_a_directory_has_null_content_and_its_subtree() -> None:
    node = finish_directory(PREFIX, ID)
    assert node == PREFIX + f',"content":null,"subtree":"{HEX}"}}'.encode()
    assert decode_node(node).subtree_id() == ID


def test_anything_else_has_null_content() -> None:
    node = finish_other(PREFIX)
    assert node == PREFIX + b',"content":null}'
    assert decode_node(node).content is None
    assert decode_node(node).subtree_id() is None


def test_a_node_read_back_gives_all_values() -> None:
    node = decode_node(EVERY_KEY)
    assert node.name_bytes() == b"n"
    assert node.mtime_ns() == node.atime_ns() == node.ctime_ns() == 1_704_164_645_600_000_000
    assert node.st_mode() == 0o120777
    assert node.linktarget_bytes() == b"\xff"
    assert node.xattrs() == [("user.b", b"\x00\xff"), ("user.a", b"")]
    assert node.content_ids() == [ID]
    assert node.subtree_id() == ID
    assert (node.uid, node.gid, node.user, node.group) == (1, 2, "u", "g")
    assert (node.inode, node.device_id, node.links, node.device, node.error) == (3, 4, 5, 6, "e")


def test_every_key_of_restic_survives_encoding_again() -> None:
    assert encode_node(decode_node(EVERY_KEY)) == EVERY_KEY
    assert is_canonical(EVERY_KEY)
    assert not unknown_keys(EVERY_KEY)


def test_a_target_without_raw_bytes_is_its_text() -> None:
    assert Node("n", linktarget="ü").linktarget_bytes() == "ü".encode()


def test_an_attribute_without_a_value_is_empty() -> None:
    node = decode_node(b'{"name":"n","extended_attributes":[{"name":"a","value":null},{"name":"b"}]}')
    assert node.xattrs() == [("a", b""), ("b", b"")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name":"n"', b'"name": "n"'),
        (b'"name":"n"', b'"name":"\\u006e"'),
        (b'"name":"n"', b'"name":"\\\\x6e"'),
        (b'"uid":1', b'"uid":1,"later":true'),
        (b'"uid":1,"gid":2', b'"gid":2,"uid":1'),
        (b'"mtime":"2024-01-02T03:04:05.6Z"', b'"mtime":"2024-01-02T04:04:05.6+01:00"'),
        (b'"mtime":"2024-01-02T03:04:05.6Z"', b'"mtime":"2024-01-02T03:04:05.60Z"'),
        (b'"mtime":"2024-01-02T03:04:05.6Z"', b'"mtime":"noon"'),
        (b'"device":6', b'"size":0,"device":6'),
        (b'"error":"e"', b'"error":""'),
        (b'"value":""', b'"value":null'),
        (b"}}", b"}} "),
    ],
)
def test_another_spelling_is_not_canonical(old: bytes, new: bytes) -> None:
    other = EVERY_KEY.replace(old, new) if old in EVERY_KEY else EVERY_KEY + b" "
    assert other != EVERY_KEY
    assert not is_canonical(other)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"name":1}', b'{"name":"n","size":"1"}'])
def test_what_is_no_node_is_damage(raw: bytes) -> None:
    assert not is_canonical(raw)
    with pytest.raises(Damaged, match="tree 12"):
        decode_node(raw, "tree 12")


def test_values_that_make_no_sense_are_damage_that_names_the_node() -> None:
    node = Node("broken", mtime="noon", linktarget_raw="!", content=["12"], subtree="12")
    for read in (node.mtime_ns, node.linktarget_bytes, node.content_ids, node.subtree_id):
        with pytest.raises(Damaged, match="broken"):
            read()


def test_keys_of_later_versions_are_found() -> None:
    raw = b'{"later":{"a": 1},"name":"n"}'
    assert {key: bytes(value) for key, value in unknown_keys(raw).items()} == {"later": b'{"a": 1}'}
    assert decode_node(raw).name == "n"


def test_replacing_a_subtree_keeps_every_other_byte() -> None:
    raw = b'{"name": "n", "later": 1, "content":null,"subtree":"%b", "x": 2}' % HEX.encode()
    other = bytes(32)
    assert replace_subtree(raw, ID, other) == raw.replace(HEX.encode(), other.hex().encode())
    with pytest.raises(Damaged, match=other.hex()):
        replace_subtree(raw, other, ID)


def test_a_name_that_looks_like_a_subtree_is_not_replaced() -> None:
    name = f'"subtree":"{HEX}"'.encode()
    prefix = encode_fields(NodeFields(name, "dir", 0, 0, 0, 0, 0, 0))
    replaced = decode_node(replace_subtree(finish_directory(prefix, ID), ID, bytes(32)))
    assert (replaced.name_bytes(), replaced.subtree_id()) == (name, bytes(32))
