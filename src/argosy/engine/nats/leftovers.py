"""What a member has reported and no master has confirmed, kept for the next session of the same work."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Leftover(msgspec.Struct, frozen=True):
    """A report to say again, and what to tell this member's own workers of it before their first task.

    They may rely on it: the master hears the report before it hears of anything that they do.
    """

    report: bytes
    notice: bytes


class Leftovers(Protocol):
    """Called from a session's thread. ``handler`` and ``setup`` tell what the work is."""

    def are_of(self, handler: str) -> bool:
        """Whether work of this handler may leave any."""

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        """A link was lost before these reports were confirmed. The master may have had them."""

    def take(self, handler: str, setup: bytes) -> list[Leftover]:
        """What to say first: reports kept for the same work that still hold. They are kept no more."""


class NoLeftovers:
    """Nothing is kept: the work is done again."""

    def are_of(self, handler: str) -> bool:  # noqa: ARG002 - the protocol's
        """None are."""
        return False

    def keep(self, handler: str, setup: bytes, reports: list[bytes]) -> None:
        """They are dropped."""

    def take(self, handler: str, setup: bytes) -> list[Leftover]:  # noqa: ARG002 - the protocol's
        """There are none."""
        return []


NO_LEFTOVERS = NoLeftovers()
