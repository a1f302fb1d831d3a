"""Which part of a snapshot is restored: the patterns of --include and --exclude, over locations within it.

As in restic: an excluded directory is left out with all below it. With includes a directory that does not match is
still walked where something below it may match, and then gets its metadata.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from argosy.errors import UsageError
from argosy.filesystem.patterns import PatternList


class SelectionSpec(msgspec.Struct, frozen=True, array_like=True):
    """The patterns as given; ``iexclude`` and ``iinclude`` ignore the case."""

    exclude: Sequence[bytes] = ()
    iexclude: Sequence[bytes] = ()
    include: Sequence[bytes] = ()
    iinclude: Sequence[bytes] = ()


class Selection:
    """The rules of one restore. UsageError for a malformed pattern, or for includes and excludes together."""

    def __init__(self, spec: SelectionSpec) -> None:
        self._excludes = _lists(spec.exclude, spec.iexclude)
        self._includes = _lists(spec.include, spec.iinclude)
        if self._excludes and self._includes:
            raise UsageError(
                "exclude and include patterns are mutually exclusive",
                hint="Name what to restore, or what to leave out.",
            )

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self._excludes or self._includes)

    def chosen(self, directory: bytes, names: Sequence[bytes]) -> set[bytes]:
        """Those of a directory's names that are restored; ``directory`` is an absolute location."""
        if self._includes:
            found: set[bytes] = set()
            for patterns in self._includes:
                found |= patterns.matching_names(directory, names)
            return found
        chosen = set(names)
        for patterns in self._excludes:
            chosen -= patterns.matching_names(directory, names)
        return chosen

    def enters(self, location: bytes, chosen: bool) -> bool:
        """Whether something below a directory may be restored; ``chosen``: whether it is itself."""
        if not self._includes:
            return chosen
        return any(patterns.matches_or_below(location)[1] for patterns in self._includes)

    def selects(self, location: bytes) -> bool:
        """Whether an absolute location belongs to what is restored (and so may be deleted)."""
        if self._includes:
            return any(patterns.matches(location) for patterns in self._includes)
        return not any(patterns.matches(location) for patterns in self._excludes)


def _lists(patterns: Sequence[bytes], insensitive: Sequence[bytes]) -> list[PatternList]:
    lists = (PatternList(insensitive, ignore_case=True), PatternList(patterns))
    return [patterns for patterns in lists if patterns]
