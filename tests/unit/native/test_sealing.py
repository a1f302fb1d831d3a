"""What the kernel seals is what the plain rules of the format say, whichever instructions the processor has for it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from argosy import native
from tests.support.native import built_kernel

KEY = bytes(range(64))
OVERHEAD = 32
AS_IT_IS = (native.NEVER, (1, 0, 0), (1, 0, 0), 0, True)
# Registers take 64 bytes, eight of them at a time.
LENGTHS = (1, 15, 16, 17, 63, 64, 65, 127, 511, 512, 513, 575, 576, 1023, 1024, 1025, 4097)
# The counter's lower half, or all of it, runs over in the midst.
NONCES = (b"\1" * 16, bytes(7) + b"\1" + b"\xff" * 8, b"\xff" * 15 + b"\xf0", b"\7" * 8 + b"\xff" * 7 + b"\xe0")


def sealed(content: bytes, nonce: bytes) -> bytes:
    built_kernel()
    session = native.session(KEY)
    assert session is not None
    room = bytearray(len(content) + OVERHEAD)
    blob = (0, len(content), sha256(content).digest())
    many = session.seal_many(bytearray(content), [blob], nonce, AS_IT_IS, room)
    assert (many.done, many.size_bytes, many.sound) == (1, len(room), bytearray(b"\1"))
    return bytes(room)


def encrypted(content: bytes, nonce: bytes) -> bytes:
    return Cipher(algorithms.AES(KEY[:32]), modes.CTR(nonce)).encryptor().update(content)


@pytest.mark.parametrize("nonce", NONCES, ids=lambda nonce: nonce.hex()[:20])
def test_the_ciphertext_of_each_length(nonce: bytes) -> None:
    for length in LENGTHS:
        content = sha256(b"%d" % length).digest() * (length // 32 + 1)
        content = content[:length]
        assert sealed(content, nonce)[16:-16] == encrypted(content, nonce), length


@given(content=st.binary(min_size=1, max_size=3000), nonce=st.binary(min_size=16, max_size=16).filter(any))
def test_the_ciphertext_of_any_content(content: bytes, nonce: bytes) -> None:
    found = sealed(content, nonce)
    assert found[:16] == nonce
    assert found[16:-16] == encrypted(content, nonce)
