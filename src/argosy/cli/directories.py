"""Where state and caches lie when nobody says.

State: ``--state-dir``, ``ARGOSY_STATE_DIR``, systemd's ``$STATE_DIRECTORY``, for root ``/var/lib/argosy``, else
``$XDG_STATE_HOME/argosy`` (``~/.local/state/argosy``).

Cache: ``--cache-dir``, ``ARGOSY_CACHE_DIR``, systemd's ``$CACHE_DIRECTORY``, ``$RESTIC_CACHE_DIR/argosy`` (of its own:
restic's caches and ours must not mix), ``$XDG_CACHE_HOME/argosy``, for root ``/var/cache/argosy``, else
``~/.cache/argosy``.
"""

from __future__ import annotations

import os
from pathlib import Path

from argosy.cli.variables import Variables
from argosy.errors import UsageError
from argosy.operations.directories import default_cache_directory, default_state_directory


def state_directory(given: str | None, variables: Variables, *, is_root: bool) -> Path:
    """The state directory; it need not exist."""
    chosen = given or variables.get("ARGOSY_STATE_DIR") or _from_systemd(variables.get("STATE_DIRECTORY"))
    if chosen:
        return Path(os.path.abspath(chosen))
    xdg = None if is_root else _xdg(variables, "XDG_STATE_HOME")
    if xdg is not None:
        return xdg / "argosy"
    return default_state_directory(is_root=is_root, home=_home(variables, "--state-dir", is_root=is_root))


def cache_directory(given: str | None, variables: Variables, *, is_root: bool) -> Path:
    """The cache directory; it need not exist."""
    chosen = given or variables.get("ARGOSY_CACHE_DIR") or _from_systemd(variables.get("CACHE_DIRECTORY"))
    if chosen:
        return Path(os.path.abspath(chosen))
    restics = variables.get("RESTIC_CACHE_DIR")
    if restics:
        return Path(os.path.abspath(restics)) / "argosy"
    xdg = _xdg(variables, "XDG_CACHE_HOME")
    if xdg is not None:
        return xdg / "argosy"
    return default_cache_directory(is_root=is_root, home=_home(variables, "--cache-dir", is_root=is_root))


def _from_systemd(value: str | None) -> str | None:
    """systemd lists several directories with colons; the first is ours (systemd.exec(5))."""
    return value.partition(":")[0] if value else None


def _xdg(variables: Variables, name: str) -> Path | None:
    """A relative path is to be ignored (XDG Base Directory Specification)."""
    value = variables.get(name)
    return Path(value) if value and value.startswith("/") else None


def _home(variables: Variables, flag: str, *, is_root: bool) -> Path:
    home = variables.get("HOME") or ("/root" if is_root else None)
    if home is None:
        raise UsageError("the home directory is not known ($HOME is not set)", hint=f"Name a directory with {flag}.")
    return Path(home)
