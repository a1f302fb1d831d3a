"""The master: nats-server, the hub, its own workers, and the jobs that clients submit."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from argosy.daemon import protocol
from argosy.daemon.accounts import Accounts
from argosy.daemon.backup_work import BackupWork
from argosy.daemon.check_work import CheckWork
from argosy.daemon.fitting import HANDLERS
from argosy.daemon.guarding import Users
from argosy.daemon.kept_requests import KeptRequests
from argosy.daemon.protocol import (
    AskJob,
    AskJobs,
    AskStatus,
    BackupOrder,
    CheckOrder,
    Ended,
    Follow,
    Followed,
    Job,
    Jobs,
    MemberState,
    PruneOrder,
    Refusal,
    Request,
    RestoreOrder,
    Status,
    Stop,
    Submitted,
    VerifyOrder,
)
from argosy.daemon.prune_work import PruneWork
from argosy.daemon.restore_work import RestoreWork
from argosy.daemon.runs import Run, Runs
from argosy.daemon.sight import Sight
from argosy.daemon.tailoring import MembersTailor
from argosy.daemon.verify_work import VerifyWork
from argosy.daemon.work import JobWork, Surroundings
from argosy.engine.nats import wire
from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.engine.nats.hub import LEASE_SECONDS, Hub
from argosy.engine.nats.server import NatsServer
from argosy.errors import ArgosyError, EngineError, Interrupted, UsageError
from argosy.operations.jobs import new_job_id, prepare_state_directory

NAME = "master"
_OPEN_SECONDS = 30.0
_ANY_HOST = frozenset({"", "0.0.0.0", "::"})

T = TypeVar("T")


class MasterSettings(msgspec.Struct, frozen=True):
    """``workers`` 0: it only runs jobs. ``server_extra`` is added to nats-server's configuration (TLS, users). With
    ``nats_url`` no server is started: that one is used.

    ``password`` is the master's own, for jobs that its end has interrupted, or None if it has none; ``credentials`` are
    those for a location.
    """

    host: str
    port: int
    workers: int
    state_directory: Path
    cache_directory: Path
    tls: ssl.SSLContext | None = None
    server_extra: str = ""
    nats_url: str = ""
    lease_seconds: float = LEASE_SECONDS
    password: Callable[[], bytes | None] = lambda: None
    credentials: Callable[[str], dict[str, str]] = lambda _: {}


class Master:
    """Runs from ``start`` to ``close``; a context manager."""

    def __init__(self, settings: MasterSettings, say: Callable[[str], None]) -> None:
        """``say`` hears, in words, who comes and goes, and what becomes of jobs. It may be called from any thread."""
        self._settings = settings
        self._say = say
        self._stack = ExitStack()
        self._server: NatsServer | None = None
        self._requests = KeptRequests(settings.state_directory / "requests")
        self._closing = False

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server(self) -> NatsServer:
        """The nats-server that it has started."""
        assert self._server is not None, "not with nats_url"
        return self._server

    def close(self) -> None:
        """Stop the running job so that it can be resumed; end workers and server."""
        self._stack.close()

    def take_users(self, users: Users) -> None:
        """Have nats-server take up another set of users. Who is not among them is cut off at once, and struck off."""
        self.server.reload(users.configuration)
        self._hub.admit_only(users.names)

    def _start(self) -> None:
        settings = self._settings
        prepare_state_directory(settings.state_directory)
        if not settings.nats_url:
            self._server = NatsServer(
                settings.state_directory / "nats", settings.host, settings.port, extra=settings.server_extra
            )
            self._server.start()
            self._stack.callback(self._server.stop)
        self._connection = self._connect()
        self._hub = Hub(self._connection, lease_seconds=settings.lease_seconds, tailor=MembersTailor())
        self._hub.members_changed = self._say
        self._hub.start()
        if settings.workers:
            agent = Agent(self._connect(), NAME, settings.workers, HANDLERS)
            agent.start()
            self._stack.callback(agent.close)
        self._surroundings = Surroundings(
            self._hub, settings.state_directory, settings.cache_directory, lambda: self._closing
        )
        self._runs = Runs(self._connection.loop, self._ending)
        self._accounts = Accounts(settings.state_directory, self._runs)
        self._stack.callback(self._close_runs)
        self._take_up_interrupted()
        self._connection.run(self._serve())

    def _close_runs(self) -> None:
        self._closing = True
        self._runs.close()

    def _take_up_interrupted(self) -> None:
        """Submit again what the master's last end has interrupted, where it has a password of its own."""
        for name, request in self._requests.all():
            if isinstance(request, ArgosyError):
                self._say(f"the request of job {name} is dropped: {request.message}")
                self._requests.drop(name)
                continue
            try:
                password = self._settings.password()
                credentials = self._settings.credentials(request.location)
            except ArgosyError as error:
                self._say(f"job {name} at {request.location} cannot be taken up again: {error.message}")
                continue
            if password is None:
                self._say(f"job {name} at {request.location} waits for its password: submit the same again")
                continue
            options = msgspec.structs.replace(request.storage_options, credentials=credentials)
            # The new request takes the place of the old one.
            again = msgspec.structs.replace(request, password=password, storage_options=options)
            try:
                run, _ = self._enqueue(again, former=name)
            except UsageError as error:
                self._say(f"the request of job {name} is dropped: {error.message}")
                self._requests.drop(name)
                continue
            self._say(f"job {name} is taken up again as {run.id}")

    def _enqueue(self, request: Request, former: str = "") -> tuple[Run, int]:
        name, work = new_job_id(), self._work_for(request)
        self._requests.keep(name, request)
        return self._runs.submit(name, work, former)

    def _work_for(self, request: Request) -> JobWork:
        around = self._surroundings
        match request.order:
            case BackupOrder():
                return BackupWork(request, request.order, around)
            case RestoreOrder():
                return RestoreWork(request, request.order, around)
            case CheckOrder():
                return CheckWork(request, request.order, around)
            case PruneOrder():
                return PruneWork(request, request.order, around)
            case VerifyOrder():
                return VerifyWork(request, request.order, around)

    def _connect(self) -> Connection:
        settings = self._settings
        if self._server is None:
            connection = Connection(settings.nats_url, NAME, settings.tls)
        else:
            scheme = "nats" if settings.tls is None else "tls"
            host = "127.0.0.1" if settings.host in _ANY_HOST else settings.host
            # The server's certificate always stands for localhost, and perhaps not for the address that it listens on.
            url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._server.port}"
            connection = Connection(url, NAME, settings.tls, server_name="localhost")
        self._stack.callback(connection.close)
        connection.open(_OPEN_SECONDS)
        return connection

    async def _serve(self) -> None:
        for verb, answer in (
            (protocol.SUBMIT, self._submit),
            (protocol.FOLLOW, self._follow),
            (protocol.STOP, self._stop),
            (protocol.STATUS, self._status),
            (protocol.JOBS, self._jobs),
            (protocol.JOB, self._job),
        ):
            await self._connection.serve(wire.control_subject(verb), _answering(answer))
        await self._connection.serve(wire.look_subject("*"), _answering(self._look))

    async def _submit(self, data: bytes) -> Submitted:
        request: Request = protocol.decode(data, Request)
        if request.protocol != protocol.PROTOCOL:
            raise UsageError(
                f"the master speaks protocol {protocol.PROTOCOL}, this command {request.protocol}",
                hint=protocol.PROGRAMS_DIFFER,
            )
        run, ahead = self._enqueue(request)
        self._say(f"job {run.id} was submitted: {run.work.words}")
        return Submitted(run.id, ahead)

    async def _follow(self, data: bytes) -> Followed:
        asked: Follow = protocol.decode(data, Follow)
        run = self._runs.find(asked.run)
        # What another run of the same job has said, before a restart, this one has not.
        after = asked.after if asked.run == run.id else 0
        return await self._runs.follow(run, after, patient=asked.patient)

    async def _stop(self, data: bytes) -> protocol.Stopped:
        run = self._runs.find(protocol.decode(data, Stop).run)
        run.stop()
        # Who stopped it takes it up again, not the master's next start.
        self._requests.drop(run.id)
        self._say(f"job {run.id} is to stop")
        return protocol.Stopped(run.id)

    async def _status(self, data: bytes) -> Status:
        protocol.decode(data, AskStatus)
        runs, jobs = await self._elsewhere(self._accounts.open)
        members = [
            MemberState(
                member.name,
                member.host,
                member.pid,
                member.workers,
                member.joined_at_seconds,
                member.last_seen_seconds,
            )
            for member in self._hub.members()
        ]
        return Status(members, jobs, runs)

    async def _jobs(self, data: bytes) -> Jobs:
        most = protocol.decode(data, AskJobs).most
        return await self._elsewhere(lambda: self._accounts.jobs(most))

    async def _job(self, data: bytes) -> Job:
        wanted = protocol.decode(data, AskJob).job
        return await self._elsewhere(lambda: self._accounts.job(wanted))

    async def _look(self, _data: bytes) -> Sight:
        """What the master sees now of the running job's source or target, and of its repository."""
        run = self._runs.current
        if run is None:
            raise EngineError("no job runs any more")
        return await self._elsewhere(run.work.look)

    async def _elsewhere(self, read: Callable[[], T]) -> T:
        """What reads files is no work for the loop's thread."""
        return await self._connection.loop.run_in_executor(None, read)

    def _ending(self, run: Run, ended: Ended | Refusal) -> None:
        """A job is about to be known as ended: its request goes, unless the master's own end stops it."""
        is_stopped = isinstance(ended, Refusal) and ended.kind == Interrupted.__name__
        if not (self._closing and (is_stopped or not run.begun)):
            self._requests.drop(run.id)
        if isinstance(ended, Ended):
            self._say(f"job {run.id} is done")
        elif is_stopped:
            self._say(f"job {run.id} was stopped and can be resumed")
        else:
            self._say(f"job {run.id} ended: {ended.message}")


def _answering(answer: Callable[[bytes], Awaitable[Any]]) -> Callable[[str, bytes], Awaitable[bytes]]:
    """Errors of Argosy's own travel as refusals."""

    async def answered(_subject: str, data: bytes) -> bytes:
        try:
            return protocol.encode(await answer(data))
        except ArgosyError as error:
            return protocol.encode(protocol.refusal_of(error))

    return answered
