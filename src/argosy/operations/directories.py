"""Where state and caches lie when nothing else is said."""

from __future__ import annotations

from pathlib import Path


def default_state_directory(*, is_root: bool, home: Path) -> Path:
    """Where jobs are recorded."""
    return Path("/var/lib/argosy") if is_root else home / ".local/state/argosy"


def default_cache_directory(*, is_root: bool, home: Path) -> Path:
    """Where caches are kept."""
    return Path("/var/cache/argosy") if is_root else home / ".cache/argosy"
