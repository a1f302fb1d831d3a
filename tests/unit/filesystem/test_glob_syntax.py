"""One component of a pattern, against an independent matcher that goes byte by byte as Go's does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.filesystem.glob_syntax import BadPattern, parse_component


def matches(pattern: bytes, name: bytes) -> bool:
    component = parse_component(pattern)
    found = re.fullmatch(component.expression, name, re.DOTALL) is not None
    # The quick forms must say the same as the expression.
    if component.literal is not None:
        assert (name == component.literal) is found
    if component.prefix is not None:
        assert name.startswith(component.prefix) is found
    if component.suffix is not None:
        assert name.endswith(component.suffix) is found
    return found


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("abc", "xabc", False),
        ("*", "", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "abc", True),
        ("a*b", "acb", True),
        ("a*b", "ab", True),
        ("a*b", "abc", False),
        ("a*b*c", "axbxbxc", True),
        ("a**b", "axxb", True),
        ("***", "", True),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^b-d]", "abe", True),
        ("ab[!c]", "abc", True),
        ("ab[!c]", "ab!", True),
        ("ab[!c]", "abd", False),
        ("[d-b]", "c", False),
        ("[^d-b]", "c", True),
        ("a?c", "aéc", True),
        ("a[é]c", "aéc", True),
        ("a[à-ÿ]c", "aéc", True),
        ("a[^à-ÿ]c", "aéc", False),
        ("[ж-я]", "я", True),
        ("[Ω-Ω]", "ω", False),
        ("[一-龥]", "中", True),
        ("[\U00010000-\U0010ffff]", "😀", True),
        ("[a-\U0010ffff]", "😀", True),
        ("[^a-\U0010ffff]", "😀", False),
        ("??", "é", False),
        ("[\\]a]", "]", True),
        ("[\\-]", "-", True),
        ("[x\\-]", "x", True),
        ("[a\\-z]", "b", False),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("\\a", "a", True),
        ("a\\[b", "a[b", True),
        ("[*]", "*", True),
        ("[?]x*", "?xyz", True),
        ("a]b", "a]b", True),
        ("*.[tT][mM][pP]", "x.TmP", True),
        ("*\n*", "a\nb", True),
        ("a?", "a\n", True),
        ("[^a]", "\n", True),
        ("$^.|()+{}", "$^.|()+{}", True),
        ("[$.^]", "^", True),
    ],
)
def test_components_match_as_gos_do(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern.encode(), name.encode()) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (b"a?c", b"a\xffc", True),
        (b"a??c", b"a\xff\xfec", True),
        (b"a??c", "aéc".encode(), False),
        (b"a\xc3*", "aé".encode(), True),
        (b"a*\xa9", "aé".encode(), True),
        (b"[^x]", b"\xff", True),
        ("[\ufffd]".encode(), b"\xff", True),
        ("[\ufffd]".encode(), "\ufffd".encode(), True),
        ("[^\ufffd]".encode(), b"\xff", False),
        ("[é]".encode(), b"\xc3", False),
        (b"??", b"\xe2\x82", True),
        (b"?", b"\xe2\x82", False),
    ],
)
def test_bytes_that_are_no_utf8_are_characters_of_their_own(pattern: bytes, name: bytes, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        b"[",
        b"[]",
        b"[^]",
        b"[a",
        b"[a-",
        b"[a-]",
        b"[-]",
        b"[-a]",
        b"[]a]",
        b"[a]]-[",
        b"\\",
        b"a*\\",
        b"[\\",
        b"x[\xff]",
    ],
)
def test_malformed_components_are_refused(pattern: bytes) -> None:
    with pytest.raises(BadPattern):
        parse_component(pattern)


def test_a_hostile_component_takes_no_exponential_time() -> None:
    component = parse_component(b"*a" * 30 + b"b")
    assert not re.fullmatch(component.expression, b"a" * 5000, re.DOTALL)


ALPHABET = st.sampled_from(
    [b"a", b"b", b"*", b"?", b"[", b"]", b"^", b"-", b"\\", "é".encode(), "λ".encode(), b"\xff", b"\xc3"]
)
PATTERNS = st.lists(ALPHABET, max_size=9).map(b"".join)
NAMES = st.lists(
    st.sampled_from([b"a", b"b", b"-", b"]", b"[", b"\\", "é".encode(), "λ".encode(), b"\xff", b"\xc3", b"\xa9"]),
    max_size=7,
).map(b"".join)


@given(PATTERNS, NAMES)
def test_any_component_matches_as_gos_do(pattern: bytes, name: bytes) -> None:
    try:
        expected = go_match(pattern, name)
    except BadPattern:
        expected = None
    try:
        found = matches(pattern, name)
    except BadPattern:
        found = None
    assert found is expected


def go_match(pattern: bytes, name: bytes) -> bool:
    """Go's filepath.Match, told as its documentation and its behaviour have it: position by position."""
    chunks = split(pattern)
    result = True
    for number, (star, chunk) in enumerate(chunks):
        last = number == len(chunks) - 1
        checked(chunk)
        if not result:
            continue
        places = range(len(name) + 1) if star else range(1)
        for place in places:
            rest = match_chunk(chunk, name[place:])
            if star and last and not chunk:
                rest = b""
            if rest is not None and (not last or not rest):
                name = rest
                break
        else:
            result = False
    return result and not name


def split(pattern: bytes) -> list[tuple[bool, bytes]]:
    chunks: list[tuple[bool, bytes]] = []
    while pattern:
        rest = pattern.lstrip(b"*")
        star = rest != pattern
        end, inside = 0, False
        while end < len(rest):
            if rest[end] == ord("\\") and end + 1 < len(rest):
                end += 1
            elif rest[end] in b"[]":
                inside = rest[end] == ord("[")
            elif rest[end] == ord("*") and not inside:
                break
            end += 1
        chunks.append((star, rest[:end]))
        pattern = rest[end:]
    return chunks


def checked(chunk: bytes) -> None:
    """Raise BadPattern for a malformed chunk, whatever it is matched with."""
    match_chunk(chunk, b"", check_only=True)


def match_chunk(chunk: bytes, name: bytes, *, check_only: bool = False) -> bytes | None:
    failed = check_only
    while chunk:
        head, chunk = chunk[:1], chunk[1:]
        failed = failed or not name
        if head == b"[":
            character, length = decode(name) if not failed else (-1, 0)
            name = name[length:]
            found, chunk = match_class(chunk, character)
            failed = failed or not found
        elif head == b"?":
            name = name if failed else name[decode(name)[1] :]
        else:
            if head == b"\\":
                if not chunk:
                    raise BadPattern
                head, chunk = chunk[:1], chunk[1:]
            failed = failed or name[:1] != head
            name = name[1:]
    return None if failed else name


def match_class(chunk: bytes, character: int) -> tuple[bool, bytes]:
    negated = chunk[:1] == b"^"
    chunk = chunk[negated:]
    found, count = False, 0
    while chunk[:1] != b"]" or not count:
        low, chunk = class_character(chunk)
        high = low
        if chunk[:1] == b"-":
            high, chunk = class_character(chunk[1:])
        found = found or low <= character <= high
        count += 1
    return found != negated, chunk[1:]


def class_character(chunk: bytes) -> tuple[int, bytes]:
    if chunk[:1] in (b"", b"-", b"]"):
        raise BadPattern
    if chunk[:1] == b"\\":
        chunk = chunk[1:]
    if not chunk:
        raise BadPattern
    character, length = decode(chunk)
    if (character == 0xFFFD and length == 1) or len(chunk) == length:
        raise BadPattern
    return character, chunk[length:]


def decode(data: bytes) -> tuple[int, int]:
    """The first character and its length; U+FFFD and 1 for a byte that starts none."""
    for length in (1, 2, 3, 4):
        try:
            return ord(data[:length].decode()), length
        except (UnicodeDecodeError, TypeError):
            continue
    return 0xFFFD, 1
