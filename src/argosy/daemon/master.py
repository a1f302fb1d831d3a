"""The master: nats-server, the hub, its own workers, and the jobs that clients submit."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import msgspec

from argosy.archiver.targets import resolve_targets
from argosy.daemon import protocol
from argosy.daemon.fitting import HANDLERS, lock_names_at
from argosy.daemon.kept_requests import KeptRequests
from argosy.daemon.protocol import AskStatus, BackupRequest, Follow, Followed, MemberState, Status, Stop, Submitted
from argosy.daemon.runs import Run, Runs
from argosy.daemon.sight import Sight, look_at, sample_paths
from argosy.daemon.tailoring import MembersTailor
from argosy.engine.nats import wire
from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.engine.nats.engine import NatsEngine
from argosy.engine.nats.hub import LEASE_SECONDS, Hub
from argosy.engine.nats.server import NatsServer
from argosy.errors import ArgosyError, EngineError, Interrupted, UsageError
from argosy.operations.backup.options import BackupOptions, BackupResult
from argosy.operations.backup.run import run_backup
from argosy.operations.init import open_or_create
from argosy.operations.jobs import new_job_id, prepare_state_directory
from argosy.operations.session import Access
from argosy.operations.status import read_jobs

_log = logging.getLogger(__name__)

NAME = "master"
_OPEN_SECONDS = 30.0
# At the end of a job its members wait for whoever has the last batch: over a link of 40 Mbit/s for 3 seconds.
_BATCH_BYTES = 16 << 20
_ANY_HOST = frozenset({"", "0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class MasterSettings:
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
        self._looked_at: tuple[BackupRequest, BackupOptions] | None = None

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

    def reload_server(self, extra: str) -> None:
        """Have nats-server take up another set of users; who is not among them is cut off at once."""
        self.server.reload(extra)

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
        self._runs = Runs(self._connection.loop)
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
                self._say(f"job {name} to {request.location} cannot be taken up again: {error.message}")
                continue
            if password is None:
                self._say(f"job {name} to {request.location} waits for its password: submit the same backup again")
                continue
            options = msgspec.structs.replace(request.storage_options, credentials=credentials)
            # The new request takes the place of the old one.
            run, _ = self._enqueue(msgspec.structs.replace(request, password=password, storage_options=options))
            self._say(f"job {name} is taken up again as {run.id}")

    def _enqueue(self, request: BackupRequest) -> tuple[Run, int]:
        name = new_job_id()
        self._requests.keep(name, request)
        return self._runs.submit(name, lambda run: self._back_up(request, run))

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
        ):
            await self._connection.serve(wire.control_subject(verb), _answering(answer))
        await self._connection.serve(wire.look_subject("*"), _answering(self._look))

    async def _submit(self, data: bytes) -> Submitted:
        request: BackupRequest = protocol.decode(data, BackupRequest)
        if request.protocol != protocol.PROTOCOL:
            raise UsageError(
                f"the master speaks protocol {protocol.PROTOCOL}, this command {request.protocol}",
                hint="Install the same version of Argosy at both ends.",
            )
        protocol.options_of(request)
        run, ahead = self._enqueue(request)
        self._say(f"job {run.id} was submitted: a backup to {request.location}")
        return Submitted(run.id, ahead)

    async def _follow(self, data: bytes) -> Followed:
        asked: Follow = protocol.decode(data, Follow)
        return await self._runs.follow(self._runs.find(asked.run), asked.after)

    async def _stop(self, data: bytes) -> protocol.Stopped:
        run = self._runs.find(protocol.decode(data, Stop).run)
        run.stop()
        # Who stopped it takes it up again, not the master's next start.
        self._requests.drop(run.id)
        self._say(f"job {run.id} is to stop")
        return protocol.Stopped(run.id)

    async def _status(self, data: bytes) -> Status:
        protocol.decode(data, AskStatus)
        jobs = await self._connection.loop.run_in_executor(
            None, lambda: read_jobs(self._settings.state_directory, lambda error: _log.warning(error.message))
        )
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
        # What happened to a job may be long, and nobody shows it here.
        return Status(members, [replace(job, log=[]) for job in jobs])

    async def _look(self, _data: bytes) -> Sight:
        """What the master sees now of the running job's source and repository."""
        looked_at = self._looked_at
        if looked_at is None:
            raise EngineError("no job runs any more")
        return await self._connection.loop.run_in_executor(None, _sight_of, *looked_at)

    def _back_up(self, request: BackupRequest, run: Run) -> BackupResult:
        settings = self._settings
        own = tuple(os.fsencode(path) for path in (settings.state_directory, settings.cache_directory))
        options = protocol.options_of(request, more_paths=own)
        workers = sum(member.workers for member in self._hub.members())
        options = replace(options, host=options.host or os.uname().nodename, workers=max(1, workers), job_id=run.id)
        options = replace(options, batch_bytes=min(options.batch_bytes, _BATCH_BYTES))
        access = Access(
            location=request.location,
            password=lambda: request.password,
            cache_directory=settings.cache_directory,
            storage_options=request.storage_options,
            key_hint=request.key_hint,
            no_lock=request.no_lock,
            retry_lock_seconds=request.retry_lock_seconds,
        )
        observer = run.observer()
        create = None
        if request.create:
            create = open_or_create(
                access,
                settings.state_directory,
                lambda: request.password,
                lambda made: observer.message(f"created restic repository {made.id[:10]} at {made.location}"),
                dry_run=options.dry_run,
            )
        self._looked_at = (request, options)
        try:
            result = run_backup(
                access,
                options,
                settings.state_directory,
                observer,
                create=create,
                make_engine=lambda _workers, _name: NatsEngine(self._hub),
            )
        except Interrupted:
            # By the master's end: the request is kept for the next start. Or by --stop-after, or by who cancelled it.
            if not self._closing:
                self._requests.drop(run.id)
            self._say(f"job {run.id} was stopped and can be resumed")
            raise
        except ArgosyError as error:
            self._requests.drop(run.id)
            self._say(f"job {run.id} ended: {error.message}")
            raise
        finally:
            self._looked_at = None
        self._requests.drop(run.id)
        self._say(f"job {run.id} is done")
        return result


def _sight_of(request: BackupRequest, options: BackupOptions) -> Sight:
    targets = resolve_targets(options.paths, options.working_directory, shown_as=options.shown_as)
    entries = look_at(sample_paths(target.path for target in targets))
    return Sight(entries, lock_names_at(request.location, request.storage_options))


def _answering(answer: Callable[[bytes], Awaitable[Any]]) -> Callable[[str, bytes], Awaitable[bytes]]:
    """Errors of Argosy's own travel as refusals."""

    async def answered(_subject: str, data: bytes) -> bytes:
        try:
            return protocol.encode(await answer(data))
        except ArgosyError as error:
            return protocol.encode(protocol.refusal_of(error))

    return answered
