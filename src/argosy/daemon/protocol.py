"""What clients and the master say to each other about jobs: msgpack arrays of declared types.

``PROTOCOL`` changes whenever a type does. A request of another number is refused in words.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias, TypeVar, get_type_hints

import msgspec

from argosy.errors import ArgosyError, UsageError, error_named
from argosy.filesystem.exclude import ExcludeRules, GivenRules
from argosy.operations.backup.options import BackupOptions, BackupProgress, BackupResult
from argosy.operations.status import JobStatus
from argosy.storage.options import StorageOptions

PROTOCOL = 1
# One message of NATS, with room for its envelope.
MOST_REQUEST_BYTES = 1000 * 1000

SUBMIT, FOLLOW, STOP, STATUS = "submit", "follow", "stop", "status"

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


class BackupRequest(_Message, frozen=True):
    """A backup to run. Holds secrets: it stands in memory alone."""

    protocol: int
    location: str
    password: bytes
    storage_options: StorageOptions
    options: dict[str, Any]
    rules: GivenRules
    create: bool = False
    key_hint: str | None = None
    no_lock: bool = False
    retry_lock_seconds: float = 0.0

    def __repr__(self) -> str:
        return f"BackupRequest(location={self.location!r})"


class Submitted(_Message, frozen=True):
    """The job was taken in as this run; ``ahead`` others run or wait before it."""

    run: str
    ahead: int


class Follow(_Message, frozen=True):
    """Ask what a run (or a job, by the start of its id) has said since entry ``after``."""

    run: str
    after: int


class Unread(_Message, frozen=True):
    """A source entry could not be read."""

    path: bytes
    reason: str


class Told(_Message, frozen=True):
    """A sentence for the user."""

    text: str


Entry: TypeAlias = Told | Unread


class Followed(_Message, frozen=True):
    """The entries from the one asked for on; ``next`` is what to ask for then. ``ended`` comes with the last ones."""

    run: str
    job: str
    next: int
    entries: list[Entry]
    progress: BackupProgress | None
    ended: BackupResult | Refusal | None = None


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


class Status(_Message, frozen=True):
    """Members and jobs as the master has them."""

    members: list[MemberState]
    jobs: list[JobStatus]


def encode(message: object) -> bytes:
    """The bytes on the wire."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes, kind: Any) -> Any:
    """A message of a declared type (or union of types); ArgosyError if it is none."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ArgosyError(
            f"the other end speaks another protocol ({error})", hint="Install the same version of Argosy at both ends."
        ) from error


def refusal_of(error: ArgosyError) -> Refusal:
    """The message for an error."""
    return Refusal(type(error).__name__, error.message, error.hint)


def plain_options(options: BackupOptions) -> dict[str, Any]:
    """What travels of a backup's options: plain values. Rules are sent beside them."""
    return {
        field.name: getattr(options, field.name) for field in dataclasses.fields(options) if field.name not in _NOT_SENT
    }


def options_of(request: BackupRequest, *, more_paths: tuple[bytes, ...] = ()) -> BackupOptions:
    """The options that a request holds; ``more_paths`` are left out besides. UsageError if they make no sense."""
    hints = get_type_hints(BackupOptions)
    try:
        values = {name: msgspec.convert(value, hints[name]) for name, value in request.options.items()}
        return BackupOptions(**values, rules=ExcludeRules.of(request.rules, more_paths=more_paths))
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise UsageError(
            f"the request's options make no sense here ({error})", hint="Install the same version at both ends."
        ) from error
