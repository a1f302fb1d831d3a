"""What is encoded comes back, whatever it is; and any bytes are either decoded or damage, never a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.errors import ArgosyError
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.compression import Compressor, decompress
from argosy.restic_format.config import decode_config
from argosy.restic_format.crypto import IV_BYTES, OVERHEAD_BYTES, MasterKey, Opener, Sealer, SealStream
from argosy.restic_format.index import IndexedPack, decode_index, encode_index
from argosy.restic_format.key_file import decode_key_file
from argosy.restic_format.lock_file import LockFile, decode_lock, encode_lock
from argosy.restic_format.mode import go_to_mode, mode_to_go
from argosy.restic_format.names import decode_name, encode_name, json_string
from argosy.restic_format.node import (
    NodeFields,
    decode_node,
    encode_fields,
    encode_node,
    finish_directory,
    finish_file,
    finish_other,
    is_canonical,
)
from argosy.restic_format.pack import decode_header, encode_header, pack_size_bytes
from argosy.restic_format.snapshot import Snapshot, decode_snapshot, encode_snapshot
from argosy.restic_format.times import format_time, parse_time
from argosy.restic_format.tree import decode_tree, encode_tree, iter_tree, raw_nodes

# A busy machine is no failure; and the table of all characters, made once, takes a second.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEY = MasterKey.generate(os.urandom)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
IDS = st.binary(min_size=32, max_size=32)
# Years 0 to 9999.
TIMES = st.integers(-62_167_219_200 * 10**9, 253_402_300_800 * 10**9 - 1)
# Awkward bytes more often than chance would bring them.
NAMES = (
    st.lists(
        st.one_of(
            st.binary(max_size=4),
            st.characters(codec="utf-8").map(str.encode),
            st.sampled_from([b"\\", b'"', b"<", b"\n", b"\xff", b"\xe2\x82", b"\xc2\xad", b"\xef\xbf\xbd", b"\\x41"]),
        ),
        max_size=8,
    )
    .map(b"".join)
    .filter(lambda name: name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name)
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def blobs() -> st.SearchStrategy[list[PackedBlob]]:
    """Blobs that follow each other in a pack."""
    entries = st.tuples(IDS, st.sampled_from(BlobType), st.integers(OVERHEAD_BYTES, 2**24), UINT32)

    def place(parts: list[tuple[bytes, BlobType, int, int]]) -> list[PackedBlob]:
        placed = []
        offset = 0
        for identity, kind, length, uncompressed_length in parts:
            placed.append(PackedBlob(identity, kind, offset, length, uncompressed_length))
            offset += length
        return placed

    return st.lists(entries, min_size=1, max_size=20).map(place)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A name and its encoded node."""
    kind = draw(st.sampled_from(["file", "dir", "symlink", "dev", "chardev", "fifo", "socket"]))
    fields = NodeFields(
        name=draw(NAMES),
        type=kind,
        mode=draw(UINT32),
        mtime_ns=draw(TIMES),
        atime_ns=draw(TIMES),
        ctime_ns=draw(TIMES),
        uid=draw(UINT32),
        gid=draw(UINT32),
        user=draw(TEXTS),
        group=draw(TEXTS),
        inode=draw(UINT64),
        device_id=draw(UINT64),
        size=draw(UINT64),
        links=draw(UINT64),
        linktarget=draw(st.binary(max_size=20)) if kind == "symlink" else None,
        xattrs=draw(st.lists(st.tuples(TEXTS, st.binary(max_size=20)), max_size=3)),
        device=draw(UINT64) if kind in ("dev", "chardev") else 0,
    )
    prefix = encode_fields(fields)
    if kind == "file":
        return fields.name, finish_file(prefix, draw(st.lists(IDS, max_size=3)))
    return fields.name, finish_directory(prefix, draw(IDS)) if kind == "dir" else finish_other(prefix)


@CALM
@given(st.binary(max_size=300))
def test_sealed_bytes_open(plaintext: bytes) -> None:
    assert Opener(KEY).open(Sealer(KEY, os.urandom).seal(plaintext), "piece") == plaintext


@CALM
@given(st.lists(st.binary(max_size=100), max_size=6))
def test_a_sealed_stream_opens(pieces: list[bytes]) -> None:
    stream = SealStream(KEY, os.urandom(IV_BYTES))
    sealed = b"".join([stream.update(piece) for piece in pieces]) + stream.finish()
    assert Opener(KEY).open(sealed, "piece") == b"".join(pieces)


@CALM
@given(st.binary(max_size=3000), st.integers(0, 3))
def test_compressed_bytes_inflate(content: bytes, repeat: int) -> None:
    content *= repeat
    compressor = Compressor("auto")
    assert decompress(compressor.compress(content), len(content), "blob") == content


@CALM
@given(blobs())
def test_a_header_comes_back_and_gives_the_size(packed: list[PackedBlob]) -> None:
    header = encode_header(packed)
    assert decode_header(header, "pack") == packed
    assert pack_size_bytes(packed) == sum(b.length for b in packed) + len(header) + OVERHEAD_BYTES + 4


@CALM
@given(st.lists(st.builds(IndexedPack, IDS, blobs()), max_size=5))
def test_an_index_comes_back(packs: list[IndexedPack]) -> None:
    data = encode_index(packs)
    assert decode_index(data, "index").packs == packs
    assert encode_index(decode_index(data, "index").packs) == data


@settings(CALM, max_examples=500)
@given(NAMES)
def test_a_name_comes_back_through_json(raw: bytes) -> None:
    encoded = encode_name(raw)
    text = json.loads(b'"' + encoded + b'"')
    assert decode_name(text) == raw
    assert all(character.isprintable() or ord(character) > 0x80 for character in text)


@CALM
@given(TEXTS)
def test_a_string_comes_back_through_json(text: str) -> None:
    assert json.loads(json_string(text)) == text


@settings(CALM, max_examples=500)
@given(TIMES)
def test_a_time_comes_back(ns: int) -> None:
    text = format_time(ns)
    assert parse_time(text, "x") == ns
    assert format_time(parse_time(text, "x")) == text


@CALM
@given(st.integers())
def test_any_time_has_a_text_that_reads(ns: int) -> None:
    """A file system with 64-bit seconds may hold any."""
    text = format_time(ns)
    assert format_time(parse_time(text, "x")) == text


@CALM
@given(st.integers(0, 2**32 - 1))
def test_a_mode_of_go_is_stable_after_one_conversion(mode: int) -> None:
    unix = go_to_mode(mode)
    assert go_to_mode(mode_to_go(unix)) == unix


@settings(CALM, max_examples=200)
@given(st.lists(nodes(), max_size=6, unique_by=lambda pair: pair[0]))
def test_a_tree_comes_back_and_its_nodes_are_canonical(pairs: list[tuple[bytes, bytes]]) -> None:
    encoded = [node for _, node in sorted(pairs)]
    tree = encode_tree(encoded)
    decoded = decode_tree(tree, "tree")
    assert [node.name_bytes() for node in decoded] == sorted(name for name, _ in pairs)
    assert [encode_node(node) for node in decoded] == encoded
    assert all(is_canonical(node) for node in encoded)
    assert list(iter_tree(tree, "tree")) == decoded
    assert [bytes(raw) for raw in raw_nodes(tree, "tree")] == encoded


@CALM
@given(nodes())
def test_msgspec_agrees_that_a_node_is_json(pair: tuple[bytes, bytes]) -> None:
    keys = list(msgspec.json.decode(pair[1]))
    order = [key for key in type(decode_node(pair[1])).__struct_fields__ if key in keys]
    assert keys == order


@CALM
@given(
    st.builds(
        Snapshot,
        TIMES.map(format_time),
        IDS,
        st.lists(TEXTS, max_size=3),
        parent=st.none() | IDS,
        hostname=TEXTS,
        uid=UINT32,
        tags=st.lists(TEXTS, max_size=3),
        original=st.none() | IDS,
    )
)
def test_a_snapshot_comes_back(snapshot: Snapshot) -> None:
    data = encode_snapshot(snapshot)
    again = decode_snapshot(data, "snapshot")
    assert encode_snapshot(again) == data
    assert (again.tree, again.parent, list(again.paths)) == (snapshot.tree, snapshot.parent, list(snapshot.paths))


@CALM
@given(st.builds(LockFile, TIMES.map(format_time), st.booleans(), TEXTS, TEXTS, UINT32, UINT32, UINT32))
def test_a_lock_comes_back(lock: LockFile) -> None:
    assert decode_lock(encode_lock(lock), "lock") == lock


_DECODERS: list[Callable[[bytes, str], Any]] = [
    decode_header,
    decode_index,
    decode_key_file,
    decode_lock,
    decode_node,
    decode_snapshot,
    decode_tree,
    decode_config,
    raw_nodes,
    MasterKey.from_json,
    Opener(KEY).open,
    lambda data, what: decompress(data, None, what),
    lambda data, what: decompress(data, 100, what),
]
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["nodes", "packs", "id", "blobs", "name", "time", "tree", "version", "N", "mac"]), inner
        )
    ),
    max_leaves=10,
).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("decode", _DECODERS)
@CALM
@given(data=st.binary(max_size=200) | _ANY_JSON)
def test_any_bytes_are_decoded_or_refused(decode: Callable[[bytes, str], Any], data: bytes) -> None:
    """Only errors of this program's own leave the layer."""
    refused: ArgosyError | None = None
    try:
        decode(data, "something")
    except ArgosyError as error:
        refused = error
    assert refused is None or refused.hint
