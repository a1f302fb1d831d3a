"""A command's half of a cluster's job: submit it, follow it, stop it, ask how things stand."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argosy.daemon import protocol
from argosy.daemon.kinds import Kind, decode_value, kind_named
from argosy.daemon.protocol import (
    AskJob,
    AskJobs,
    AskStatus,
    Ended,
    Follow,
    Followed,
    Job,
    Jobs,
    Order,
    Refusal,
    Request,
    Status,
    Stop,
    Stopped,
    Submitted,
)
from argosy.engine.nats import wire
from argosy.engine.nats.connection import NO_USER, Connection
from argosy.errors import EngineError, UsageError
from argosy.operations.session import Access

_ANSWER_SECONDS = 10.0
_LOST_AFTER_SECONDS = 60.0
# Where nobody listens yet the server says so at once.
_ASK_AGAIN_SECONDS = 0.5


class Client:
    """Speaks to a master over an open connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, access: Access, order: Order) -> Submitted:
        """Hand a job to the master. ArgosyError if it does not take it."""
        request = Request(
            protocol.PROTOCOL,
            _absolute(access.location),
            access.password(),
            access.storage_options,
            order,
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

    def find(self, run: str) -> Followed:
        """What kind of job it is whose id starts so, and how it stands. UsageError if there is none."""
        return self._followed(run, 0, patient=False)

    def follow(self, run: str, observer: Any) -> Any:
        """Tell the observer what the run says, to its end; the operation's result.

        The observer is of the type of the job's kind. Raises the error that the run ended with. If the observer asks
        for a stop the run is stopped, and followed to its end.
        """
        after, asked_to_stop = 0, False
        while True:
            found = self._followed(run, after)
            # A master that was started again has taken the job up as another run.
            run, after, kind = found.run, found.next, kind_named(found.kind)
            _tell(kind, observer, found)
            match found.ended:
                case Ended(result):
                    return decode_value(result, kind.result)
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

    def jobs(self, most: int) -> Jobs:
        """All jobs; of those that ended so many."""
        jobs: Jobs = self._ask(protocol.JOBS, protocol.encode(AskJobs(most)), Jobs)
        return jobs

    def job(self, job: str) -> Job:
        """All that is known of the job whose id starts so. UsageError if there is none, or several."""
        found: Job = self._ask(protocol.JOB, protocol.encode(AskJob(job)), Job)
        return found

    def _followed(self, run: str, after: int, *, patient: bool = True) -> Followed:
        """Ask until there is an answer: the server or the master may be on its way back."""
        question = protocol.encode(Follow(run, after, patient))
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
        answer = self._connection.run(self._connection.request(subject, question, _ANSWER_SECONDS))
        if answer is None and self._connection.is_cut_off:
            raise EngineError(
                f"the master has cut this connection off: {NO_USER}",
                hint="What was submitted goes on. 'argosy cluster add NAME --role operator' there gives access again.",
            )
        return answer


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


def _tell(kind: Kind, observer: Any, found: Followed) -> None:
    if found.missed:
        observer.message(f"the master no longer keeps {found.missed:,} lines that the job has said before this")
    for entry in found.entries:
        kind.tell(observer, entry)
    if found.progress:
        observer.progress(decode_value(found.progress, kind.progress))


def _understood(answer: bytes, kind: Any) -> Any:
    message = protocol.decode(answer, kind | Refusal)
    if isinstance(message, Refusal):
        raise message.as_error()
    return message
