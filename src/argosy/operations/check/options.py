"""What a user can ask of a check, what it tells while it runs, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from argosy.operations.check.subset import ReadSubset
from argosy.operations.crew import MemberLook


class CheckOptions(msgspec.Struct, frozen=True):
    """Flags of `argosy check`. ``subset`` is which packs to read; None: none. ``workers``: None is one a processor.

    ``resume``: go on with a check of the same subset that was interrupted in the last 24 hours.
    """

    subset: ReadSubset | None = None
    resume: bool = True
    with_cache: bool = False
    workers: int | None = None


class Part(StrEnum):
    """What a problem is about; it decides what can be done."""

    KEY = "key"
    LOCK = "lock"
    INDEX = "index"
    SNAPSHOT = "snapshot"
    PACK = "pack"
    TREE = "tree"
    BLOB = "blob"


_LOST = (
    "Back up the source again, which may bring it back; then `argosy repair snapshots --forget`, or restic's, takes"
    " what is lost out of the snapshots."
)
_ADVICE = {
    Part.KEY: "Restore the file from a copy of the repository, or remove it and make a new key with `argosy key add`.",
    Part.LOCK: "If nobody uses the repository, `argosy unlock --remove-all` removes it.",
    Part.INDEX: "`argosy repair index`, or restic's, writes it anew from the packs (with --read-all-packs if it took"
    " --read-data to see the fault).",
    Part.SNAPSHOT: "Restore the file from a copy of the repository. Else its snapshot is lost: `argosy repair snapshots"
    " --forget ID` removes it, `argosy recover` saves its directories.",
    Part.PACK: "`argosy repair packs ID`, or restic's, saves what is left of it; then back up the source again, which"
    " may bring back the rest; last, `repair snapshots --forget` takes what is lost out of the snapshots.",
    Part.TREE: _LOST,
    Part.BLOB: _LOST,
}


class Problem(msgspec.Struct, frozen=True):
    """Damage. ``what`` names the file (or the tree and its directory), ``reason`` says what is wrong with it.

    ``identity`` is the id of ``what``, empty where it has none.
    """

    part: Part
    what: str
    reason: str
    identity: bytes = b""

    @property
    def message(self) -> str:
        """One line for the user."""
        return f"{self.what}: {self.reason}"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self.part]


class CheckProgress(msgspec.Struct, frozen=True):
    """A look at a running check. ``packs`` and ``pack_bytes`` are what is to be read, 0 without --read-data.

    ``members``: see ``MemberLook``; entries are trees and packs.
    """

    trees_done: int
    packs_done: int
    packs: int
    bytes_done: int
    pack_bytes: int
    problems: int
    members: list[MemberLook] = msgspec.field(default_factory=list)


class CheckObserver(msgspec.Struct):
    """How a check tells its caller what happens. All are called from the thread that runs the check.

    ``message``: what is done now. ``detail``: what only the curious want to know. ``hint``: see the package.
    """

    problem: Callable[[Problem], None] = lambda _: None
    hint: Callable[[str], None] = lambda _: None
    message: Callable[[str], None] = lambda _: None
    detail: Callable[[str], None] = lambda _: None
    progress: Callable[[CheckProgress], None] = lambda _: None
    stop_requested: Callable[[], bool] = lambda: False


class CheckResult(msgspec.Struct):
    """What a check came to; ``broken_packs`` are those whose bytes are damaged, in hex. ``packs_read_before``: by the
    interrupted check that this one went on with.

    ``suggest_repair_index``, ``suggest_prune``: whether these commands would help, as in restic's summary.
    """

    problems: int = 0
    snapshots: int = 0
    trees: int = 0
    packs: int = 0
    packs_read: int = 0
    packs_read_before: int = 0
    bytes_read: int = 0
    unindexed_packs: int = 0
    broken_packs: list[str] = msgspec.field(default_factory=list)
    suggest_repair_index: bool = False
    suggest_prune: bool = False

    @property
    def exit_code(self) -> int:
        """0, or 1 if there is any problem."""
        return 1 if self.problems else 0
