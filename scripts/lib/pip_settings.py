"""Where pip would look for packages on this machine, read without pip.

pip's files and variables, later ones winning: the system's `pip.conf`, the user's, the one that
PIP_CONFIG_FILE names, then PIP_* variables; within the files, `[install]` wins over `[global]` (pip's
documentation, "Configuration").
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# What pip itself uses when nothing is configured.
DEFAULT_INDEX = "https://pypi.org/simple"


@dataclass(frozen=True, slots=True)
class PipSettings:
    """The settings that decide where, and how, packages are fetched."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    trusted_hosts: frozenset[str]
    authorities: str | None
    client_certificate: str | None
    proxy: str | None
    timeout_seconds: float


def load_pip_settings(environment: Mapping[str, str], system: Path = Path("/etc")) -> PipSettings:
    """Read pip's settings; a file that is missing, unreadable or no INI file counts as empty."""
    values: dict[str, dict[str, str]] = {}
    for path in _configuration_files(environment, system):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in parser.sections():
            values.setdefault(section, {}).update(
                (key.lower().replace("_", "-"), value) for key, value in parser.items(section)
            )

    def find(option: str) -> str | None:
        variable = "PIP_" + option.upper().replace("-", "_")
        for value in (
            environment.get(variable),
            values.get("install", {}).get(option),
            values.get("global", {}).get(option),
        ):
            if value is not None and value.strip():
                return value.strip()
        return None

    indexes: tuple[str, ...] = ()
    if (find("no-index") or "no").lower() not in ("1", "true", "yes", "on"):
        indexes = (find("index-url") or DEFAULT_INDEX, *(find("extra-index-url") or "").split())
    return PipSettings(
        indexes=indexes,
        find_links=tuple((find("find-links") or "").split()),
        trusted_hosts=frozenset((find("trusted-host") or "").split()),
        authorities=find("cert"),
        client_certificate=find("client-cert"),
        proxy=find("proxy"),
        timeout_seconds=float(find("timeout") or find("default-timeout") or 15),
    )


def _configuration_files(environment: Mapping[str, str], system: Path) -> Iterator[Path]:
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:  # pip's own way to say "no file at all"
        return
    for directory in environment.get("XDG_CONFIG_DIRS", str(system / "xdg")).split(":"):
        yield Path(directory, "pip", "pip.conf")
    yield system / "pip.conf"
    home = environment.get("HOME")
    if home:
        yield Path(home, ".pip", "pip.conf")
        yield Path(environment.get("XDG_CONFIG_HOME") or Path(home, ".config"), "pip", "pip.conf")
    if named:
        yield Path(named)
