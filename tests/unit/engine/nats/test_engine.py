"""What is special to the cluster's engine: several members, what they are refused, what travels."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from argosy.engine.interface import MemberLeft, Task, TaskLapsed, TaskTaken
from argosy.engine.nats import wire
from argosy.engine.nats.agent import Agent
from argosy.engine.nats.connection import Connection
from argosy.engine.nats.engine import NatsEngine
from argosy.engine.nats.server import NatsServer
from argosy.engine.nats.wire import WORK_STREAM
from argosy.errors import EngineError
from tests.support.cluster import PATIENCE_SECONDS, Cluster, nats_server
from tests.support.engine_driver import EngineDriver, Gate
from tests.support.engine_handlers import SCRIPTED


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def cluster(server: NatsServer) -> Iterator[Cluster]:
    cluster = Cluster(server)
    yield cluster
    cluster.close()


def started(cluster: Cluster, stack: ExitStack, handler: str = SCRIPTED, setup: bytes = b"") -> EngineDriver:
    engine = NatsEngine(cluster.hub, idle_seconds=3600.0)
    engine.start(setup, handler)
    stack.callback(engine.cancel)
    return EngineDriver(engine)


def test_a_waiting_task_goes_to_a_member_that_has_nothing_to_do(
    cluster: Cluster, stack: ExitStack, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    cluster.join("busy", 1)
    driver = started(cluster, stack)
    driver.offer(gate.payload, b"echo moved")
    driver.until_taken(0)
    cluster.join("idle", 1)
    driver.until_ended(1)
    gate.open()
    driver.until_ended(0)
    assert {event.task_id: event.member for event in driver.all(TaskTaken)} == {0: "busy", 1: "idle"}


def test_nothing_is_wanted_before_the_members_that_are_expected_have_come(cluster: Cluster, stack: ExitStack) -> None:
    driver = started(cluster, stack)
    driver.engine.expect(["first", "second"])
    cluster.join("first", 1)
    assert isinstance(driver.engine, NatsEngine)
    places = driver.engine._placement.places
    driver.until(lambda: any(place.has_begun for place in places.values()))
    assert driver.engine.wanted() == 0
    cluster.join("second", 1)
    driver.until(lambda: driver.engine.wanted() == 4)


class Choosing:
    """A member kept to some words gets the tasks that begin so, and a setup of its own."""

    def suits(self, handler: str, payload: bytes, only: Sequence[bytes]) -> bool:
        assert handler == SCRIPTED
        return payload.startswith(tuple(only))

    def without_credentials(self, handler: str, setup: bytes) -> bytes:
        assert handler == SCRIPTED
        return setup.replace(b"secret", b"")


def test_a_member_that_is_kept_to_some_tasks_leaves_the_others(cluster: Cluster, stack: ExitStack) -> None:
    cluster.hub.tailor = Choosing()
    cluster.join("kept", 1, wire.Terms(only=[b"echo ours"]))
    driver = started(cluster, stack)
    driver.offer(b"echo theirs", b"echo ours")
    driver.until_ended(1)
    assert driver.ended() == [1]
    cluster.join("free", 1)
    driver.offer(b"echo ours", b"echo theirs", first_id=2)
    driver.until_ended(0, 1, 2, 3)
    members = {event.task_id: event.member for event in driver.all(TaskTaken)}
    assert (members[0], members[1], members[3]) == ("free", "kept", "free")


def test_a_member_with_credentials_of_its_own_is_sent_none(cluster: Cluster, stack: ExitStack) -> None:
    cluster.hub.tailor = Choosing()
    cluster.join("own", 1, wire.Terms(own_credentials=True))
    driver = started(cluster, stack, setup=b"the secret setup")
    driver.offer(b"setup")
    driver.until_ended(0)
    assert driver.completed() == {0: b"the  setup"}


def test_payloads_above_the_servers_limit_go_in_parts(cluster: Cluster, stack: ExitStack) -> None:
    size = 5_000_000
    cluster.join("member", 1)
    driver = started(cluster, stack)
    driver.offer(b"length " + bytes(size), b"big %d" % size)
    driver.until_ended(0, 1)
    assert driver.completed() == {0: b"%d" % size, 1: bytes(size)}


def test_two_engines_share_a_member(cluster: Cluster, stack: ExitStack) -> None:
    cluster.join("member", 1)
    drivers = [started(cluster, stack), started(cluster, stack)]
    for number, driver in enumerate(drivers):
        driver.offer(b"echo %d" % number)
    for driver in drivers:
        driver.until_ended(0)
    assert [driver.completed() for driver in drivers] == [{0: b"0"}, {0: b"1"}]


def test_a_member_runs_no_handler_but_those_it_allows(cluster: Cluster, stack: ExitStack) -> None:
    cluster.join("member", 1)
    driver = started(cluster, stack, "os:system")
    with pytest.raises(EngineError, match=r"does not run 'os:system'"):
        driver.until(lambda: False)


def test_a_member_that_cannot_work_does_not_end_the_job(cluster: Cluster, stack: ExitStack) -> None:
    """Its repository mount is missing, say."""
    good = cluster.join("good", 1)
    bad = Connection(cluster.url, "bad")
    bad.open(PATIENCE_SECONDS)
    stack.callback(bad.close)
    agent = Agent(bad, "bad", 1, ())
    agent.start()
    stack.callback(agent.close)
    cluster.until_known("bad")
    driver = started(cluster, stack)
    driver.until(lambda: driver.engine.wanted() == 2)
    driver.offer(*(b"echo %d" % number for number in range(20)))
    driver.until_ended(*range(20))
    assert {event.member for event in driver.all(TaskTaken)} == {"good"}
    assert good.agent is not agent


def test_what_an_expelled_member_held_is_done_by_others(cluster: Cluster, stack: ExitStack, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    cluster.join("blind", 1)
    driver = started(cluster, stack)
    driver.offer(gate.payload)
    driver.until_taken(0)
    cluster.join("seeing", 1)
    driver.until(lambda: driver.engine.wanted() == 3)
    driver.engine.expel("blind", "it sees another share")
    driver.until(lambda: bool(driver.all(MemberLeft)))
    assert [event.task_id for event in driver.all(TaskLapsed)] == [0]
    assert "another share" in driver.all(MemberLeft)[0].reason
    driver.offer(*(b"echo %d" % number for number in range(20)), attempt=2)
    driver.until(lambda: len(driver.completed()) == 20)
    assert {event.member for event in driver.all(TaskTaken) if event.attempt == 2} == {"seeing"}


def test_a_second_member_of_a_name_is_refused_in_words(cluster: Cluster, stack: ExitStack) -> None:
    cluster.join("twin", 1)
    states: list[str] = []
    connection = Connection(cluster.url, "twin")
    connection.open(PATIENCE_SECONDS)
    stack.callback(connection.close)
    hello = wire.Hello(wire.PROTOCOL, "0", "twin", "another", "elsewhere", 1, 1, [], [])
    answer = connection.run(connection.request(wire.hello_subject("twin"), wire.encode(hello), PATIENCE_SECONDS))
    assert answer is not None
    states.append(wire.decode(answer, wire.Welcome).refusal)
    assert "there already" in states[0]
    assert "--name" in states[0]


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        (wire.Hello(999, "9.9", "m", "i", "h", 1, 1, [], []), "protocol"),
        (wire.Hello(wire.PROTOCOL, "1", "other", "i", "h", 1, 1, [], []), "other"),
    ],
)
def test_a_member_is_refused_in_words(cluster: Cluster, stack: ExitStack, hello: wire.Hello, words: str) -> None:
    connection = Connection(cluster.url, "m")
    connection.open(PATIENCE_SECONDS)
    stack.callback(connection.close)
    answer = connection.run(connection.request(wire.hello_subject("m"), wire.encode(hello), PATIENCE_SECONDS))
    assert answer is not None
    assert words in wire.decode(answer, wire.Welcome).refusal
    assert cluster.hub.members() == []


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "-a", "x" * 64])
def test_a_name_that_cannot_stand_in_a_subject_is_refused(name: str) -> None:
    with pytest.raises(EngineError, match="cannot be a member's name"):
        wire.check_member_name(name)


@pytest.mark.parametrize(
    ("subject", "reply", "may"),
    [
        ("argosy.member.nas.hello", "_INBOX_nas.x", True),
        ("argosy.member.nas.hello", "_INBOX_nas-2.x", False),
        ("argosy.member.nas.look", "argosy.member.other.segment", False),
        ("argosy.control.submit", "_INBOX_operator.x", True),
        ("argosy.control.submit", "argosy.control.stop", False),
        ("argosy.control.submit", "", False),
    ],
)
def test_an_answer_goes_to_an_inbox(subject: str, reply: str, may: bool) -> None:
    assert wire.may_be_answered(subject, reply) is may


def test_nobody_hears_an_answer_that_was_to_go_elsewhere(cluster: Cluster, stack: ExitStack) -> None:
    """A member's rights must not let it speak, through the master, where it may not itself."""
    connection = Connection(cluster.url, "m")
    connection.open(PATIENCE_SECONDS)
    stack.callback(connection.close)
    heard: list[bytes] = []

    async def ask() -> None:
        async def hear(message: Msg) -> None:
            heard.append(message.data)

        await connection.listen("argosy.member.victim.segment", hear)
        hello = wire.encode(wire.Hello(wire.PROTOCOL, "1", "m", "i", "h", 1, 1, [], []))
        await connection.client.publish(wire.hello_subject("m"), hello, reply="argosy.member.victim.segment")
        # Answers come in order: the second one is heard after the first would have been.
        assert await connection.request(wire.hello_subject("m"), hello, PATIENCE_SECONDS) is not None
        await connection.client.flush()

    connection.run(ask())
    assert heard == []


def test_neither_setup_nor_payload_stands_in_the_stream(
    cluster: Cluster, stack: ExitStack, server: NatsServer, tmp_path: Path
) -> None:
    del server
    cluster.join("member", 1)
    engine = NatsEngine(cluster.hub)
    engine.start(b"open sesame", SCRIPTED)
    stack.callback(engine.cancel)
    driver = EngineDriver(engine)
    gate = Gate(tmp_path / "gate")
    driver.offer(gate.payload, b"setup")
    driver.until_taken(0)

    async def messages() -> list[bytes]:
        info = await cluster.connection.jetstream.stream_info(wire.WORK_STREAM)
        state = info.state
        found = []
        for number in range(state.first_seq, state.last_seq + 1):
            message = await cluster.connection.jetstream.get_msg(wire.WORK_STREAM, number)
            found.append(message.data or b"")
        return found

    assert set(cluster.connection.run(messages())) == {b""}
    gate.open()
    driver.until_ended(1)
    assert driver.completed()[1] == b"open sesame"


def test_the_servers_configuration_is_private(server: NatsServer, tmp_path: Path) -> None:
    assert server.port > 0
    assert stat.S_IMODE((tmp_path / "nats" / "server.conf").stat().st_mode) == 0o600


def test_a_server_that_cannot_start_is_an_error_with_its_last_words(server: NatsServer, tmp_path: Path) -> None:
    second = NatsServer(tmp_path / "second", "127.0.0.1", server.port)
    with pytest.raises(EngineError, match="address already in use"):
        second.start()


@pytest.mark.parametrize(("said", "words"), [("nats-server: v2.9.10", "too old"), ("", "unknown version")])
def test_an_old_server_is_refused(tmp_path: Path, said: str, words: str) -> None:
    program = tmp_path / "nats-server"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    with pytest.raises(EngineError, match=words) as caught:
        NatsServer(tmp_path / "nats", "127.0.0.1", 0, program=str(program)).start()
    assert "2.10" in caught.value.hint


def test_no_server_is_an_error_that_names_the_address() -> None:
    connection = Connection("nats://127.0.0.1:1", "m")
    try:
        with pytest.raises(EngineError, match=r"127\.0\.0\.1:1") as caught:
            connection.open(0.5)
        assert caught.value.hint
    finally:
        connection.close()


def test_the_state_map_is_mirrored_in_a_bucket(cluster: Cluster) -> None:
    cluster.join("member", 3)

    async def first_value() -> bytes:
        bucket = await cluster.connection.jetstream.key_value(wire.STATE_BUCKET)
        watcher = await bucket.watch("member")
        async for entry in watcher:
            if entry is not None:
                return bytes(entry.value or b"")
        return b""

    assert b'"workers": 3' in cluster.connection.run(first_value())


def test_a_closed_engine_leaves_nothing_in_the_stream(cluster: Cluster) -> None:
    """Autoscalers would take it for work."""
    engine = NatsEngine(cluster.hub)
    engine.start(b"", SCRIPTED)
    for number in range(engine.wanted()):
        engine.offer(Task(number, 1, b"echo"))
    until_tokens(cluster, lambda count: count > 0)
    engine.cancel()
    until_tokens(cluster, lambda count: count == 0)


def test_members_can_be_called_for_without_work(cluster: Cluster) -> None:
    with cluster.hub.calling():
        until_tokens(cluster, lambda count: count == 1)
    until_tokens(cluster, lambda count: count == 0)


def until_tokens(cluster: Cluster, holds: Callable[[int], bool]) -> None:
    """Wait until the stream holds so many tokens."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    connection = cluster.connection
    while not holds(connection.run(connection.jetstream.stream_info(WORK_STREAM)).state.messages):
        assert time.monotonic() < deadline
        time.sleep(0.05)
