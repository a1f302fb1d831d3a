"""Patterns from --exclude, --include and their like, and from the files that --exclude-file and its like name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.cli.variables import Variables
from argosy.errors import UsageError


def given_patterns(flags: Mapping[str, Any], kind: str, variables: Variables) -> list[bytes]:
    """The patterns of ``--<kind>``, then those of each ``--<kind>-file``."""
    from argosy.filesystem.exclude import read_pattern_file

    found = [os.fsencode(text) for text in flags[kind]]
    for name in flags[f"{kind}_file"]:
        found += read_pattern_file(read_list(name), variables.as_bytes())
    return found


def read_list(name: str) -> bytes:
    """A file's content; ``-`` is standard input. UsageError if it cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", hint="Check the path of the list.") from error
