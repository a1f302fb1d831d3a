"""Many names against many components at once: the exclude rules' share of the scan's hot loop.

Set and tuple operations answer for literal names, ``*x`` and ``x*``; only other components need an
expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from argosy.filesystem.glob_syntax import Component


class _Tests(msgspec.Struct, frozen=True):
    literals: frozenset[bytes]
    prefixes: tuple[bytes, ...]
    suffixes: tuple[bytes, ...]
    expression: re.Pattern[bytes] | None


def select_names(components: tuple[Component, ...], names: Sequence[bytes]) -> set[bytes]:
    """Those of the names that at least one of the components matches."""
    tests = _tests(components)
    selected = set(tests.literals.intersection(names)) if tests.literals else set()
    if tests.prefixes:
        selected.update([name for name in names if name.startswith(tests.prefixes)])
    if tests.suffixes:
        selected.update([name for name in names if name.endswith(tests.suffixes)])
    if tests.expression:
        matches = tests.expression.fullmatch
        selected.update([name for name in names if matches(name)])
    return selected


# A directory's components are those for all directories and the few for it: hardly more than one set is in
# use.
@lru_cache(maxsize=64)
def _tests(components: tuple[Component, ...]) -> _Tests:
    general = [c.expression for c in components if c.literal is c.prefix is c.suffix is None]
    return _Tests(
        frozenset(c.literal for c in components if c.literal is not None),
        tuple(c.prefix for c in components if c.prefix is not None),
        tuple(c.suffix for c in components if c.suffix is not None),
        re.compile(b"|".join(b"(?:" + e + b")" for e in general), re.DOTALL) if general else None,
    )
