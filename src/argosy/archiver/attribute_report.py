"""What is said of extended attributes that could not be read: each kind once in a run, and how many in all.

The entries are saved without them. That is a warning and no failure, as in restic 0.18 for an attribute's value: file
servers and FUSE refuse attributes of their own for every file of a share, every night, and an exit code that is never 0
tells nobody of the file that is really missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from argosy.filesystem.xattr_losses import XattrLoss
from argosy.state.record import JobState, Reports

COUNTER = "xattrs_unread"
_MOST_SAID = 100

_log = logging.getLogger(__name__)


class AttributeReport:
    """Counts losses in the job's counters and names each kind in its log. Used under the job's mutex."""

    def __init__(self, state: JobState, reports: Reports) -> None:
        self._state = state
        self._reports = reports
        self._said: set[tuple[str, str, int]] = set()

    def add(self, losses: Sequence[XattrLoss]) -> None:
        """Take in what a scan thread or a worker has gathered."""
        for loss in losses:
            self._state.count(**{COUNTER: loss.count})
            kind = (loss.attribute, loss.reason, loss.device)
            if kind not in self._said and len(self._said) < _MOST_SAID:
                self._said.add(kind)
                text = describe_loss(loss)
                self._reports.log(text)
                _log.warning("%s", text)


def describe_loss(loss: XattrLoss) -> str:
    """One sentence about a kind of loss."""
    what = f"the attribute {loss.attribute!r}" if loss.attribute else "the list of extended attributes"
    path = loss.path.decode("utf-8", "replace")
    return f"{what} of {path} cannot be read: {loss.reason}. It is saved without; others like it are only counted"
