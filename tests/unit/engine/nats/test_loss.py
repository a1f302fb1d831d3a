"""What becomes of tasks when members, links or the server are lost: real processes, real signals, a real server."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from argosy.engine.interface import (
    MemberJoined,
    MemberLeft,
    Report,
    Task,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskTaken,
)
from argosy.engine.nats import agent
from argosy.engine.nats.engine import NatsEngine
from argosy.engine.nats.server import NatsServer
from tests.support.cluster import Cluster, Drawer, Member, nats_server
from tests.support.engine_driver import EngineDriver, Gate, ProcessEnd
from tests.support.engine_handlers import SCRIPTED

# Long enough for a member of a loaded machine to be heard; the tests hold too if one is struck off for nothing.
LEASE_SECONDS = 3.0


class Scene:
    """A server, a cluster on it and one engine, which re-offers what lapses."""

    def __init__(self, server: NatsServer, cluster: Cluster, engine: NatsEngine) -> None:
        self.server = server
        self.cluster = cluster
        self.driver = EngineDriver(engine)
        self._waiting: list[Task] = []
        self._heard = 0

    def run(self, payloads: list[bytes], interfere: Callable[[int], None] = lambda _: None) -> None:
        """Have every task completed; ``interfere`` is called with the number of completed ones at each turn."""
        self._waiting = [Task(number, 1, payload) for number, payload in enumerate(payloads)]
        driver = self.driver
        driver.until(lambda: self._turn(payloads, interfere) == len(payloads))

    def _turn(self, payloads: list[bytes], interfere: Callable[[int], None]) -> int:
        driver = self.driver
        for event in driver.seen[self._heard :]:
            if isinstance(event, TaskLapsed):
                self._waiting.append(Task(event.task_id, event.attempt + 1, payloads[event.task_id]))
        self._heard = len(driver.seen)
        while self._waiting and driver.engine.wanted() > 0:
            driver.engine.offer(self._waiting.pop(0))
        done = len(driver.completed())
        interfere(done)
        return done

    def each_attempt_ended_once(self) -> bool:
        """Whether no attempt ended twice, and no task completed twice."""
        driver = self.driver
        kinds = (TaskComplete, TaskLapsed, TaskFailed)
        attempts = Counter((event.task_id, event.attempt) for event in driver.seen if isinstance(event, kinds))
        completions = Counter(event.task_id for event in driver.all(TaskComplete))
        return max(attempts.values()) == 1 and max(completions.values()) == 1


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        server = stack.enter_context(nats_server(tmp_path / "nats"))
        cluster = Cluster(server, lease_seconds=LEASE_SECONDS)
        stack.callback(cluster.close)
        engine = NatsEngine(cluster.hub, idle_seconds=3600.0)
        engine.start(b"", SCRIPTED)
        stack.callback(engine.cancel)
        yield Scene(server, cluster, engine)


def once(action: Callable[[], object], *, after: int) -> Callable[[int], None]:
    """Call ``action`` when that many tasks have completed, and never again."""
    actions = [action]

    def interfere(done: int) -> None:
        if actions and done >= after:
            actions.pop()()

    return interfere


def test_members_share_the_tasks_and_may_join_in_the_middle(scene: Scene) -> None:
    scene.cluster.join("first", 1)
    scene.run(
        [b"echo %d" % number for number in range(200)],
        once(lambda: scene.cluster.join("second", 1), after=20),
    )
    assert {event.member for event in scene.driver.all(MemberJoined)} == {"first", "second"}
    assert {event.member for event in scene.driver.all(TaskTaken)} == {"first", "second"}
    assert scene.each_attempt_ended_once()


def test_what_a_killed_member_held_lapses_before_it_leaves_and_is_done_by_others(scene: Scene, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    victim = scene.cluster.join_process("victim", 1)
    scene.driver.offer(gate.payload)
    scene.driver.until_taken(0)
    scene.cluster.join("survivor", 1)
    ends = [ProcessEnd(worker.pid) for worker in scene.driver.workers()]
    victim.process.kill()
    for end in ends:
        end.wait()
    scene.driver.until(lambda: bool(scene.driver.all(MemberLeft)))
    lapsed, left = scene.driver.seen[-2:]
    assert isinstance(lapsed, TaskLapsed)
    assert (lapsed.task_id, lapsed.member, lapsed.taken) == (0, "victim", True)
    assert "silent" in lapsed.reason
    assert isinstance(left, MemberLeft)
    scene.driver.offer(b"echo again", attempt=2)
    scene.driver.until(lambda: scene.driver.completed() == {0: b"again"})


def test_a_member_that_was_stopped_past_its_lease_comes_back_under_its_name(scene: Scene, tmp_path: Path) -> None:
    """What it says about the task that it held then is dropped."""
    gate = Gate(tmp_path / "gate")
    member = scene.cluster.join_process("sleeper", 1)
    scene.driver.offer(gate.payload)
    scene.driver.until_taken(0)
    os.kill(member.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, member.process.pid, os.WSTOPPED | os.WNOWAIT)
    gate.open()
    scene.driver.until(lambda: bool(scene.driver.all(MemberLeft)))
    assert [event.task_id for event in scene.driver.all(TaskLapsed)] == [0]
    os.kill(member.process.pid, signal.SIGCONT)
    scene.driver.until(lambda: scene.driver.engine.wanted() == 2)
    scene.driver.offer(b"echo again", attempt=2)
    scene.driver.until(lambda: scene.driver.completed() == {0: b"again"})
    assert [event.member for event in scene.driver.all(MemberJoined)] == ["sleeper", "sleeper"]
    first, second = scene.driver.all(TaskTaken)
    assert first.worker != second.worker
    assert scene.each_attempt_ended_once()


def test_the_server_is_killed_and_nothing_is_lost_or_counted_twice(scene: Scene) -> None:
    scene.cluster.join("here", 1)
    scene.cluster.join_process("there", 1)
    kill = [100, 200]

    def interfere(done: int) -> None:
        if kill and done >= kill[0]:
            kill.pop(0)
            os.kill(scene.server.pid, signal.SIGKILL)

    scene.run([b"echo %d" % number for number in range(300)], interfere)
    assert not kill
    assert scene.driver.completed() == {number: b"%d" % number for number in range(300)}
    assert scene.each_attempt_ended_once()


def test_a_member_that_did_not_hear_the_master_which_heard_it_gets_work_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over a link that is choked in one direction: it is never struck off, and gives its work up by itself."""
    gate = Gate(tmp_path / "gate")
    member = scene.cluster.join("deaf", 1).agent
    scene.driver.offer(gate.payload)
    scene.driver.until_taken(0)
    first, say_hello = member._instance, member._say_hello

    async def unheard() -> bytes | None:
        answer = await say_hello()
        return None if member._instance == first else answer

    monkeypatch.setattr(agent, "_LEASES_OF_PATIENCE", 0)
    monkeypatch.setattr(member, "_say_hello", unheard)
    scene.driver.until(lambda: bool(scene.driver.all(MemberLeft)))
    assert [event.task_id for event in scene.driver.all(TaskLapsed)] == [0]
    scene.driver.until(lambda: scene.driver.engine.wanted() == 2)
    scene.driver.offer(b"echo again", attempt=2)
    scene.driver.until(lambda: scene.driver.completed() == {0: b"again"})


def test_members_that_leave_in_order_are_missed_at_once(scene: Scene, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    leaver = scene.cluster.join("leaver", 1)
    scene.driver.offer(gate.payload)
    scene.driver.until_taken(0)
    leaver.agent.close()
    scene.driver.until(lambda: bool(scene.driver.all(MemberLeft)))
    assert [event.task_id for event in scene.driver.all(TaskLapsed)] == [0]
    assert "left" in scene.driver.all(MemberLeft)[0].reason


def test_everything_at_once(scene: Scene) -> None:
    """Members and server are killed and stopped while two hundred tasks are worked on."""
    scene.cluster.join("steady", 1)
    victims = [scene.cluster.join_process(f"victim-{number}", 1) for number in range(2)]
    events: list[Callable[[], None]] = [
        victims[0].process.kill,
        lambda: os.kill(scene.server.pid, signal.SIGKILL),
        lambda: os.kill(victims[1].process.pid, signal.SIGSTOP),
    ]

    def interfere(done: int) -> None:
        if events and done >= 50 * (4 - len(events)):
            events.pop(0)()

    scene.run([b"echo %d" % number for number in range(200)], interfere)
    os.kill(victims[1].process.pid, signal.SIGCONT)
    assert not events
    assert scene.each_attempt_ended_once()


def test_another_master_hears_first_of_what_was_stored_for_the_former_one(tmp_path: Path) -> None:
    setup = b"speak at once"
    with ExitStack() as stack:
        server = stack.enter_context(nats_server(tmp_path / "nats"))
        former = Cluster(server, lease_seconds=LEASE_SECONDS)
        member = Member(former.url, "steady", 1, leftovers=Drawer(setup))
        stack.callback(member.close)
        engine = NatsEngine(former.hub, idle_seconds=3600.0)
        engine.start(setup, SCRIPTED)
        driver = EngineDriver(engine)
        driver.offer(b"hold")
        driver.until(lambda: engine.wanted() == 2)
        former.close()
        other = Cluster(server, lease_seconds=LEASE_SECONDS)
        stack.callback(other.close)
        engine = NatsEngine(other.hub, idle_seconds=3600.0)
        engine.start(setup, SCRIPTED)
        stack.callback(engine.cancel)
        engine.expect(["steady"])
        driver = EngineDriver(engine)
        driver.until(lambda: engine.wanted() == 2)
        assert driver.seen[0] == MemberJoined("steady")
        assert driver.all(Report)[-1].payload == b"idle"


def test_members_that_are_expected_and_never_heard_of_are_waited_for_for_a_lease(scene: Scene) -> None:
    engine = scene.driver.engine
    engine.expect(["here", "gone"])
    scene.cluster.join("here", 1)
    scene.run([b"echo after a lease"])
    assert scene.driver.completed() == {0: b"after a lease"}
