"""What a certificate may do, tried on a real nats-server: what the table allows works, all else is refused."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import shutil
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, KeyValueConfig, RetentionPolicy, StorageType

from argosy.certificates.addresses import Address
from argosy.certificates.cluster_directory import ClusterDirectory, ServerFiles
from argosy.certificates.contexts import client_context
from argosy.certificates.join_file import JoinFile, load_join_file
from argosy.certificates.nats_configuration import Subjects
from argosy.certificates.role import GIVEN_OUT, Role
from argosy.certificates.x509 import KeyPair
from tests.support.nats_server import NatsServer, nats_server
from tests.support.nats_words import talking

# The client does not wait for its TLS connections to be shut before its event loop ends.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

WAIT_SECONDS = 60.0
DAY = 86400.0
SUBJECTS = Subjects()
MEMBER, OPERATOR, READER = GIVEN_OUT

# Each subject, and the roles that may publish to it (NAME: the certificate's own).
PUBLISH: dict[str, set[Role]] = {
    "argosy.member.NAME.report": {MEMBER},
    "argosy.member.NAME.one.progress": {MEMBER},
    "argosy.member.another.report": set(),
    "argosy.member": set(),
    "argosy.control.submit": {OPERATOR},
    "argosy.work.1": set(),
    "argosy.all.stop": set(),
    "argosy.status.jobs": set(),
    "_INBOX_NAME.1": set(),
    "_INBOX_another.1": set(),
    "_INBOX.1": set(),
    "$JS.API.CONSUMER.MSG.NEXT.ARGOSY_WORK.workers": {MEMBER},
    "$JS.API.CONSUMER.MSG.NEXT.ANOTHER.workers": set(),
    "$JS.API.CONSUMER.MSG.NEXT.KV_argosy_status.workers": set(),
    "$JS.ACK.ARGOSY_WORK.workers.1.1.1.1.0": {MEMBER},
    "$JS.ACK.ANOTHER.workers.1.1.1.1.0": set(),
    "$JS.API.INFO": set(),
    "$JS.API.STREAM.NAMES": set(),
    "$JS.API.STREAM.CREATE.MINE": set(),
    "$JS.API.STREAM.DELETE.ARGOSY_WORK": set(),
    "$JS.API.STREAM.PURGE.ARGOSY_WORK": set(),
    "$JS.API.STREAM.MSG.GET.ARGOSY_WORK": set(),
    "$JS.API.STREAM.MSG.DELETE.ARGOSY_WORK": set(),
    "$JS.API.DIRECT.GET.ARGOSY_WORK": set(),
    "$JS.API.CONSUMER.CREATE.ARGOSY_WORK.mine": set(),
    "$JS.API.CONSUMER.DURABLE.CREATE.ARGOSY_WORK.mine": set(),
    "$JS.API.CONSUMER.DELETE.ARGOSY_WORK.workers": set(),
    "$JS.API.STREAM.INFO.KV_argosy_status": {OPERATOR, READER},
    "$JS.API.CONSUMER.CREATE.KV_argosy_status": {OPERATOR, READER},
    "$JS.API.CONSUMER.CREATE.KV_argosy_status.mine": {OPERATOR, READER},
    "$JS.API.CONSUMER.INFO.KV_argosy_status.mine": {OPERATOR, READER},
    "$JS.API.CONSUMER.DELETE.KV_argosy_status.mine": set(),
    "$JS.FC.KV_argosy_status.mine.1": {OPERATOR, READER},
    "$JS.API.DIRECT.GET.KV_argosy_status.$KV.argosy_status.a": {OPERATOR, READER},
    "$JS.API.STREAM.PURGE.KV_argosy_status": set(),
    "$JS.API.STREAM.DELETE.KV_argosy_status": set(),
    "$KV.argosy_status.a": set(),
    "$SYS.REQ.SERVER.PING": set(),
}
SUBSCRIBE: dict[str, set[Role]] = {
    "_INBOX_NAME.>": {MEMBER, OPERATOR, READER},
    "_INBOX_another.>": set(),
    "_INBOX.>": set(),
    "argosy.all.>": {MEMBER},
    "argosy.status.>": {OPERATOR, READER},
    "argosy.status.jobs": {OPERATOR, READER},
    "argosy.>": set(),
    "argosy.*.>": set(),
    ">": set(),
    "argosy.work.>": set(),
    "argosy.control.>": set(),
    "argosy.member.>": set(),
    "argosy.member.NAME.>": set(),
    "$JS.>": set(),
    "$KV.argosy_status.>": set(),
    "$SYS.>": set(),
}


@dataclass
class Connection:
    """A client, what the server refused it, and whether the server has ended it."""

    client: Client
    refused: list[str] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Scene:
    """A running server, and a join file for each role, named for it."""

    server: NatsServer
    joins: dict[Role, JoinFile]

    @contextlib.asynccontextmanager
    async def connected(self, join: JoinFile) -> AsyncIterator[Connection]:
        """A connection that ends with the context."""
        found: list[Connection] = []

        async def note(error: Exception) -> None:
            if found:
                found[0].refused.append(str(error).lower())

        async def ended() -> None:
            if found:
                found[0].closed.set()

        client = await nats.connect(
            self.server.url,
            tls=client_context(join),
            tls_handshake_first=True,
            inbox_prefix=join.inbox_prefix,
            allow_reconnect=False,
            connect_timeout=int(WAIT_SECONDS),
            error_cb=note,
            closed_cb=ended,
        )
        found.append(Connection(client))
        try:
            yield found[0]
        finally:
            await client.close()

    @property
    def cluster(self) -> ClusterDirectory:
        return self.server.cluster

    def add(self, name: str, role: Role, days: int = 365) -> JoinFile:
        """Give out one more certificate, which the server then knows."""
        path = self.cluster.add(name, role, self.cluster.path / f"{name}.join", [], days).path
        self.server.reload()
        return load_join_file(path)


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """Let the warnings above come while they are ignored, not in another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server with its streams, as the engine makes them."""
    directory = tmp_path_factory.mktemp("rights")
    cluster = ClusterDirectory(directory / "cluster")
    # Ten days old, so that a certificate of it may have expired.
    ClusterDirectory(cluster.path, lambda: time.time() - 10 * DAY).init([Address("127.0.0.1", 4222)])
    joins = {Role.MASTER: cluster.own(Role.MASTER)}
    for role in GIVEN_OUT:
        path = cluster.add(f"a-{role.value}", role, directory / f"a-{role.value}.join", [], 365).path
        joins[role] = load_join_file(path)
    with nats_server(cluster, directory) as server:
        made = Scene(server, joins)
        asyncio.run(make_streams(made))
        yield made


async def make_streams(scene: Scene) -> None:
    async with scene.connected(scene.joins[Role.MASTER]) as master:
        stream = master.client.jetstream()
        await stream.add_stream(
            name=SUBJECTS.work_stream,
            subjects=["argosy.work.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.MEMORY,
        )
        workers = ConsumerConfig(durable_name="workers", ack_policy=AckPolicy.EXPLICIT)
        await stream.add_consumer(SUBJECTS.work_stream, workers)
        bucket = KeyValueConfig(bucket=SUBJECTS.status_bucket, storage=StorageType.MEMORY, direct=True)
        await stream.create_key_value(bucket)


@pytest.mark.parametrize("role", GIVEN_OUT)
@pytest.mark.parametrize(("word", "table"), [("PUB", PUBLISH), ("SUB", SUBSCRIBE)])
def test_a_role_may_what_the_table_says_and_nothing_else(
    scene: Scene, role: Role, word: str, table: dict[str, set[Role]]
) -> None:
    join = scene.joins[role]
    rest = b" 0\r\n" if word == "PUB" else b" 1"
    wrong = []
    with talking(scene.server.address, client_context(join)) as ask:
        for subject, allowed in table.items():
            own = subject.replace("NAME", join.name)
            # The server answers a message that it refuses before the ping that follows it.
            refused = b"-ERR 'Permissions Violation" in ask(f"{word} {own}".encode() + rest)
            if refused == (role in allowed):
                wrong.append(subject)
    assert not wrong


def test_the_master_may_do_all(scene: Scene) -> None:
    with talking(scene.server.address, client_context(scene.joins[Role.MASTER])) as ask:
        assert all(b"-ERR" not in ask(f"SUB {subject} 1".encode()) for subject in SUBSCRIBE)


def test_a_member_takes_a_task_renews_its_lease_and_completes_it(scene: Scene) -> None:
    async def run() -> None:
        async with scene.connected(scene.joins[Role.MASTER]) as master, scene.connected(scene.joins[MEMBER]) as member:
            await master.client.jetstream().publish("argosy.work.1", b"a batch")
            tasks = await member.client.jetstream().pull_subscribe_bind(consumer="workers", stream=SUBJECTS.work_stream)
            (task,) = await tasks.fetch(1, timeout=WAIT_SECONDS)
            assert task.data == b"a batch"
            await task.in_progress()
            await task.ack_sync(timeout=WAIT_SECONDS)
            left = await master.client.jetstream().stream_info(SUBJECTS.work_stream)
            assert left.state.messages == 0
            assert member.refused == []

    asyncio.run(run())


def test_a_scaler_sees_how_many_tasks_there_are(scene: Scene) -> None:
    """On the monitoring page that KEDA can read: those that wait and those in progress."""

    async def run() -> None:
        async with scene.connected(scene.joins[Role.MASTER]) as master, scene.connected(scene.joins[MEMBER]) as member:
            assert tasks_told(scene.server) == 0
            for _ in range(3):
                await master.client.jetstream().publish("argosy.work.1", b"")
            tasks = await member.client.jetstream().pull_subscribe_bind(consumer="workers", stream=SUBJECTS.work_stream)
            held = await tasks.fetch(2, timeout=WAIT_SECONDS)
            assert tasks_told(scene.server) == 3
            held += await tasks.fetch(1, timeout=WAIT_SECONDS)
            for task in held:
                await task.ack_sync(timeout=WAIT_SECONDS)
            assert tasks_told(scene.server) == 0

    asyncio.run(run())


def tasks_told(server: NatsServer) -> int:
    """account_details.#(name=="$G").stream_detail.#(name=="ARGOSY_WORK").state.messages"""
    with urllib.request.urlopen(f"{server.monitoring}/jsz?streams=true", timeout=WAIT_SECONDS) as answer:
        found: Any = json.load(answer)
    for key, name in (("account_details", "$G"), ("stream_detail", SUBJECTS.work_stream)):
        (found,) = [entry for entry in found[key] if entry["name"] == name]
    return int(found["state"]["messages"])


def test_an_operator_is_answered_and_nobody_else_hears_it(scene: Scene) -> None:
    async def run() -> None:
        async with (
            scene.connected(scene.joins[Role.MASTER]) as master,
            scene.connected(scene.joins[OPERATOR]) as operator,
        ):
            requests = await master.client.subscribe("argosy.control.>")
            # An answer of the server's: nats-py's flush sends its PING ahead of a SUB that still waits to be written.
            await master.client.jetstream().stream_info(SUBJECTS.work_stream)
            answer = asyncio.create_task(operator.client.request("argosy.control.submit", b"job", WAIT_SECONDS))
            request = await requests.next_msg(WAIT_SECONDS)
            assert request.reply.startswith(f"_INBOX_{scene.joins[OPERATOR].name}.")
            await request.respond(b"accepted")
            assert (await answer).data == b"accepted"

    asyncio.run(run())


@pytest.mark.parametrize("role", [OPERATOR, READER])
def test_status_can_be_watched_and_read(scene: Scene, role: Role) -> None:
    async def run() -> None:
        async with scene.connected(scene.joins[Role.MASTER]) as master, scene.connected(scene.joins[role]) as reader:
            written = await master.client.jetstream().key_value(SUBJECTS.status_bucket)
            await written.put("members.a", b"1")
            bucket = await reader.client.jetstream().key_value(SUBJECTS.status_bucket)
            assert (await bucket.get("members.a")).value == b"1"
            watcher: Any = await bucket.watchall()  # the library leaves it without types
            first = await watcher.updates(WAIT_SECONDS)
            assert first is not None
            assert first.value == b"1"
            assert await watcher.updates(WAIT_SECONDS) is None  # all that was there has been told
            await written.put("members.a", b"2")
            second = await watcher.updates(WAIT_SECONDS)
            assert second is not None
            assert second.value == b"2"
            await watcher.stop()
            assert reader.refused == []

    asyncio.run(run())


def test_a_revoked_certificate_is_cut_off_at_once_and_the_others_stay(scene: Scene) -> None:
    async def run() -> None:
        join = scene.add("stolen", MEMBER)
        async with (
            scene.connected(scene.joins[Role.MASTER]) as master,
            scene.connected(scene.joins[MEMBER]) as other,
            scene.connected(join) as stolen,
        ):
            scene.cluster.revoke("stolen")
            assert stolen.client.is_connected
            scene.server.reload()
            await asyncio.wait_for(stolen.closed.wait(), WAIT_SECONDS)
            assert is_turned_away(scene.server, client_context(join))
            for connection in (master, other):
                await connection.client.flush(int(WAIT_SECONDS))
                assert not connection.closed.is_set()

    asyncio.run(run())


def test_a_renewed_certificate_is_another_user_and_the_old_one_can_be_cut_off_alone(scene: Scene) -> None:
    async def run() -> None:
        old = scene.add("renewed", MEMBER)
        kept = scene.cluster.path / "renewed-2.join"
        async with scene.connected(old) as first:
            scene.cluster.renew("renewed", kept, 365)
            scene.server.reload()
            async with scene.connected(load_join_file(kept)) as second:
                await first.client.flush(int(WAIT_SECONDS))
                await second.client.flush(int(WAIT_SECONDS))
        newest = scene.cluster.path / "renewed-3.join"
        async with scene.connected(load_join_file(kept)) as second:
            scene.cluster.renew("renewed", newest, 365, revoke_old=True)
            scene.server.reload()
            await asyncio.wait_for(second.closed.wait(), WAIT_SECONDS)
            async with scene.connected(load_join_file(newest)) as third:
                await third.client.flush(int(WAIT_SECONDS))

    asyncio.run(run())


def test_a_connection_ends_when_its_certificate_has_and_the_users_are_rendered_again(scene: Scene) -> None:
    async def run() -> None:
        async with scene.connected(scene.add("short", MEMBER, days=1)) as short:
            scene.server.reload(now=time.time() + 2 * DAY)
            await asyncio.wait_for(short.closed.wait(), WAIT_SECONDS)

    try:
        asyncio.run(run())
    finally:
        scene.server.reload()


def test_an_expired_certificate_is_turned_away(scene: Scene) -> None:
    """By TLS itself, even while the users that the server knows still hold it."""
    now = time.time()
    past = ClusterDirectory(scene.cluster.path, lambda: now - 5 * DAY)
    path = past.add("expired", MEMBER, scene.cluster.path / "expired.join", [], 1).path
    try:
        scene.server.reload(now=now - 5 * DAY)
        assert is_turned_away(scene.server, client_context(load_join_file(path, now=now - 5 * DAY)))
    finally:
        scene.server.reload()


def test_a_stranger_is_turned_away(scene: Scene, tmp_path: Path) -> None:
    """No certificate, one of another authority, one that the register does not list, the server's own."""
    other = ClusterDirectory(tmp_path / "other")
    other.init([Address("127.0.0.1", 4222)])
    copy = ClusterDirectory(tmp_path / "copy")
    shutil.copytree(scene.cluster.path, copy.path)
    unlisted = load_join_file(copy.add("unlisted", OPERATOR, tmp_path / "unlisted.join", [], 365).path)
    member = scene.joins[MEMBER]
    server = scene.cluster.server_files.pair.read_bytes()
    for context in (
        ssl.create_default_context(cadata=member.authority.decode("ascii")),
        client_context(replace(other.own(Role.MASTER), authority=member.authority)),
        client_context(unlisted),
        client_context(replace(member, pair=KeyPair(server, server))),
    ):
        assert is_turned_away(scene.server, context)
    assert not is_turned_away(scene.server, client_context(member))


def test_any_path_can_hold_the_certificates(tmp_path: Path) -> None:
    cluster = ClusterDirectory(tmp_path / 'a "b" \\c \N{LATIN SMALL LETTER E WITH ACUTE} $d #e' / "cluster")
    cluster.init()
    with nats_server(cluster, tmp_path) as server:
        assert not is_turned_away(server, client_context(cluster.own(Role.MASTER)))


def test_a_false_master_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    """One of another authority, a member that plays the server, and the right one under another name."""
    member = scene.joins[MEMBER]
    other = ClusterDirectory(tmp_path / "other")
    other.init([Address("127.0.0.1", 4222)])
    impostor = ClusterDirectory(scene.cluster.path)
    (tmp_path / "member.pem").write_bytes(member.pair.certificate + member.pair.key)
    impostor.server_files = ServerFiles(tmp_path / "member.pem", scene.cluster.server_files.authority)
    for number, false in enumerate((other, impostor)):
        (tmp_path / str(number)).mkdir()
        with nats_server(false, tmp_path / str(number)) as server, pytest.raises(ssl.SSLCertVerificationError):
            greet(server, client_context(member))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        greet(scene.server, client_context(member), "elsewhere.example")


def greet(server: NatsServer, context: ssl.SSLContext, host: str = "127.0.0.1") -> bytes:
    """Connect; what the server says to a ping, or until it hangs up."""
    with talking(server.address, context, host) as ask:
        return ask(b"PING")


def is_turned_away(server: NatsServer, context: ssl.SSLContext) -> bool:
    try:
        return b"PONG\r\n" not in greet(server, context)
    except (ssl.SSLError, ConnectionError) as error:
        # The server's refusal, not ours of the server.
        return not isinstance(error, ssl.SSLCertVerificationError)
