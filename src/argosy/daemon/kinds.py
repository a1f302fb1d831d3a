"""The kinds of jobs, and how what one tells its observer travels.

What an operation tells its observer at the master is told, call by call, to the observer of whoever follows the job.
The types that travel are those in the observer's own annotations; the values are JSON, because a snapshot keeps as JSON
what others wrote into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import GenericAlias
from typing import Any, get_args, get_type_hints

import msgspec

from argosy.daemon.protocol import PROGRAMS_DIFFER, Said, escaped
from argosy.decoding import from_json
from argosy.errors import ArgosyError
from argosy.operations.backup.options import BackupObserver, BackupProgress, BackupResult
from argosy.operations.check.options import CheckObserver, CheckProgress, CheckResult
from argosy.operations.crew import MemberLook
from argosy.operations.prune.options import PruneObserver, PruneProgress
from argosy.operations.prune.plan import PruneSummary
from argosy.operations.restore.options import RestoreObserver, RestoreProgress, RestoreResult
from argosy.operations.verify.options import VerifyObserver, VerifyProgress, VerifyResult

_ASKED = "stop_requested"
_SHOWN = "progress"


class Counts(msgspec.Struct, frozen=True):
    """How far a job is, whatever its kind; ``errors`` is what went wrong."""

    entries: int = 0
    size_bytes: int = 0
    errors: int = 0
    members: list[MemberLook] = msgspec.field(default_factory=list)


@dataclass(frozen=True)
class Kind:
    """``observer`` is a structure of functions, among them ``progress`` and ``stop_requested``."""

    name: str
    observer: type[Any]
    progress: type[Any]
    result: type[Any]
    counts: Callable[[Any], Counts]

    def teller(
        self, say: Callable[[Said], None], show: Callable[[bytes], None], stop_requested: Callable[[], bool]
    ) -> Any:
        """An observer for the operation: all that it is told is said; ``show`` gets each progress."""
        calls: dict[str, Callable[..., Any]] = {
            name: _saying(name, say) for name in self._signatures if name not in (_ASKED, _SHOWN)
        }
        calls[_SHOWN] = lambda progress: show(encode_value(progress))
        calls[_ASKED] = stop_requested
        return self.observer(**calls)

    def tell(self, observer: Any, said: Said) -> None:
        """Tell an observer what was said. ArgosyError if it cannot be told so."""
        signature = self._signatures.get(said.call)
        if signature is None:
            raise ArgosyError(f"the master says {said.call!r} of a {self.name}", hint=PROGRAMS_DIFFER)
        getattr(observer, said.call)(*decode_value(said.arguments, GenericAlias(tuple, signature)))

    @cached_property
    def _signatures(self) -> dict[str, tuple[Any, ...]]:
        """The types of the arguments of each of the observer's functions."""
        hints = get_type_hints(self.observer)
        return {name: tuple(get_args(hints[name])[0]) for name in self.observer.__struct_fields__}


def _of_backup(progress: BackupProgress) -> Counts:
    return Counts(progress.files_done, progress.bytes_done, progress.unread, progress.members)


def _of_restore(progress: RestoreProgress) -> Counts:
    return Counts(progress.entries_restored, progress.bytes_restored, progress.errors, progress.members)


def _of_check(progress: CheckProgress) -> Counts:
    return Counts(progress.trees_done + progress.packs_done, progress.bytes_done, progress.problems, progress.members)


def _of_verify(progress: VerifyProgress) -> Counts:
    return Counts(progress.files, progress.size_bytes, progress.differences, progress.members)


def _of_prune(progress: PruneProgress) -> Counts:
    return Counts(progress.packs_done, progress.bytes_done, 0, progress.members)


BACKUP = Kind("backup", BackupObserver, BackupProgress, BackupResult, _of_backup)
RESTORE = Kind("restore", RestoreObserver, RestoreProgress, RestoreResult, _of_restore)
CHECK = Kind("check", CheckObserver, CheckProgress, CheckResult, _of_check)
PRUNE = Kind("prune", PruneObserver, PruneProgress, PruneSummary, _of_prune)
VERIFY = Kind("verify", VerifyObserver, VerifyProgress, VerifyResult, _of_verify)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (BACKUP, RESTORE, CHECK, PRUNE, VERIFY)}


def kind_named(name: str) -> Kind:
    """The kind of this name; ArgosyError if there is none here."""
    if name not in KINDS:
        raise ArgosyError(f"the job is a {name}, which is not known here", hint=PROGRAMS_DIFFER)
    return KINDS[name]


def encode_value(value: Any) -> bytes:
    """Something that an observer is told, or a result."""
    return msgspec.json.encode(value)


def decode_value(data: bytes, kind: Any) -> Any:
    """The value again; ArgosyError if it is none of that type."""
    try:
        return from_json(data, kind)
    except msgspec.MsgspecError as error:
        raise ArgosyError(f"the other end speaks another protocol ({error})", hint=PROGRAMS_DIFFER) from error


def _saying(name: str, say: Callable[[Said], None]) -> Callable[..., None]:
    def tell(*arguments: Any) -> None:
        plain = [escaped(argument) if isinstance(argument, str) else argument for argument in arguments]
        say(Said(name, encode_value(plain)))

    return tell
