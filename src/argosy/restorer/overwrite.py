"""What may happen to an entry that exists at the target: restic's four ways of overwriting."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Overwrite(StrEnum):
    """``--overwrite``.

    ALWAYS compares the content of existing files and writes what differs. IF_CHANGED trusts a file whose size and
    mtime agree. IF_NEWER touches only what is older than in the snapshot, NEVER nothing that exists.
    """

    ALWAYS = "always"
    IF_CHANGED = "if-changed"
    IF_NEWER = "if-newer"
    NEVER = "never"

    @property
    def goes_by_existence(self) -> bool:
        """Whether an entry is left alone because of what is there, right or wrong.

        Then a file must not stand under its name before it is complete: after an interruption it would be left alone.
        """
        return self in (Overwrite.IF_NEWER, Overwrite.NEVER)

    def spares(self, existing_mtime_ns: int, mtime_ns: int) -> bool:
        """Whether something that exists is left as it is."""
        return self is Overwrite.NEVER or (self is Overwrite.IF_NEWER and mtime_ns <= existing_mtime_ns)


class Verdict(IntEnum):
    """What is to become of a file."""

    NEW = 0
    """Nothing is there."""
    REPLACE = 1
    """Something else is there, or a file that others are linked to: it goes away once the content is known good."""
    UPDATE = 2
    """A file is there that differs: what differs is written into it."""
    UNCHANGED = 3
    """The content is right: only metadata is set."""
    KEPT = 4
    """It is left as it is."""
