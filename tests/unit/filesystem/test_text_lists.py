"""Lists in text files, read as restic reads them."""

from __future__ import annotations

import pytest

from argosy.filesystem.text_lists import expand_variables, listed_patterns, text_lines


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\nb\n\n", [b"a", b"", b"b", b""]),
        (b" a \n\xff\n", [b" a ", b"\xff"]),
        (b"a\x1cb\x0bc\n", [b"a\x1cb\x0bc"]),
        (b"\xef\xbb\xbfa\n", [b"a"]),
        ("\ufeffé\nb".encode("utf-16-le"), ["é".encode(), b"b"]),
        ("\ufeffé\nb".encode("utf-16-be"), ["é".encode(), b"b"]),
    ],
)
def test_lines_are_raw_and_a_byte_order_mark_is_obeyed(data: bytes, lines: list[bytes]) -> None:
    assert text_lines(data) == lines


def test_patterns_are_trimmed_and_comments_left_out() -> None:
    data = b"# comment\n\n  \t\n  a b \n  # indented\n\xc2\xa0x\xe3\x80\x80\n\x1cy\nz # kept\n"
    assert listed_patterns(data) == [b"a b", b"x", b"\x1cy", b"z # kept"]


@pytest.mark.parametrize(
    ("line", "expanded"),
    [
        (b"$HOME/x", b"/home/me/x"),
        (b"${HOME}x", b"/home/mex"),
        (b"$HOMEx/y", b"/y"),
        (b"$UNKNOWN/x", b"/x"),
        (b"cost$$", b"cost$"),
        (b"${$}", b"$"),
        (b"a$", b"a$"),
        (b"a$ b", b"a$ b"),
        (b"a$/b", b"a$/b"),
        (b"${}x", b"x"),
        (b"${HOME", b"HOME"),
        (b"$*.tmp", b".tmp"),
        (b"$1x", b"x"),
        (b"$12", b"2"),
        (b"${1}x", b"x"),
        (b"${A-B}", b"odd"),
        (b"$\xc3\xa9", b"$\xc3\xa9"),
        (b"no variable", b"no variable"),
    ],
)
def test_variables_are_replaced_as_gos_expand_does(line: bytes, expanded: bytes) -> None:
    assert expand_variables(line, {b"HOME": b"/home/me", b"A-B": b"odd", b"1": b""}) == expanded
