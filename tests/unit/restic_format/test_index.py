"""Index files."""

from __future__ import annotations

import pytest

from argosy.errors import Damaged
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.index import IndexedPack, decode_index, encode_index

ID = b"\xab" * 32
HEX = "ab" * 32
PACKS = [
    IndexedPack(ID, [PackedBlob(ID, BlobType.DATA, 0, 38), PackedBlob(ID, BlobType.DATA, 38, 112, 511)]),
    IndexedPack(ID, [PackedBlob(ID, BlobType.TREE, 2**32 + 1, 123, 234)]),
]
JSON = (
    f'{{"packs":[{{"id":"{HEX}","blobs":['
    f'{{"id":"{HEX}","type":"data","offset":0,"length":38}},'
    f'{{"id":"{HEX}","type":"data","offset":38,"length":112,"uncompressed_length":511}}]}},'
    f'{{"id":"{HEX}","blobs":['
    f'{{"id":"{HEX}","type":"tree","offset":4294967297,"length":123,"uncompressed_length":234}}]}}]}}\n'
).encode()


def test_an_index_has_the_bytes_that_restic_writes() -> None:
    assert encode_index(PACKS) == JSON
    index = decode_index(JSON, "index")
    assert index.packs == PACKS
    assert not index.supersedes


def test_an_index_without_packs_is_read() -> None:
    assert encode_index([]) == b'{"packs":[]}\n'
    assert decode_index(b'{"packs":null}', "index").packs == []


def test_what_an_old_index_supersedes_is_read() -> None:
    assert decode_index(f'{{"supersedes":["{HEX}"],"packs":[]}}'.encode(), "index").supersedes == [ID]


def test_keys_of_later_versions_are_passed_over() -> None:
    later = JSON.replace(b'"offset":0', b'"later":[1],"offset":0')
    assert decode_index(later, "index").packs == PACKS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b'{"packs":[{"id":"12","blobs":[]}]}',
        JSON.replace(b'"tree"', b'"other"'),
        JSON.replace(b'"offset":0', b'"offset":-1'),
        JSON.replace(b'"length":38', b'"length":-38'),
        JSON.replace(b'"length":38', b'"length":"38"'),
        JSON.replace(HEX.encode(), HEX.upper().encode()),
        JSON + b"x",
    ],
)
def test_what_is_no_index_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged, match="index 12"):
        decode_index(data, "index 12")
