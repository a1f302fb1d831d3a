"""restic's patterns over absolute paths: which path a list of patterns matches, and what may match below it.

A pattern is a list of components. It matches a path if its components match consecutive components of the
path, wherever they stand, unless it starts with "/": then they start at the root. Whatever lies below a
match matches too. ``**`` stands for any number of components. A pattern that starts with ``!`` takes back
what earlier ones of the list matched. Slashes at the end, "." and ".." are resolved first, as Go's
filepath.Clean does. Source: restic, internal/filter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, takewhile

import msgspec

from argosy.errors import UsageError
from argosy.filesystem.glob_syntax import BadPattern, Component, parse_component
from argosy.filesystem.name_tests import select_names

_ANY_DEPTH = None
_ANY_NAME = parse_component(b"*")
_END = rb"(?=/|\Z)"
_DIRECTORIES = rb"(?:/[^/]*)*"


class Pattern(msgspec.Struct, frozen=True):
    """A parsed pattern; in ``components`` None stands for ``**``."""

    negated: bool
    anchored: bool
    components: tuple[Component | None, ...]


def parse_pattern(text: bytes) -> Pattern:
    """Parse one pattern. Raises BadPattern."""
    negated = text.startswith(b"!")
    path = _clean(text[negated:])
    anchored = path.startswith(b"/")
    names = path[anchored:].split(b"/")
    # "/" alone is "/**" to restic: its one component is the empty one, which is how it marks "**".
    components = [None if name in (b"**", b"") else parse_component(name) for name in names]
    return Pattern(negated, anchored, tuple(components))


def _clean(path: bytes) -> bytes:
    # Unlike normpath, Go keeps no second slash at the start.
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith(b"//") else cleaned


def lower_case(text: bytes) -> bytes:
    """Go's strings.ToLower: character by character; bytes that are no UTF-8 become U+FFFD."""
    if text.isascii():
        return text.lower()
    decoded = text.decode("utf-8", "surrogateescape")
    # U+0130 is the one character whose lower case Python writes as two; Go keeps the first.
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c.lower()[0] for c in decoded).encode()


class PatternList:
    """A list of patterns, in order. Empty patterns are left out. Thread-safe.

    ``matches`` answers for one absolute path; ``matching_names`` for all names of a directory at once,
    which costs the scan a fraction of it. Raises UsageError that names every malformed pattern.
    """

    def __init__(self, patterns: Iterable[bytes], *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._patterns: list[Pattern] = []
        malformed = []
        for text in patterns:
            try:
                if text:
                    self._patterns.append(parse_pattern(lower_case(text) if ignore_case else text))
            except BadPattern:
                malformed.append(text)
        if malformed:
            raise UsageError(
                "invalid patterns: " + ", ".join(repr(text)[1:] for text in malformed),
                hint='Close each "[", and write "\\\\" for a backslash at the end.',
            )
        # Patterns of one sign that follow each other need no order among themselves.
        self._groups = [(negated, _path_test(list(group))) for negated, group in groupby(self._patterns, _is_negated)]
        self._below = [(pattern.negated, _below_test(pattern)) for pattern in self._patterns]
        self._names = None if any(map(_needs_whole_paths, self._patterns)) else _NameTests(self._patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: bytes) -> bool:
        """Whether the list matches the absolute path, or a directory above it."""
        if self._ignore_case:
            path = lower_case(path)
        matched = False
        for negated, test in self._groups:
            if matched == negated:
                matched = test(path) != negated
        return matched

    def matches_or_below(self, path: bytes) -> tuple[bool, bool]:
        """Whether the list matches the path, and whether it may match something below it (``--include``)."""
        matched = self.matches(path)
        if self._ignore_case:
            path = lower_case(path)
        below = False
        for negated, test in self._below:
            if below == negated:
                below = test(path) != negated
        return matched, below

    def matching_names(self, directory: bytes, names: Sequence[bytes]) -> set[bytes]:
        """Those of the directory's names that the list matches; ``directory`` is an absolute path."""
        if not self._patterns or not names:
            return set()
        if self._names is None:
            start = directory.rstrip(b"/") + b"/"
            return {name for name in names if self.matches(start + name)}
        if self.matches(directory):
            return set(names)
        if not self._ignore_case:
            return self._names.select(directory, names)
        lowered: dict[bytes, list[bytes]] = {}
        for name in names:
            lowered.setdefault(lower_case(name), []).append(name)
        chosen = self._names.select(lower_case(directory), list(lowered))
        return {name for lower in chosen for name in lowered[lower]}


def _is_negated(pattern: Pattern) -> bool:
    return pattern.negated


def _needs_whole_paths(pattern: Pattern) -> bool:
    """Whether a name cannot be judged by its directory and itself alone."""
    return pattern.negated or _is_irregular(pattern)


def _is_irregular(pattern: Pattern) -> bool:
    """restic tries fewer lengths for the first of several ``**`` than a regular expression would."""
    return pattern.components.count(_ANY_DEPTH) > 1


def _path_test(patterns: Sequence[Pattern]) -> Callable[[bytes], bool]:
    """A test of whether one of the patterns matches an absolute path (their signs play no part)."""
    regular = [_path_expression(pattern) for pattern in patterns if not _is_irregular(pattern)]
    search = re.compile(b"|".join(regular) or rb"(?!)", re.DOTALL).search
    irregular = [pattern for pattern in patterns if _is_irregular(pattern)]
    if not irregular:
        return lambda path: search(path) is not None
    # The expressions of irregular patterns match too much, never too little.
    possible = re.compile(b"|".join(map(_path_expression, irregular)), re.DOTALL).search

    def test(path: bytes) -> bool:
        if search(path):
            return True
        return possible(path) is not None and any(_matches_stepwise(pattern, path) for pattern in irregular)

    return test


def _matches_stepwise(pattern: Pattern, path: bytes) -> bool:
    """restic's match, which replaces one ``**`` after the other by as many ``*`` as the path leaves room for."""
    names = path[1:].split(b"/")
    return _expand(list(pattern.components), pattern.anchored, names)


def _expand(components: list[Component | None], anchored: bool, names: Sequence[bytes]) -> bool:
    if _ANY_DEPTH not in components:
        return _matches_plain([c for c in components if c is not None], anchored, names)
    position = components.index(_ANY_DEPTH)
    # The root counts as a component of the path, and of an anchored pattern.
    room = len(names) + 1 - len(components) - anchored + 1
    for count in range(room + 1):
        expanded = [*components[:position], *[_ANY_NAME] * count, *components[position + 1 :]]
        if _expand(expanded, anchored, names):
            return True
    return False


def _matches_plain(components: Sequence[Component], anchored: bool, names: Sequence[bytes]) -> bool:
    if not components:
        return anchored
    offsets = range(1 if anchored else len(names) - len(components) + 1)
    return len(components) <= len(names) and any(
        all(
            re.fullmatch(component.expression, name, re.DOTALL)
            for component, name in zip(components, names[offset:], strict=False)
        )
        for offset in offsets
    )


def _significant(pattern: Pattern) -> tuple[Component | None, ...]:
    """The components without a ``**`` at the end, which adds nothing to "and all below", or at a free
    start.
    """
    components = pattern.components
    if components[-1] is _ANY_DEPTH:
        components = components[:-1]
    if components and components[0] is _ANY_DEPTH and not pattern.anchored:
        components = components[1:]
    return components


def _path_expression(pattern: Pattern) -> bytes:
    return _directory_expression(pattern, _significant(pattern)) + _END if _significant(pattern) else rb"\A/"


def _directory_expression(pattern: Pattern, components: Iterable[Component | None]) -> bytes:
    anchor = rb"\A" if pattern.anchored else b""
    return anchor + b"".join(_DIRECTORIES if c is None else b"/" + c.expression for c in components)


def _below_test(pattern: Pattern) -> Callable[[bytes], bool]:
    """Whether something below a path may match: restic's childMatch; of a negated pattern, whether it takes the path.

    An anchored pattern's components before ``**`` must agree with the path, as far as both go.
    """
    if pattern.negated:
        return _path_test([pattern])
    if not pattern.anchored:
        return lambda _: True
    fixed = takewhile(lambda component: component is not None, pattern.components)
    tests = [re.compile(component.expression, re.DOTALL).fullmatch for component in fixed if component is not None]
    return lambda path: all(test(name) for test, name in zip(tests, path[1:].split(b"/"), strict=False))


class _NameTests:
    """What each pattern asks of a name's directory, and then of the name.

    Only for patterns without a sign, and for directories that no pattern matches: what matches a path below
    such a directory must end with the name.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._everywhere: list[Component] = []
        self._somewhere: list[tuple[re.Pattern[bytes], Component]] = []
        for pattern in patterns:
            *above, last = _significant(pattern) or (None,)
            if last is None:
                continue  # matches every directory already
            if above or pattern.anchored:
                directory = _directory_expression(pattern, above) + rb"\Z"
                self._somewhere.append((re.compile(directory, re.DOTALL), last))
            else:
                self._everywhere.append(last)

    def select(self, directory: bytes, names: Sequence[bytes]) -> set[bytes]:
        """The names that match."""
        directory = directory.rstrip(b"/")
        here = [component for test, component in self._somewhere if test.search(directory)]
        return select_names(tuple(self._everywhere + here), names)
