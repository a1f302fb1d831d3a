"""restic's pattern language: the cases of its documentation, and its quirks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import UsageError
from argosy.filesystem.patterns import PatternList, lower_case


def matches(pattern: str, path: str) -> bool:
    return PatternList([pattern.encode()]).matches(path.encode())


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.go", "/foo/bar/test.go", True),
        ("*.c", "/foo/bar/test.go", False),
        ("*", "/foo", True),
        ("**", "/foo/bar", True),
        ("foo*", "/foo/bar/test.go", True),
        ("/bar*", "/foo/bar/test.go", False),
        ("bar/*", "/foo/bar/test.go", True),
        ("baz/*", "/foo/bar/test.go", False),
        ("bar", "/foo/bar/below/it", True),
        ("bar/", "/foo/bar", True),
        ("./bar", "/foo/bar", True),
        ("/foo///bar", "/foo/bar", True),
        ("//foo", "/foo", True),
        ("/foo/../bar", "/bar", True),
        ("/foo", "/foo/baz", True),
        ("/foo", "/a/foo", False),
        ("/foo/*", "/foo", False),
        ("/foo/*", "/foo/baz", True),
        ("/foo/**", "/foo", True),
        ("/**/bar", "/foo/x/bar", True),
        ("/**/bar", "/bar", True),
        ("/foo/**/bar", "/foo/bar", True),
        ("/foo/**/bar", "/foo/a/b/bar/c", True),
        ("/foo/**/bar", "/x/foo/bar", False),
        ("foo/**/bar/*.go", "/home/user/foo/work/special/bar/test.go", True),
        ("foo/**/bar/**/x", "/home/user/foo/bla/bar/shared/work/x", True),
        ("user/**/important*", "/home/user/work/hidden/x", False),
        ("/", "/anything/at/all", True),
        ("/**", "/anything", True),
        ("*/foo", "/foo", False),
        ("*/foo", "/x/foo", True),
        ("[fb]oo", "/boo", True),
        ("foo", "/foobar", False),
        ("foo", "/barfoo", False),
        ("a\nb", "/x/a\nb", True),
        (".", "/foo", False),
        ("..", "/foo", False),
    ],
)
def test_patterns_match_as_restics_do(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        # The first ** may not take what the second could need, even if the second takes nothing.
        ("/a/**/b/**/c", "/a/x/b/c", False),
        ("/a/**/b/**/c", "/a/b/x/c", True),
        ("/a/**/b/**/c", "/a/x/b/y/c", True),
        ("/a/**/b/**/c", "/a/b/c", False),
        ("a/**/b/**/c", "/a/x/b/c", True),
        # Three in a row leave no room in a short path.
        ("a/**/**/**/b", "/a/b", False),
        ("a/**/**/**/b", "/z/a/b", True),
        ("**/**", "/foo", True),
    ],
)
def test_several_double_stars_have_restics_quirks(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["*.go", "!*.c"], "/x.go", True),
        (["/foo/*/test.*", "!*.c"], "/foo/bar/test.c", False),
        (["!**", "*.go"], "/foo/test.go", True),
        (["/foo/*", "!/foo/bar", "/foo/bar/x"], "/foo/bar", False),
        (["/foo/*", "!/foo/bar", "/foo/bar/x"], "/foo/bar/x", True),
        (["/foo/*", "!/foo/bar", "/foo/bar/x"], "/foo/bar/y", False),
        (["*", "!*.c", "!*.h"], "/a.h", False),
        (["", "*.c"], "/a.c", True),
        ([""], "/a.c", False),
        (["\\!a"], "/!a", True),
        (["!"], "/a", False),
    ],
)
def test_a_later_negation_takes_back(patterns: list[str], path: str, expected: bool) -> None:
    assert PatternList(pattern.encode() for pattern in patterns).matches(path.encode()) is expected


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["foo/bar"], "/foo", (False, True)),
        (["/foo/bar/baz"], "/foo", (False, True)),
        (["/foo/bar/baz"], "/foo/baz", (False, False)),
        (["/foo/bar/baz"], "/foo/bar/baz/below", (True, True)),
        (["/foo/**/qux"], "/foo/bar/boo", (False, True)),
        (["/foo/**/qux"], "/bar", (False, False)),
        (["/foo/*/qux"], "/foo/bar/boo", (False, False)),
        (["/*/*/bar/test.*", "*.go"], "/foo/bar/test.go", (True, True)),
        (["/foo/*/test.*", "!*.c"], "/foo/bar/test.c", (False, False)),
        (["/foo/bar/*", "!/foo/bar/[a-m]*"], "/foo", (False, True)),
        ([], "/foo", (False, False)),
    ],
)
def test_what_may_match_below_is_told(patterns: list[str], path: str, expected: tuple[bool, bool]) -> None:
    """What a restore with --include asks of each directory."""
    assert PatternList(p.encode() for p in patterns).matches_or_below(path.encode()) == expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        (b"*.JPG", b"/x/a.jpg", True),
        (b"*.jpg", b"/x/A.JPG", True),
        ("É*".encode(), "/éa".encode(), True),
        ("İ".encode(), b"/i", True),
        # A sigma at the end of a word has a second small form, which Go does not choose.
        ("жД\N{GREEK CAPITAL LETTER SIGMA}".encode(), "/жд\N{GREEK SMALL LETTER SIGMA}".encode(), True),
        # Every byte that is no UTF-8 becomes the same character.
        (b"a\xff", b"/A\xfe", True),
        (b"\xff\xff", b"/\xfe", False),
        (b"[A-C]x", b"/BX", True),
    ],
)
def test_case_is_ignored_where_asked(pattern: bytes, path: bytes, expected: bool) -> None:
    patterns = PatternList([pattern], ignore_case=True)
    assert patterns.matches(path) is expected
    directory, _, name = path.rpartition(b"/")
    assert patterns.matching_names(directory or b"/", [name]) == ({name} if expected else set())


def test_lower_case_keeps_what_has_none() -> None:
    assert lower_case("AÉ中\U0001f600ß".encode()) == "aé中\U0001f600ß".encode()


def test_malformed_patterns_are_all_named() -> None:
    with pytest.raises(UsageError) as caught:
        PatternList([b"good", b"[bad", b"/x/wor\\se\\/y"])
    assert "'[bad'" in caught.value.message
    assert "wor" in caught.value.message
    assert "good" not in caught.value.message


def test_a_list_without_patterns_is_false_and_matches_nothing() -> None:
    patterns = PatternList([b"", b""])
    assert not patterns
    assert not patterns.matches(b"/x")
    assert patterns.matching_names(b"/", [b"x"]) == set()


COMPONENTS = st.sampled_from(["a", "b", "*", "**", "a*", "*b", "?", "[ab]", "A"])
PATTERNS = st.builds(
    lambda sign, anchor, parts: (sign + anchor + "/".join(parts)).encode(),
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(COMPONENTS, min_size=1, max_size=4),
)
DIRECTORIES = st.lists(st.sampled_from([b"a", b"b", b"ab", b"c"]), max_size=3).map(lambda n: b"/" + b"/".join(n))
NAMES = [b"a", b"b", b"ab", b"ba", b"c", b"A"]


@given(st.lists(PATTERNS, max_size=4), DIRECTORIES, st.booleans())
def test_judging_names_together_gives_what_each_path_gives(
    texts: list[bytes], directory: bytes, ignore_case: bool
) -> None:
    patterns = PatternList(texts, ignore_case=ignore_case)
    expected = {name for name in NAMES if patterns.matches(directory.rstrip(b"/") + b"/" + name)}
    assert patterns.matching_names(directory, NAMES) == expected


@given(PATTERNS.filter(lambda p: not p.startswith(b"!")), DIRECTORIES, st.sampled_from(NAMES))
def test_patterns_match_as_a_component_by_component_matcher_does(pattern: bytes, directory: bytes, name: bytes) -> None:
    path = directory.rstrip(b"/") + b"/" + name
    assert PatternList([pattern]).matches(path) is restic_match(parts(pattern), ["/", *path.decode()[1:].split("/")])


def parts(pattern: bytes) -> list[str]:
    text = pattern.decode()
    return ["/", *text[1:].split("/")] if text.startswith("/") else text.split("/")


def restic_match(pattern: list[str], names: list[str]) -> bool:
    """restic's rule with nothing left out: ** gives way to ever more *, then components are held side by side."""
    if "**" in pattern:
        position = pattern.index("**")
        return any(
            restic_match([*pattern[:position], *["*"] * count, *pattern[position + 1 :]], names)
            for count in range(len(names) - len(pattern) + 2)
        )
    first, last = (0, 0) if pattern[:1] == ["/"] else (1, len(names) - len(pattern))
    return bool(pattern) and any(
        len(pattern) <= len(names) and all(map(same, pattern, names[offset:])) for offset in range(first, last + 1)
    )


def same(component: str, name: str) -> bool:
    tests = {
        "*": True,
        "a*": name[:1] == "a",
        "*b": name[-1:] == "b",
        "?": len(name) == 1,
        "[ab]": name in ("a", "b"),
    }
    return tests.get(component, component == name)
