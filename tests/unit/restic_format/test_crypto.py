"""Sealing, opening, keys."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from argosy.errors import Damaged
from argosy.restic_format.crypto import (
    IV_BYTES,
    OVERHEAD_BYTES,
    SALT_BYTES,
    MasterKey,
    Opener,
    Sealer,
    SealStream,
    derive_key,
    derive_key_plainly,
)

KEY = MasterKey(bytes(range(32)), bytes(range(32, 48)), bytes(range(48, 64)))
# Around the limits of blocks, of what goes through the reused buffer, and of that buffer.
LENGTHS = [0, 1, 15, 16, 17, 1000, 64 * 1024, 64 * 1024 + 1, 1_000_001, 64 * 1024 + 1, 16 * 1024 * 1024 + 1]


def _seal_plainly(plaintext: bytes, iv: bytes) -> bytes:
    """The format's definition, with fresh contexts."""
    ciphertext = Cipher(algorithms.AES(KEY.encrypt), modes.CTR(iv)).encryptor().update(plaintext)
    pad = Cipher(algorithms.AES(KEY.mac_k), modes.ECB()).encryptor().update(iv)
    return iv + ciphertext + Poly1305.generate_tag(KEY.mac_r + pad, ciphertext)


def test_each_piece_is_sealed_as_the_format_defines_whatever_was_sealed_before() -> None:
    sealer, opener = Sealer(KEY, os.urandom), Opener(KEY)
    for length in LENGTHS:
        plaintext = os.urandom(length)
        sealed = sealer.seal(plaintext)
        assert len(sealed) == length + OVERHEAD_BYTES
        assert sealed == _seal_plainly(plaintext, sealed[:IV_BYTES])
        assert opener.open(sealed, "piece") == plaintext


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_is_sealed_and_opened(wrap: Callable[[bytes], bytes]) -> None:
    sealed = Sealer(KEY, os.urandom).seal(wrap(b"content"))
    assert Opener(KEY).open(wrap(sealed), "piece") == b"content"


def test_no_nonce_comes_twice_within_and_across_draws() -> None:
    sealer = Sealer(KEY, os.urandom)
    nonces = {sealer.seal(b"x")[:IV_BYTES] for _ in range(1000)}
    assert len(nonces) == 1000


def test_nonces_are_the_drawn_bytes_each_used_once() -> None:
    drawn = bytearray()

    def draw(length: int) -> bytes:
        drawn.extend(os.urandom(length))
        return bytes(drawn[-length:])

    sealer = Sealer(KEY, draw)
    used = {sealer.seal(b"x")[:IV_BYTES] for _ in range(300)}
    given = {bytes(drawn[at : at + IV_BYTES]) for at in range(0, len(drawn), IV_BYTES)}
    assert used <= given


def test_an_all_zero_nonce_is_never_used() -> None:
    one_good = Sealer(KEY, lambda length: bytes(length - IV_BYTES) + b"n" * IV_BYTES)
    assert [one_good.seal(b"x")[:IV_BYTES] for _ in range(3)] == [b"n" * IV_BYTES] * 3
    with pytest.raises(ValueError, match="zeros"):
        Sealer(KEY, bytes).seal(b"x")
    with pytest.raises(Damaged, match="nonce"):
        Opener(KEY).open(_seal_plainly(b"x", bytes(IV_BYTES)), "piece")


def test_every_flipped_bit_is_noticed() -> None:
    sealed = Sealer(KEY, os.urandom).seal(b"four")
    opener = Opener(KEY)
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged, match="pack 1234: its signature"):
            opener.open(changed, "pack 1234")
    assert opener.open(sealed, "pack 1234") == b"four"


@pytest.mark.parametrize("length", [0, 1, OVERHEAD_BYTES - 1])
def test_too_few_bytes_are_damage(length: int) -> None:
    with pytest.raises(Damaged, match=f"blob: {length} bytes"):
        Opener(KEY).open(bytes(length), "blob")


def test_another_key_does_not_open() -> None:
    sealed = Sealer(KEY, os.urandom).seal(b"x")
    for part in range(3):
        parts = [KEY.encrypt, KEY.mac_k, KEY.mac_r]
        parts[part] = os.urandom(len(parts[part]))
        opener = Opener(MasterKey(*parts))
        if part:
            with pytest.raises(Damaged):
                opener.open(sealed, "x")
        else:
            assert opener.open(sealed, "x") != b"x"


@pytest.mark.parametrize("pieces", [[], [b""], [b"x"], [b"a" * 5, b"b" * 100_000, b"", b"c" * 16]])
def test_a_stream_gives_the_bytes_of_one_sealing(pieces: list[bytes]) -> None:
    iv = os.urandom(IV_BYTES)
    stream = SealStream(KEY, iv)
    sealed = b"".join([stream.update(piece) for piece in pieces]) + stream.finish()
    assert sealed == _seal_plainly(b"".join(pieces), iv)


@pytest.mark.parametrize("iv", [b"", bytes(15), bytes(16), b"x" * 17])
def test_a_stream_refuses_an_unusable_iv(iv: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        SealStream(KEY, iv)


def test_no_text_form_of_a_key_shows_any_of_it() -> None:
    assert repr(KEY) == str(KEY) == "MasterKey()"


def test_a_key_in_json_is_restics() -> None:
    text = (
        b'{"mac":{"k":"ICEiIyQlJicoKSorLC0uLw==","r":"MDEyMzQ1Njc4OTo7PD0+Pw=="},'
        b'"encrypt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}'
    )
    assert KEY.to_json() == text
    assert MasterKey.from_json(text) == KEY


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"mac":{"k":"","r":""},"encrypt":""}',
        b'{"mac":{"k":"!","r":"!"},"encrypt":"secret!"}',
        b'{"mac":{"k":"AAAA","r":"AAAA"},"encrypt":"AAAA"}',
    ],
)
def test_what_is_no_key_is_damage_and_is_not_quoted(text: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        MasterKey.from_json(text)
    assert "secret" not in str(caught.value)
    assert "AAAA" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("material", [bytes(64), b"x" * 63, b"x" * 32 + bytes(16) + b"x" * 16])
def test_a_key_with_a_zero_part_or_of_another_length_is_refused(material: bytes) -> None:
    with pytest.raises(Damaged, match="key"):
        MasterKey.from_bytes(material)


def test_a_generated_key_is_all_of_the_drawn_bytes() -> None:
    key = MasterKey.generate(lambda length: bytes(range(length)))
    assert key == KEY


@pytest.mark.parametrize("derive", [derive_key, derive_key_plainly])
@pytest.mark.parametrize(("n", "r", "p"), [(2, 1, 1), (8, 3, 1), (1024, 8, 2), (32_768, 8, 1)])
def test_derivation_is_scrypt_of_the_password(
    derive: Callable[[bytes, bytes, int, int, int], MasterKey], n: int, r: int, p: int
) -> None:
    """Compared with the standard library's, with the native kernel and without."""
    salt = bytes(range(SALT_BYTES))
    material = hashlib.scrypt(b"p\xff", salt=salt, n=n, r=r, p=p, maxmem=1 << 27, dklen=64)
    assert derive(b"p\xff", salt, n, r, p) == MasterKey(material[:32], material[32:48], material[48:])


@pytest.mark.parametrize(("n", "r", "p"), [(0, 1, 1), (1, 1, 1), (3, 1, 1), (2, 0, 1), (2, 1, 0), (-2, 1, 1)])
def test_numbers_that_scrypt_refuses_are_damage(n: int, r: int, p: int) -> None:
    with pytest.raises(Damaged, match=f"N={n}, r={r}, p={p}"):
        derive_key(b"", bytes(SALT_BYTES), n, r, p)


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_salt_of_another_length_is_damage(length: int) -> None:
    with pytest.raises(Damaged, match="salt"):
        derive_key(b"", bytes(length), 2, 1, 1)
