"""The process's environment, read here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping

FAMILIES = ("ARGOSY_", "RESTIC_")

# What each kind of store is given of the environment. Secrets go to the store that needs them and no further.
_CLOUD_PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "azure": "AZURE_"}

# What FROM_<name> says of the repository that is copied from, as <name> does of the command's own.
_OF_A_REPOSITORY = ("REPOSITORY", "REPOSITORY_FILE", "PASSWORD", "PASSWORD_FILE", "PASSWORD_COMMAND", "KEY_HINT")


class Variables:
    """Environment variables. An empty one counts as not set."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def get(self, name: str) -> str | None:
        """The variable ``name``, exactly."""
        return self._environment.get(name) or None

    def first(self, name: str) -> str | None:
        """``ARGOSY_<name>``, else ``RESTIC_<name>``."""
        return next((value for family in FAMILIES if (value := self.get(family + name))), None)

    def flag(self, name: str) -> bool:
        """Whether ``ARGOSY_<name>`` or ``RESTIC_<name>`` says yes."""
        return (self.first(name) or "").lower() in ("1", "true", "yes", "on")

    def refuses(self, name: str) -> bool:
        """Whether ``ARGOSY_<name>`` says no."""
        return (self.get("ARGOSY_" + name) or "").lower() in ("0", "false", "no", "off")

    def credentials(self, scheme: str) -> dict[str, str]:
        """The variables for a store of that scheme: AWS_*, GOOGLE_* or AZURE_*."""
        prefix = _CLOUD_PREFIXES.get(scheme)
        if prefix is None:
            return {}
        return {name: value for name, value in self._environment.items() if name.startswith(prefix) and value}

    def of_source(self) -> Variables:
        """The variables for the repository that is copied from: ``FROM_PASSWORD`` stands for ``PASSWORD`` …"""
        environment = dict(self._environment)
        for name in (family + name for family in FAMILIES for name in _OF_A_REPOSITORY):
            family, _, rest = name.partition("_")
            environment[name] = environment.get(f"{family}_FROM_{rest}", "")
        return Variables(environment)

    def as_bytes(self) -> dict[bytes, bytes]:
        """All variables as raw bytes, for patterns that name them."""
        return {os.fsencode(name): os.fsencode(value) for name, value in self._environment.items()}
