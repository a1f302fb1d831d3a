"""Files of one JSON document."""

from __future__ import annotations

import os

import pytest

from argosy.errors import Damaged
from argosy.restic_format.compression import Compressor
from argosy.restic_format.crypto import MasterKey, Opener, Sealer
from argosy.restic_format.unpacked import decode_unpacked, encode_unpacked

KEY = MasterKey.generate(os.urandom)
SEALER = Sealer(KEY, os.urandom)
OPENER = Opener(KEY)


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_a_document_is_stored_as_version_2_sealed(mode: str) -> None:
    """Compressed always, also with --compression off."""
    compressor = Compressor("auto" if mode == "auto" else "off")
    document = b'{"packs":[]}' * 100
    stored = encode_unpacked(document, SEALER, compressor)
    assert OPENER.open(stored, "x")[:1] == b"\x02"
    assert len(stored) < len(document)
    assert decode_unpacked(stored, OPENER, "x") == document


@pytest.mark.parametrize("document", [b"{}", b'[{"a":1}]'])
def test_a_document_of_version_1_is_read(document: bytes) -> None:
    assert decode_unpacked(SEALER.seal(document), OPENER, "x") == document


@pytest.mark.parametrize("plaintext", [b"", b"\x01{}", b"\x03{}", b"x", b"\x02", b"\x02{}"])
def test_any_other_form_is_damage(plaintext: bytes) -> None:
    with pytest.raises(Damaged, match="snapshot 12"):
        decode_unpacked(SEALER.seal(plaintext), OPENER, "snapshot 12")


def test_a_changed_file_is_damage() -> None:
    stored = bytearray(encode_unpacked(b"{}", SEALER, Compressor("auto")))
    stored[20] ^= 1
    with pytest.raises(Damaged, match="lock 12"):
        decode_unpacked(stored, OPENER, "lock 12")
