"""The rows of the dedup lookup are the same whether the kernel masks a pack's header or Python does."""

from __future__ import annotations

import os

import pytest

from argosy import native
from argosy.repository.lookup_file import Mask
from argosy.repository.packer import StoredPack
from argosy.restic_format.blob import BlobType, PackedBlob
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.pack import encode_header
from tests.support.native import built_kernel

KEY = MasterKey.generate(os.urandom)
BLOBS = [
    PackedBlob(bytes([number]) * 32, BlobType(number % 2), 1000 * number, 1000, 70_000 * (number % 3))
    for number in range(50)
]
HEADER = encode_header(BLOBS)
PACKS = [(BLOBS, 3), ([PackedBlob(b"o" * 32, BlobType.DATA, 0, 1000, 0), BLOBS[1]], 2**40)]
HEADERS = [(encode_header(blobs), number) for blobs, number in PACKS]


@pytest.fixture
def with_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_loaded", built_kernel())


@pytest.fixture
def without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_loaded", None)
    monkeypatch.setattr(native, "_reason", "a test goes without")


@pytest.mark.usefixtures("with_kernel")
def test_a_header_gives_the_rows_of_its_blobs() -> None:
    mask = Mask(KEY)
    assert mask._native is not None
    assert list(mask.sorted_rows_of_headers(HEADERS)) == mask.sorted_rows(PACKS)
    assert mask._native.rows([*HEADERS, (HEADER[:-1], 4)]) is None
    assert list(mask.sorted_rows_of_headers([])) == []


@pytest.mark.usefixtures("without_kernel")
def test_without_a_kernel_python_gives_them() -> None:
    mask = Mask(KEY)
    assert mask._native is None
    assert list(mask.sorted_rows_of_headers(HEADERS)) == mask.sorted_rows(PACKS)


def test_rows_are_in_the_order_of_their_keys_and_name_their_pack() -> None:
    mask = Mask(KEY)
    rows = mask.sorted_rows(PACKS)
    assert rows == sorted(rows)
    assert {(key, place) for key, pack, place in rows if pack == 2**40} == set(mask.rows(PACKS[1][0]))


@pytest.mark.parametrize("kernel", ["with_kernel", "without_kernel"])
def test_a_pack_knows_its_blobs_by_its_header(kernel: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kernel)
    pack = StoredPack(b"p" * 32, 1, HEADER)
    assert pack.blob_ids == b"".join(blob.id for blob in BLOBS)
    assert (pack.blob_count, pack.blob_type, pack.blobs) == (50, BlobType.DATA, BLOBS)
