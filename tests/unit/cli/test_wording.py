"""Sizes, durations and names as restic words them, and fit for a terminal."""

from __future__ import annotations

import pytest

from argosy.cli import wording
from argosy.cli.table import table


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.000 KiB"),
        (3000005, "2.861 MiB"),
        (5 << 30, "5.000 GiB"),
        (3 << 41, "6.000 TiB"),
        (0.5, "0 B"),
    ],
)
def test_sizes_have_three_digits_as_in_restic(size_bytes: float, text: str) -> None:
    assert wording.size(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0:00"), (61, "1:01"), (3723, "1:02:03"), (90000, "25:00:00")])
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"/plain/name with space", "/plain/name with space"),
        ("/päth/文".encode(), "/päth/文"),
        (b"a\nb", r'"a\nb"'),
        (b"\x1b[31mred", r'"\x1b[31mred"'),
        (b"\xff", r'"\xff"'),
        (b'say "x"\n', r'"say \"x\"\n"'),
        ("rtl\u202e".encode(), r'"rtl\u202e"'),
    ],
)
def test_names_cannot_steer_a_terminal(name: bytes, text: str) -> None:
    assert wording.printable(name) == text
    assert wording.printable(name.decode("utf-8", "surrogateescape")) == text


def test_json_has_replacement_characters_for_what_is_not_utf8() -> None:
    assert wording.json_text(b"a\xffb") == "a\ufffdb"
    assert wording.json_text("a\udcffb") == "a\ufffdb"


def test_counted_speaks_of_one_and_many() -> None:
    assert wording.counted(1, "file") == "1 file"
    assert wording.counted(1234, "entry", "entries") == "1,234 entries"


def test_a_table_is_ruled_as_wide_as_its_widest_row() -> None:
    lines = table(("ID", "Size", "Paths"), [("a1", "5 B", "/x\n/longer"), ("b", "10 MiB", "文字")], right=(1,))
    assert lines == [
        "ID    Size  Paths",
        "-------------------",
        "a1     5 B  /x",
        "            /longer",
        "b   10 MiB  文字",
        "-------------------",
    ]


def test_a_table_without_rows_is_a_head() -> None:
    assert table(("ID",), []) == ["ID", "--", "--"]
