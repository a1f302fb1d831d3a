"""What clients and the master say to each other about jobs: msgpack arrays of declared types.

``PROTOCOL`` changes whenever a type does. A request of another number is refused in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_type_hints

import msgspec

from argosy.decoding import from_msgpack
from argosy.errors import ArgosyError, UsageError, error_named
from argosy.filesystem.exclude import ExcludeRules, GivenRules
from argosy.operations.backup.options import BackupOptions
from argosy.operations.check.options import CheckOptions
from argosy.operations.crew import MemberLook
from argosy.operations.prune.options import PruneOptions
from argosy.operations.prune.plan import PruneLimits
from argosy.operations.restore.options import RestoreOptions
from argosy.operations.status import JobStatus
from argosy.operations.verify.options import VerifyOptions
from argosy.restic_format.compression import CompressionMode
from argosy.state.history import JobHistory
from argosy.storage.options import StorageOptions

PROTOCOL = 4
PROGRAMS_DIFFER = "Install the same version of Argosy at both ends."
# One message of NATS, with room for its envelope.
MOST_REQUEST_BYTES = 1000 * 1000

SUBMIT, FOLLOW, STOP, STATUS, JOBS, JOB = "submit", "follow", "stop", "status", "jobs", "job"

_NOT_SENT = frozenset({"rules", "crash_point"})

T = TypeVar("T")


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Refusal(_Message, frozen=True):
    """An error of Argosy's own, by the name of its class."""

    kind: str
    message: str
    hint: str

    def as_error(self) -> ArgosyError:
        """The error as it was raised at the other end."""
        return error_named(self.kind, self.message, self.hint)


class BackupOrder(_Message, frozen=True):
    """A backup's options, as plain values; rules beside them. ``create``: make a missing repository."""

    options: dict[str, Any]
    rules: GivenRules
    create: bool = False


class RestoreOrder(_Message, frozen=True):
    """A restore; the target's path is absolute."""

    options: RestoreOptions


class CheckOrder(_Message, frozen=True):
    """A check."""

    options: CheckOptions


class PruneOrder(_Message, frozen=True):
    """A prune; fields as in ``PruneOptions``."""

    limits: PruneLimits
    dry_run: bool
    pack_size_bytes: int
    compression: CompressionMode
    verify: bool
    without: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, options: PruneOptions) -> PruneOrder:
        """What travels of a prune's options."""
        return cls(
            options.limits,
            options.dry_run,
            options.pack_size_bytes,
            options.compression,
            options.verify,
            options.without,
        )

    def options(self, workers: int, state_directory: Path) -> PruneOptions:
        """The options again, for a master. The members repack all of it."""
        return PruneOptions(
            self.limits,
            self.dry_run,
            pack_size_bytes=self.pack_size_bytes,
            compression=self.compression,
            verify=self.verify,
            workers=workers,
            alone_bytes=0,
            state_directory=state_directory,
            without=self.without,
        )


class VerifyOrder(_Message, frozen=True):
    """A comparison; the paths of the source and of the report are absolute, and the master's."""

    options: VerifyOptions


Order: TypeAlias = BackupOrder | RestoreOrder | CheckOrder | PruneOrder | VerifyOrder
"""What is to be done."""


class Request(_Message, frozen=True):
    """A job to run. Holds secrets: it stands in memory alone."""

    protocol: int
    location: str
    password: bytes
    storage_options: StorageOptions
    order: Order
    key_hint: str | None = None
    no_lock: bool = False
    retry_lock_seconds: float = 0.0

    def __repr__(self) -> str:
        return f"Request(location={self.location!r})"


class Submitted(_Message, frozen=True):
    """The job was taken in as this run; ``ahead`` others run or wait before it."""

    run: str
    ahead: int


class Follow(_Message, frozen=True):
    """Ask what a run (or a job, by the start of its id) has said since entry ``after``.

    ``patient``: if that is nothing, wait a moment for something.
    """

    run: str
    after: int
    patient: bool = True


class Said(_Message, frozen=True):
    """One call of a job's observer; see ``daemon.kinds``."""

    call: str
    arguments: bytes


class Ended(_Message, frozen=True):
    """The operation's result; see ``daemon.kinds``."""

    result: bytes


class Followed(_Message, frozen=True):
    """The entries from the one asked for on; ``next`` is what to ask for then. ``ended`` comes with the last ones.

    ``paths`` are what is backed up or compared, or where to it is restored. ``missed`` counts entries that are no
    longer kept. ``progress`` is the latest, empty if there is none yet.
    """

    run: str
    job: str
    kind: str
    paths: list[bytes]
    next: int
    missed: int
    entries: list[Said]
    progress: bytes
    ended: Ended | Refusal | None = None


class Stop(_Message, frozen=True):
    """Stop a run so that it can be resumed."""

    run: str


class Stopped(_Message, frozen=True):
    """It stops."""

    run: str


class AskStatus(_Message, frozen=True):
    """Ask for members and jobs."""


class MemberState(_Message, frozen=True):
    """A member, whether or not a job runs. Times are Unix seconds."""

    name: str
    host: str
    pid: int
    workers: int
    joined: float
    last_seen: float


class RunState(_Message, frozen=True):
    """A job that has no file: one that runs and is no backup, or any that waits for its turn.

    Times are Unix seconds. ``entries`` and ``size_bytes`` are what is done, ``errors`` what went wrong so far.
    """

    id: str
    kind: str
    location: str
    paths: list[bytes]
    is_running: bool
    submitted: float
    active: float
    entries: int = 0
    size_bytes: int = 0
    errors: int = 0
    members: list[MemberLook] = []
    log: list[tuple[float, str]] = []


class Status(_Message, frozen=True):
    """Members and jobs as the master has them."""

    members: list[MemberState]
    jobs: list[JobStatus]
    runs: list[RunState]


class AskJobs(_Message, frozen=True):
    """Ask for all jobs; of those that ended so many."""

    most: int


class Jobs(_Message, frozen=True):
    """The jobs, newest first in each list, without what they could not read and what happened to them."""

    runs: list[RunState]
    jobs: list[JobStatus]
    ended: list[JobHistory]


class AskJob(_Message, frozen=True):
    """Ask for all that is known of the job whose id starts so."""

    job: str


class Job(_Message, frozen=True):
    """One of the three is there. ``unread`` and the job's log lack ``left_out`` entries that no message holds."""

    run: RunState | None = None
    job: JobStatus | None = None
    ended: JobHistory | None = None
    unread: list[tuple[bytes, str]] = []
    left_out: int = 0


def encode(message: object) -> bytes:
    """The bytes on the wire. UsageError for a text that is not UTF-8: paths are bytes, and may be."""
    try:
        return msgspec.msgpack.encode(message)
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{escaped(error.object)!r} is not UTF-8, which a cluster cannot be told", hint="Name it in another way."
        ) from error


def decode(data: bytes, kind: Any) -> Any:
    """A message of a declared type (or union of types); ArgosyError if it is none."""
    try:
        return from_msgpack(data, kind)
    except msgspec.MsgspecError as error:
        raise ArgosyError(f"the other end speaks another protocol ({error})", hint=PROGRAMS_DIFFER) from error


def refusal_of(error: ArgosyError) -> Refusal:
    """The message for an error; a name in it that is not UTF-8 is escaped."""
    return Refusal(type(error).__name__, escaped(error.message), escaped(error.hint))


def escaped(text: str) -> str:
    """A text as messages can hold it: a name in it may not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def backup_order(options: BackupOptions, *, create: bool = False) -> BackupOrder:
    """What travels of a backup's options."""
    plain = {name: getattr(options, name) for name in options.__struct_fields__ if name not in _NOT_SENT}
    return BackupOrder(plain, options.rules.given, create)


def options_of(order: BackupOrder, *, more_paths: tuple[bytes, ...] = ()) -> BackupOptions:
    """The options that an order holds; ``more_paths`` are left out besides. UsageError if they make no sense."""
    hints = get_type_hints(BackupOptions)
    try:
        values = {name: msgspec.convert(value, hints[name]) for name, value in order.options.items()}
        return BackupOptions(**values, rules=ExcludeRules.of(order.rules, more_paths=more_paths))
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise UsageError(f"the request's options make no sense here ({error})", hint=PROGRAMS_DIFFER) from error
