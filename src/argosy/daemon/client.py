"""A command's half of a cluster's job: submit it, follow it, stop it, ask how things stand."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argosy.daemon import protocol
from argosy.daemon.protocol import (
    AskStatus,
    BackupRequest,
    Follow,
    Followed,
    Refusal,
    Status,
    Stop,
    Stopped,
    Submitted,
    Told,
    Unread,
)
from argosy.engine.nats import wire
from argosy.engine.nats.connection import Connection
from argosy.errors import EngineError, UsageError
from argosy.operations.backup.options import BackupObserver, BackupOptions, BackupResult
from argosy.operations.session import Access

_ANSWER_SECONDS = 10.0
_LOST_AFTER_SECONDS = 60.0
# Where nobody listens yet the server says so at once.
_ASK_AGAIN_SECONDS = 0.5


class Client:
    """Speaks to a master over an open connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, access: Access, options: BackupOptions, *, create: bool) -> Submitted:
        """Hand a backup to the master. ArgosyError if it does not take it."""
        request = BackupRequest(
            protocol.PROTOCOL,
            _absolute(access.location),
            access.password(),
            access.storage_options,
            protocol.plain_options(options),
            options.rules.given,
            create,
            access.key_hint,
            access.no_lock,
            access.retry_lock_seconds,
        )
        data = protocol.encode(request)
        if len(data) > protocol.MOST_REQUEST_BYTES:
            raise UsageError(
                f"the job's description has {len(data)} bytes, more than a cluster takes",
                hint="Name directories instead of long lists of files, and fewer patterns.",
            )
        answer: Submitted = self._ask(protocol.SUBMIT, data, Submitted)
        return answer

    def follow(self, run: str, observer: BackupObserver) -> BackupResult:
        """Tell the observer what the run says, to its end. Raises the error that the run ended with.

        If the observer asks for a stop the run is stopped, and followed to its end.
        """
        after, job, asked_to_stop = 0, "", False
        while True:
            try:
                found = self._followed(run, after)
            except UsageError:
                if run == job or not job:
                    raise
                # A master that was started again has taken the job up as another run.
                run, after = job, 0
                continue
            run, after, job = found.run, found.next, found.job
            _tell(observer, found)
            match found.ended:
                case BackupResult():
                    return found.ended
                case Refusal():
                    raise found.ended.as_error()
            if not asked_to_stop and observer.stop_requested():
                asked_to_stop = True
                self.stop(run)

    def stop(self, run: str) -> str:
        """Stop a run so that it can be resumed; returns its whole id."""
        stopped: Stopped = self._ask(protocol.STOP, protocol.encode(Stop(run)), Stopped)
        return stopped.run

    def status(self) -> Status:
        """Members and jobs."""
        status: Status = self._ask(protocol.STATUS, protocol.encode(AskStatus()), Status)
        return status

    def _followed(self, run: str, after: int) -> Followed:
        """Ask until there is an answer: the server or the master may be on its way back."""
        question = protocol.encode(Follow(run, after))
        lost_at = time.monotonic() + _LOST_AFTER_SECONDS
        while time.monotonic() < lost_at:
            answer = self._request(protocol.FOLLOW, question)
            if answer is not None:
                found: Followed = _understood(answer, Followed)
                return found
            time.sleep(_ASK_AGAIN_SECONDS)
        raise EngineError(
            f"the master no longer answers about job {run}",
            hint="If it was restarted, submit the job again: it goes on where it stopped.",
        )

    def _ask(self, verb: str, question: bytes, kind: Any) -> Any:
        answer = self._request(verb, question)
        if answer is None:
            raise EngineError(
                f"no master answers at {self._connection.url}", hint="Check that 'argosy master' runs there."
            )
        return _understood(answer, kind)

    def _request(self, verb: str, question: bytes) -> bytes | None:
        subject = wire.control_subject(verb)
        return self._connection.run(self._connection.request(subject, question, _ANSWER_SECONDS))


@contextmanager
def connected(url: str, name: str, tls: ssl.SSLContext | None, patience_seconds: float) -> Iterator[Client]:
    """A client of the master at ``url``, as ``name`` (the certificate's)."""
    connection = Connection(url, name, tls)
    try:
        connection.open(patience_seconds)
        yield Client(connection)
    finally:
        connection.close()


def _absolute(location: str) -> str:
    """A repository's path as seen from anywhere; addresses of stores stay as they are."""
    return str(Path(location).absolute()) if ":" not in location.split("/")[0] else location


def _tell(observer: BackupObserver, found: Followed) -> None:
    for entry in found.entries:
        match entry:
            case Told(text):
                observer.message(text)
            case Unread(path, reason):
                observer.unread(path, reason)
    if found.progress is not None:
        observer.progress(found.progress)


def _understood(answer: bytes, kind: Any) -> Any:
    message = protocol.decode(answer, kind | Refusal)
    if isinstance(message, Refusal):
        raise message.as_error()
    return message
