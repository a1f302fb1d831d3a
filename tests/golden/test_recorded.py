"""A repository that restic 0.18 once made, and cut points once found: neither may ever read otherwise.

``recorded/`` holds `restic backup .` of a directory with the file "ü <&>" (content "x") and dir/link -> "ü".
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyfastcdc.py
import pytest

from argosy.restic_format import chunker
from argosy.restic_format.blob import BlobType, blob_id
from argosy.restic_format.chunker import (
    AVERAGE_CHUNK_BYTES,
    MAX_CHUNK_BYTES,
    MIN_CHUNK_BYTES,
    Chunker,
    gear_seed,
)
from argosy.restic_format.index import decode_index
from argosy.restic_format.node import is_canonical
from argosy.restic_format.snapshot import decode_snapshot
from argosy.restic_format.tree import decode_tree, raw_nodes
from tests.golden.reader import Reader
from tests.support.restic import PASSWORD

POLYNOMIAL = 0x3DA3358B4DC173
CUTS = [
    1520076,
    977884,
    2053159,
    1267541,
    1341510,
    1402060,
    1355274,
    1122898,
    734093,
    1362127,
    1476924,
    929513,
    684510,
    1061251,
    1336918,
    1474626,
    1682564,
    1362339,
    560250,
    1460307,
]


def _sample(length: int) -> bytes:
    return hashlib.shake_256(b"argosy").digest(length)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(Path(__file__).parent / "recorded", PASSWORD)


def test_the_recorded_repository_reads_whole(reader: Reader) -> None:
    """Key, config, snapshot, index, packs, trees, names."""
    assert reader.config().version == 2
    (document,) = reader.documents("snapshots").values()
    snapshot = decode_snapshot(document, "snapshot")
    assert (snapshot.hostname, list(snapshot.paths), list(snapshot.tags)) == ("nas", ["/srv/nas"], ["t"])
    assert snapshot.program_version == "restic 0.18.0"
    assert snapshot.summary is not None
    assert snapshot.summary.files_new == 1
    blobs = reader.blobs()
    (index,) = reader.documents("index").values()
    assert {b.id for pack in decode_index(index, "index").packs for b in pack.blobs} == blobs.keys()
    directory, file = decode_tree(blobs[snapshot.tree][1], "root")
    assert (directory.name_bytes(), file.name_bytes()) == (b"dir", "ü <&>".encode())
    assert file.content_ids() == [blob_id(b"x")]
    assert blobs[blob_id(b"x")][1] == b"x"
    assert file.mtime_ns() == 1_704_164_645_600_000_000
    subtree = directory.subtree_id()
    assert subtree is not None
    (link,) = decode_tree(blobs[subtree][1], "dir")
    assert link.linktarget_bytes() == "ü".encode()


def test_every_recorded_node_is_canonical(reader: Reader) -> None:
    for blob, content in reader.blobs().values():
        if blob.type == BlobType.TREE:
            assert all(is_canonical(raw) for raw in raw_nodes(content, "tree"))


def test_cut_points_are_those_of_the_first_release() -> None:
    """Other cuts would upload every changed file whole once more."""
    assert Chunker(POLYNOMIAL).cut(_sample(24 * 1024 * 1024), True) == CUTS
    assert gear_seed(POLYNOMIAL) == 0x3268FFE4F5D53404


def test_the_slow_form_cuts_at_the_same_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunker, "FastCDC", pyfastcdc.py.FastCDC)
    length = sum(CUTS[:2]) + MIN_CHUNK_BYTES
    cuts = Chunker(POLYNOMIAL, allow_slow=True).cut(_sample(length), True)
    assert cuts == [*CUTS[:2], MIN_CHUNK_BYTES]


def test_bytes_without_variety_are_cut_at_the_largest_size() -> None:
    length = 2 * MAX_CHUNK_BYTES + AVERAGE_CHUNK_BYTES
    assert Chunker(POLYNOMIAL).cut(bytes(length), True) == [
        MAX_CHUNK_BYTES,
        MAX_CHUNK_BYTES,
        AVERAGE_CHUNK_BYTES,
    ]
