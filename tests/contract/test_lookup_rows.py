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
    assert mask._native.rows(HEADER) == mask.rows(BLOBS)
    assert mask.rows_of_header(HEADER) == mask.rows(BLOBS)
    assert mask._native.rows(HEADER[:-1]) is None


@pytest.mark.usefixtures("without_kernel")
def test_without_a_kernel_python_gives_them() -> None:
    mask = Mask(KEY)
    assert mask._native is None
    assert mask.rows_of_header(HEADER) == mask.rows(BLOBS)


@pytest.mark.parametrize("kernel", ["with_kernel", "without_kernel"])
def test_a_pack_knows_its_blobs_by_its_header(kernel: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kernel)
    pack = StoredPack(b"p" * 32, 1, HEADER)
    assert pack.blob_ids == b"".join(blob.id for blob in BLOBS)
    assert (pack.blob_count, pack.blob_type, pack.blobs) == (50, BlobType.DATA, BLOBS)
