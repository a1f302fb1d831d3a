"""Key files."""

from __future__ import annotations

import os

import msgspec
import pytest

from argosy.errors import Damaged, WrongPassword
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.key_file import KeyFile, decode_key_file, encode_key_file, seal_key_file

MASTER = MasterKey.generate(os.urandom)
KEY = seal_key_file(MASTER, b"p\xff", os.urandom, created="now", username="u", hostname="<h>", n=2, r=1, p=1)


def test_the_password_opens_the_key_and_no_other_does() -> None:
    assert KEY.unlock(b"p\xff", "key 12") == MASTER
    for wrong in (b"", b"p", b"p\xff "):
        with pytest.raises(WrongPassword, match="key 12"):
            KEY.unlock(wrong, "key 12")


def test_a_key_file_comes_back() -> None:
    data = encode_key_file(KEY)
    assert decode_key_file(data, "key") == KEY
    assert data.startswith(
        rb'{"created":"now","username":"u","hostname":"\u003ch\u003e","kdf":"scrypt","N":2,"r":1,"p":1,"salt":"'
    )


def test_each_key_file_has_its_own_salt() -> None:
    other = seal_key_file(MASTER, b"p\xff", os.urandom, created="", username="", hostname="", n=2, r=1, p=1)
    assert other.salt != KEY.salt
    assert other.data != KEY.data


def test_neither_form_holds_the_password_or_the_key() -> None:
    for text in (repr(KEY), encode_key_file(KEY).decode()):
        assert MASTER.encrypt.hex() not in text
        assert "p\\xff" not in text


@pytest.mark.parametrize(
    "change",
    [{"kdf": "argon2"}, {"salt": b"short"}, {"n": 3}, {"n": 2**40}, {"r": 2**30}, {"p": 0}, {"n": -4}],
)
def test_a_key_file_that_makes_no_sense_is_damage_not_a_wrong_password(change: dict[str, object]) -> None:
    """And none makes scrypt take all memory."""
    broken: KeyFile = msgspec.structs.replace(KEY, **change)
    with pytest.raises(Damaged):
        broken.unlock(b"p\xff", "key 12")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        encode_key_file(KEY).replace(b'"salt":"', b'"salt":"!'),
        encode_key_file(KEY).replace(b'"N":2', b'"N":"2"'),
    ],
)
def test_what_is_no_key_file_is_damage(data: bytes) -> None:
    with pytest.raises(Damaged, match="key 12"):
        decode_key_file(data, "key 12")
