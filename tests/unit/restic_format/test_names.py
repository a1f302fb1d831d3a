"""Names and JSON strings."""

from __future__ import annotations

import json
import unicodedata

import pytest

from argosy.errors import Damaged
from argosy.restic_format.names import decode_name, encode_name, json_string, quote_name
from argosy.restic_format.printable import printable_ranges

# Seen in trees that restic 0.18 wrote.
RECORDED = {
    b"plain.txt": b"plain.txt",
    b"\x01": rb"\\x01",
    b"\x07\x08\t\n\x0b\x0c\r": rb"\\a\\b\\t\\n\\v\\f\\r",
    b"\x1b": rb"\\x1b",
    b'"': rb"\\\"",
    b"\\": rb"\\\\",
    b"'": b"'",
    b"<>&": rb"\u003c\u003e\u0026",
    b"\x7f": rb"\\x7f",
    b"\x80": rb"\\x80",
    b"\xff\xfe": rb"\\xff\\xfe",
    b"\xed\xa0\x80": rb"\\xed\\xa0\\x80",
    b"\xc0\x80": rb"\\xc0\\x80",
    b"\xe2\x82": rb"\\xe2\\x82",
    b"\xe2\x82a": rb"\\xe2\\x82a",
    b"\xf4\x90\x80\x80": rb"\\xf4\\x90\\x80\\x80",
    b"ok\x80": rb"ok\\x80",
    "Grüße".encode(): "Grüße".encode(),
    "日本語".encode(): "日本語".encode(),
    "😀".encode(): "😀".encode(),
    "\u0080".encode(): rb"\\u0080",
    "\u00a0".encode(): rb"\\u00a0",
    "\u00ad".encode(): rb"\\u00ad",
    "\u200b".encode(): rb"\\u200b",
    "\u2028\u2029".encode(): rb"\\u2028\\u2029",
    "\u3000".encode(): rb"\\u3000",
    "\ue000".encode(): rb"\\ue000",
    "\ufffd".encode(): "\ufffd".encode(),
    "\u0301".encode(): "\u0301".encode(),
    "\u0378".encode(): rb"\\u0378",
    "\U000e0001".encode(): rb"\\U000e0001",
    "\U0010ffff".encode(): rb"\\U0010ffff",
    "\U0001fae8".encode(): "\U0001fae8".encode(),
    "\U0002ebf0".encode(): rb"\\U0002ebf0",
    b"\\x41": rb"\\\\x41",
    b"  two  ": b"  two  ",
}


@pytest.mark.parametrize("raw", RECORDED, ids=repr)
def test_a_name_has_the_bytes_that_restic_writes(raw: bytes) -> None:
    encoded = encode_name(raw)
    assert encoded == RECORDED[raw]
    assert quote_name(raw).encode() == encoded
    assert decode_name(json.loads(b'"' + encoded + b'"')) == raw


def test_every_byte_and_character_comes_back() -> None:
    names = [bytes([code]) for code in range(256)]
    names += [chr(code).encode() for code in range(0x80, 0x110000, 97) if not 0xD800 <= code <= 0xDFFF]
    for raw in names:
        assert decode_name(json.loads(b'"' + encode_name(raw) + b'"')) == raw


def test_what_prints_agrees_with_the_interpreters_unicode_where_that_is_no_newer() -> None:
    """Characters assigned in its version keep their category; later ones are left to the table."""
    printable = {code for first, last in printable_ranges() for code in range(first, last + 1)}
    newest = tuple(map(int, unicodedata.unidata_version.split("."))) > (15, 0, 0)
    for code in range(0x80, 0x110000):
        category = unicodedata.category(chr(code))
        if newest and code not in printable:
            continue
        if category != "Cn":
            assert (code in printable) == (category[0] in "LMNPS"), hex(code)


@pytest.mark.parametrize(
    ("text", "raw"),
    [(r"\101", b"A"), (r"\x41", b"A"), (r"\u0041", b"A"), (r"\U00000041", b"A"), (r"a\\b", b"a\\b")],
)
def test_other_spellings_of_go_are_read(text: str, raw: bytes) -> None:
    assert decode_name(text) == raw


@pytest.mark.parametrize("text", ["\\", r"\q", r"\x4", r"\u12", r"\ud800", r"\U00110000", r"\777", r"\'", "\\\n"])
def test_an_escape_that_go_does_not_know_is_damage(text: str) -> None:
    with pytest.raises(Damaged, match="escape"):
        decode_name(text)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", b'""'),
        ("plain ü 日本 😀", '"plain ü 日本 😀"'.encode()),
        ('a"b\\c', rb'"a\"b\\c"'),
        ("<>&", rb'"\u003c\u003e\u0026"'),
        ("\u2028\u2029", rb'"\u2028\u2029"'),
        ("\n\r\t\b\f", rb'"\n\r\t\b\f"'),
        ("\x00\x1f\x7f", b'"\\u0000\\u001f\x7f"'),
        ("\udcff\udc80x", rb'"\ufffd\ufffdx"'),
        ("\u00a0\u200b", '"\u00a0\u200b"'.encode()),
    ],
)
def test_other_strings_are_escaped_as_go_does(text: str, encoded: bytes) -> None:
    assert json_string(text) == encoded
