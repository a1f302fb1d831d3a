"""The master's own look at the source, where a member elsewhere has lost it or does not find what is there (R8)."""

from __future__ import annotations

import os

from argosy.errors import SourceGone
from argosy.filesystem.readable import is_readable
from argosy.operations.verify.messages import MISSING_IN_SOURCE, UNREADABLE, Outcome


class SourceView:
    """The directory that is compared, as it is when this is made. SourceGone if it is not there then."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._found = self._look()

    def check(self) -> None:
        """SourceGone if it is no longer there, or another one."""
        if not os.path.samestat(self._look(), self._found):
            raise self._gone()

    def contradiction(self, outcome: Outcome) -> str:
        """The first entry that the member missed and that this machine has, in words; empty if there is none."""
        for difference in outcome.differences:
            path = os.path.join(self._source, difference.path)
            if difference.kind == MISSING_IN_SOURCE and os.path.lexists(path):
                return f"it does not see {os.fsdecode(path)}, which is there"
            if difference.kind == UNREADABLE and is_readable(path) and _has_readable_xattrs(path):
                return f"it cannot read {os.fsdecode(path)}, which the master can"
        return ""

    def _look(self) -> os.stat_result:
        try:
            return os.stat(self._source)
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> SourceGone:
        return SourceGone(
            f"{os.fsdecode(self._source)} went away while it was compared", hint="Check that it is mounted."
        )


def _has_readable_xattrs(path: bytes) -> bool:
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return False
    return True
