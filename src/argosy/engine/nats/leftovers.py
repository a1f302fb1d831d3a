"""What a member has reported and no master has confirmed, kept for the next session of the same work."""

from __future__ import annotations

from typing import Protocol


class Leftovers(Protocol):
    """Called from a session's thread. ``handler`` and ``setup`` tell what the work is."""

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        """A link was lost before these reports were confirmed. The master may have had them."""

    def take(self, handler: str, setup: bytes) -> list[bytes]:
        """Reports to say first: those kept for the same work that still hold. They are kept no more."""


class NoLeftovers:
    """Nothing is kept: the work is done again."""

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        """They are dropped."""

    def take(self, handler: str, setup: bytes) -> list[bytes]:  # noqa: ARG002 - the protocol's
        """There are none."""
        return []


NO_LEFTOVERS = NoLeftovers()
