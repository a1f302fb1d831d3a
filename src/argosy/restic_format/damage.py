"""How this package says that bytes do not hold: one error, one hint."""

from __future__ import annotations

from argosy.errors import Damaged


def damaged(what: str, reason: str) -> Damaged:
    """The error for the thing named ``what`` ("pack 12ab…, header"), because of ``reason``."""
    return Damaged(
        f"{what}: {reason}",
        hint="Run `argosy check --read-data` to see what else is damaged; `argosy repair` saves the rest.",
    )
