"""What only the owner of an engine can tell of payloads and setups, where members differ in what they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tailor(Protocol):
    """Knows the handlers' payloads and setups, which are opaque to an engine."""

    def suits(self, handler: str, payload: bytes, only: Sequence[bytes]) -> bool:
        """Whether a member that is kept to ``only`` may have the task with this payload."""

    def without_credentials(self, handler: str, setup: bytes) -> bytes:
        """The setup for a member that has the store's credentials itself."""


class Plain:
    """Every task suits every member, and setups hold no credentials."""

    def suits(self, handler: str, payload: bytes, only: Sequence[bytes]) -> bool:
        """See ``Tailor.suits``."""
        del handler, payload, only
        return True

    def without_credentials(self, handler: str, setup: bytes) -> bytes:
        """See ``Tailor.without_credentials``."""
        del handler
        return setup
