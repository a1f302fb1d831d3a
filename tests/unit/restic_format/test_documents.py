"""JSON and base64."""

from __future__ import annotations

import msgspec
import pytest

from argosy.errors import Damaged
from argosy.restic_format.documents import decode_base64, decode_document, encode_base64, is_object
from argosy.restic_format.tree import raw_nodes

NUMBERS = msgspec.json.Decoder(list[int])


def test_json_of_the_right_shape_is_decoded() -> None:
    assert decode_document(NUMBERS, b"[1,2]", "x", "a list") == [1, 2]


@pytest.mark.parametrize("data", [b"", b"[1", b'["1"]', b"[1]]", b"\xff"])
def test_anything_else_is_damage_that_says_what_was_expected(data: bytes) -> None:
    with pytest.raises(Damaged, match="index 12: it is not a list") as caught:
        decode_document(NUMBERS, data, "index 12", "a list")
    assert "check" in caught.value.hint


def test_endless_nesting_is_damage() -> None:
    """Also within a key that nobody knows."""
    with pytest.raises(Damaged, match="tree 12"):
        raw_nodes(b'{"nodes":[{"later":' + b"[" * 100_000, "tree 12")


def test_base64_comes_back() -> None:
    assert encode_base64(b"\xff\xfe\xfd\x00") == "//79AA=="
    assert decode_base64("//79AA==", "x") == b"\xff\xfe\xfd\x00"


@pytest.mark.parametrize("text", ["secret", "secre=t=", "se cret=", "__79AA==", "ü"])
def test_what_is_no_base64_is_damage_and_is_not_quoted(text: str) -> None:
    with pytest.raises(Damaged, match="key 12") as caught:
        decode_base64(text, "key 12")
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("data", [b"{}", b' {"a":[{"b":"}"}]} '])
def test_an_object_is_one_whole_value(data: bytes) -> None:
    assert is_object(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"{},{}", b'{"a":1', b'{"a":' + b"[" * 100_000])
def test_less_and_more_than_an_object_is_none_however_deep_it_is(data: bytes) -> None:
    assert not is_object(data)
