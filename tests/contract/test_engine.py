"""What every engine promises (argosy/engine/interface.py), tried with real processes and real signals."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy.engine.interface import (
    Engine,
    MemberJoined,
    Report,
    Task,
    TaskComplete,
    TaskFailed,
    TaskLapsed,
    TaskProgress,
    TaskTaken,
)
from argosy.engine.local import LocalEngine
from argosy.engine.nats.engine import NatsEngine
from argosy.engine.threads.engine import ThreadEngine
from argosy.errors import EngineError
from tests.support import engine_handlers
from tests.support.cluster import Cluster, nats_server
from tests.support.engine_driver import EngineDriver, Gate, ProcessEnd
from tests.support.engine_handlers import SCRIPTED

NEVER_IDLE_SECONDS = 3600.0


@dataclass(frozen=True)
class EngineKind:
    """One implementation: how to build it, and where the contract lets engines differ."""

    build: Callable[[ExitStack, int, float], Engine]
    # Whether a worker that is stopped, not dead, loses its tasks after a while (a lease) or keeps them.
    stopped_worker_lapses: bool
    # Whether a task is with a worker as soon as it is offered, or is under way to its member for a moment.
    hands_over_at_once: bool


def build_local(_stack: ExitStack, workers: int, idle_seconds: float) -> Engine:
    return LocalEngine(workers, idle_seconds=idle_seconds)


def build_threads(_stack: ExitStack, workers: int, idle_seconds: float) -> Engine:
    return ThreadEngine(workers, idle_seconds=idle_seconds, close_seconds=1.0)


def build_nats(stack: ExitStack, workers: int, idle_seconds: float) -> Engine:
    """A cluster with one member, which has joined."""
    server = stack.enter_context(nats_server(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
    cluster = Cluster(server)
    stack.callback(cluster.close)
    cluster.join("member", workers)
    return NatsEngine(cluster.hub, idle_seconds=idle_seconds)


# A member lives on while one of its workers is stopped: its lease is renewed. Whole members that are stopped lapse, see
# tests/unit/engine/nats.
KINDS = {
    "local": EngineKind(build_local, stopped_worker_lapses=False, hands_over_at_once=True),
    "threads": EngineKind(build_threads, stopped_worker_lapses=False, hands_over_at_once=True),
    "nats": EngineKind(build_nats, stopped_worker_lapses=False, hands_over_at_once=False),
}

# Threads cannot be killed, nor die alone.
of_processes = pytest.mark.parametrize("start", ["local", "nats"], indirect=True)


class Starter:
    """Starts engines for a test and cancels them after it."""

    def __init__(self, kind: EngineKind) -> None:
        self.kind = kind
        self._engines: list[Engine] = []
        self._stack = ExitStack()

    def __call__(
        self,
        workers: int = 2,
        *,
        idle_seconds: float = NEVER_IDLE_SECONDS,
        setup: bytes = b"",
        handler: str = SCRIPTED,
    ) -> EngineDriver:
        engine = self.kind.build(self._stack, workers, idle_seconds)
        self._engines.append(engine)
        engine.start(setup, handler)
        return EngineDriver(engine)

    def cancel_all(self) -> None:
        with self._stack:
            for engine in self._engines:
                engine.cancel()


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest) -> Iterator[Starter]:
    starter = Starter(KINDS[request.param])
    yield starter
    starter.cancel_all()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


class TestTheWayOfATask:
    def test_it_is_taken_then_completed_by_a_member_that_joined(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"echo hello")
        driver.until_ended(0)
        name = driver.member().name
        joined, taken, complete = driver.seen
        assert joined == MemberJoined(name)
        assert isinstance(taken, TaskTaken)
        assert complete == TaskComplete(0, 1, name, taken.worker, b"hello")

    def test_a_member_has_joined_before_its_handlers_are_heard(self, start: Starter) -> None:
        driver = start(1, setup=b"speak at once")
        driver.offer(b"hold")
        driver.until_taken(0)
        assert isinstance(driver.seen[0], MemberJoined)
        assert driver.reports() == [b"at once"]

    def test_the_setup_reaches_the_handler_whole(self, start: Starter) -> None:
        setup = bytes(range(256)) * 1000
        driver = start(1, setup=setup)
        driver.offer(b"setup")
        driver.until_ended(0)
        assert driver.completed() == {0: setup}

    def test_many_tasks_each_complete_once(self, start: Starter) -> None:
        driver = start(2)
        driver.offer(*(b"echo %d" % number for number in range(500)))
        driver.until_ended(*range(500))
        assert sorted(driver.ended()) == list(range(500))
        assert driver.completed() == {number: b"%d" % number for number in range(500)}

    def test_one_worker_takes_tasks_in_the_order_of_their_ids(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(*(b"echo %d" % number for number in range(50)))
        driver.until_ended(*range(50))
        assert [event.task_id for event in driver.all(TaskTaken)] == list(range(50))

    def test_a_worker_goes_on_while_earlier_tasks_are_not_complete(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"hold", b"hold", b"hold")
        driver.until_taken(0, 1, 2)
        driver.until(lambda: driver.engine.wanted() == 2)
        assert driver.ended() == []
        assert driver.workers()[0].holding == (0, 1, 2)
        driver.offer(b"release now", first_id=3)
        driver.until_ended(0, 1, 2, 3)
        assert driver.completed() == {0: b"now", 1: b"now", 2: b"now", 3: b"now"}
        assert driver.workers()[0].holding == ()

    def test_another_thread_of_the_worker_may_complete_a_task(self, start: Starter) -> None:
        driver = start(2)
        driver.offer(*(b"later %d" % number for number in range(50)))
        driver.until_ended(*range(50))
        assert driver.completed() == {number: b"%d" % number for number in range(50)}

    @pytest.mark.parametrize("size", [0, 1, 500_000])
    def test_payloads_arrive_whole_in_both_directions(self, start: Starter, size: int) -> None:
        driver = start(1)
        driver.offer(b"length " + bytes(size), b"big %d" % size)
        driver.until_ended(0, 1)
        assert driver.completed() == {0: b"%d" % size, 1: bytes(size)}

    def test_what_a_worker_sends_arrives_in_its_order(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"count 2000")
        driver.until_ended(0)
        numbers = [b"%d" % number for number in range(2000)]
        assert [event.payload for event in driver.all(TaskProgress)] == numbers
        assert driver.reports() == numbers
        assert isinstance(driver.seen[-1], TaskComplete)


class TestTheWindow:
    def test_it_takes_two_tasks_a_worker_and_no_more(self, start: Starter, gate: Gate) -> None:
        driver = start(1)
        driver.offer(gate.payload, b"echo second")
        driver.until_taken(0)
        assert driver.engine.wanted() == 0
        with pytest.raises(EngineError, match="wants none"):
            driver.engine.offer(Task(2, 1, b"echo third"))
        gate.open()
        driver.until_ended(0, 1)
        driver.until(lambda: driver.engine.wanted() == 2)

    def test_a_task_that_is_still_in_the_engine_is_not_taken_twice(self, start: Starter, gate: Gate) -> None:
        driver = start(2)
        driver.offer(gate.payload)
        driver.until_taken(0)
        with pytest.raises(EngineError, match="task 0"):
            driver.engine.offer(Task(0, 2, b"echo again"))
        gate.open()
        driver.until_ended(0)

    def test_a_waiting_task_goes_to_a_worker_that_has_nothing_to_do(self, start: Starter, tmp_path: Path) -> None:
        gates = [Gate(tmp_path / "first"), Gate(tmp_path / "second")]
        driver = start(2)
        driver.offer(*(gate.payload for gate in gates), b"echo 2", b"echo 3")
        driver.until_taken(0, 1)
        gates[1].open()
        driver.until_ended(1, 2, 3)
        assert driver.worker_of(0).holding == (0,)
        gates[0].open()
        driver.until_ended(0)


class TestFailure:
    def test_an_exception_fails_the_task_and_the_worker_goes_on(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"raise no such disk", b"echo fine")
        driver.until_ended(0, 1)
        (failed,) = driver.all(TaskFailed)
        assert failed.raised
        assert failed.payload.startswith(b"ValueError: no such disk")
        assert driver.completed() == {1: b"fine"}
        assert {event.worker for event in driver.all(TaskTaken)} == {failed.worker}

    def test_a_handler_fails_a_task_in_words_of_its_own(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"refuse \x00\xff")
        driver.until_ended(0)
        (failed,) = driver.all(TaskFailed)
        assert (failed.payload, failed.raised) == (b"\x00\xff", False)

    def test_a_failed_task_may_be_offered_again_at_once(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"refuse 1")
        driver.until_ended(0)
        driver.offer(b"echo 2", attempt=2)
        driver.until(lambda: bool(driver.completed()))
        assert driver.all(TaskComplete)[0].attempt == 2

    def test_the_first_word_on_a_task_counts(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"twice", b"echo after")
        driver.until_ended(0, 1)
        assert driver.completed() == {0: b"first", 1: b"after"}
        assert driver.ended() == [0, 1]
        assert driver.all(TaskProgress) == []

    def test_words_on_a_task_that_the_worker_was_not_given_are_dropped(self, start: Starter, gate: Gate) -> None:
        driver = start(2)
        driver.offer(gate.payload, b"stranger 0", b"stranger 77")
        driver.until_ended(1, 2)
        assert driver.completed() == {1: b"mine", 2: b"mine"}
        assert driver.all(TaskProgress) == []
        gate.open()
        driver.until_ended(0)


@of_processes
class TestDeath:
    def test_all_that_a_killed_worker_holds_lapses_and_nothing_else(self, start: Starter, tmp_path: Path) -> None:
        gates = [Gate(tmp_path / "mine"), Gate(tmp_path / "other")]
        driver = start(1)
        driver.offer(b"hold", gates[0].payload, b"echo waiting")
        driver.until_taken(0, 1)
        victim = driver.worker_of(0)
        os.kill(victim.pid, signal.SIGKILL)
        driver.until_ended(0, 1, 2)
        ends = [(event.task_id, event.attempt, event.worker, event.taken) for event in driver.all(TaskLapsed)]
        assert ends[:2] == [(0, 1, victim.number, True), (1, 1, victim.number, True)]
        if start.kind.hands_over_at_once or ends[2:]:
            assert ends[2:] == [(2, 1, victim.number, False)]
            assert driver.completed() == {}
        else:
            assert driver.completed() == {2: b"waiting"}

    def test_other_workers_go_on(self, start: Starter, tmp_path: Path) -> None:
        gates = [Gate(tmp_path / "first"), Gate(tmp_path / "second")]
        driver = start(2)
        driver.offer(*(gate.payload for gate in gates))
        driver.until_taken(0, 1)
        os.kill(driver.worker_of(0).pid, signal.SIGKILL)
        driver.until_ended(0)
        gates[1].open()
        driver.until_ended(1)
        assert driver.completed() == {1: b"gate"}

    def test_a_lapsed_task_completes_when_it_is_offered_again(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"die %d" % signal.SIGKILL)
        driver.until_ended(0)
        (lapsed,) = driver.all(TaskLapsed)
        driver.offer(b"echo again", attempt=2)
        driver.until(lambda: bool(driver.completed()))
        (complete,) = driver.all(TaskComplete)
        assert complete.attempt == 2
        assert complete.worker != lapsed.worker

    def test_a_worker_dies_twenty_times_and_work_goes_on(self, start: Starter) -> None:
        driver = start(2)
        for number in range(20):
            driver.offer(b"die %d" % signal.SIGKILL, b"echo %d" % number, first_id=2 * number)
            driver.until_ended(2 * number, 2 * number + 1)
        assert {event.task_id for event in driver.all(TaskLapsed)} >= set(range(0, 40, 2))

    def test_a_task_that_kills_at_once_is_heard_of_as_taken_before_it_lapses(self, start: Starter) -> None:
        """However quick the death: it must not look as if the task before had caused it."""
        driver = start(1)
        for number in range(5):
            driver.offer(b"die %d" % signal.SIGKILL, first_id=number)
            driver.until_ended(number)
        assert all(lapsed.taken for lapsed in driver.all(TaskLapsed))
        heard = [(type(event), event.task_id) for event in driver.seen if isinstance(event, TaskTaken | TaskLapsed)]
        assert heard == [(kind, number) for number in range(5) for kind in (TaskTaken, TaskLapsed)]

    def test_under_random_kills_every_attempt_ends_once_and_every_task_completes(self, start: Starter) -> None:
        draw = random.Random(7)
        driver = start(2)
        waiting = [Task(number, 1, b"hold" if number % 3 else b"release") for number in range(300)]
        offered: list[tuple[int, int]] = []
        heard = 0
        deaths = 0
        while len(driver.completed()) < 300:
            while waiting and driver.engine.wanted() > 0:
                task = waiting.pop(0)
                offered.append((task.id, task.attempt))
                driver.engine.offer(task)
            if not waiting:
                driver.engine.flush()
            driver.seen += driver.engine.events(1.0)
            lapsed = [event for event in driver.seen[heard:] if isinstance(event, TaskLapsed)]
            waiting += [Task(event.task_id, event.attempt + 1, b"echo") for event in lapsed]
            heard = len(driver.seen)
            if deaths < 12 and draw.random() < 0.1 and (members := driver.engine.members()):
                for worker in members[0].workers[:1]:
                    # A member elsewhere may have seen its end before the news of it is here.
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
                        deaths += 1
        ends = driver.all(TaskComplete) + driver.all(TaskLapsed)
        assert sorted((event.task_id, event.attempt) for event in ends) == sorted(offered)

    @pytest.mark.parametrize(
        ("payload", "words"),
        [(b"die 9", "signal 9 (SIGKILL)"), (b"die 15", "signal 15 (SIGTERM)"), (b"exit 7", "SystemExit: 7")],
    )
    def test_the_reason_says_how_the_worker_died(self, start: Starter, payload: bytes, words: str) -> None:
        driver = start(1)
        driver.offer(payload)
        driver.until_ended(0)
        assert words in driver.all(TaskLapsed)[0].reason

    def test_a_worker_ignores_the_interrupt_of_the_terminal(self, start: Starter, gate: Gate) -> None:
        driver = start(1)
        driver.offer(gate.payload)
        driver.until_taken(0)
        os.kill(driver.worker_of(0).pid, signal.SIGINT)
        gate.open()
        driver.until_ended(0)
        assert driver.completed() == {0: b"gate"}

    def test_a_stopped_worker_is_never_taken_for_a_failed_one(self, start: Starter, tmp_path: Path) -> None:
        gates = [Gate(tmp_path / "stopped"), Gate(tmp_path / "other")]
        driver = start(2)
        driver.offer(*(gate.payload for gate in gates))
        driver.until_taken(0, 1)
        stopped = driver.worker_of(0)
        os.kill(stopped.pid, signal.SIGSTOP)
        gates[1].open()
        driver.until_ended(1)
        if start.kind.stopped_worker_lapses:
            driver.until_ended(0)
            assert [event.task_id for event in driver.all(TaskLapsed)] == [0]
            os.kill(stopped.pid, signal.SIGCONT)
        else:
            assert stopped.number == driver.worker_of(0).number
            os.kill(stopped.pid, signal.SIGCONT)
            gates[0].open()
            driver.until_ended(0)
            assert driver.completed() == {0: b"gate", 1: b"gate"}
        assert driver.all(TaskFailed) == []

    def test_an_exception_of_idle_ends_the_worker(self, start: Starter) -> None:
        driver = start(1, setup=b"raise when idle")
        driver.offer(b"hold")
        driver.until_taken(0)
        driver.engine.flush()
        driver.until_ended(0)
        assert "idle was refused" in driver.all(TaskLapsed)[0].reason

    def test_an_exception_of_notice_ends_the_worker(self, start: Starter, gate: Gate) -> None:
        driver = start(1)
        driver.offer(gate.payload)
        driver.until_taken(0)
        driver.engine.broadcast(b"raise")
        driver.until_ended(0)
        assert "the notice was refused" in driver.all(TaskLapsed)[0].reason


class TestNotices:
    def test_every_worker_hears_a_broadcast_while_it_works(self, start: Starter, tmp_path: Path) -> None:
        gates = [Gate(tmp_path / "first"), Gate(tmp_path / "second")]
        driver = start(2)
        driver.offer(*(gate.payload for gate in gates))
        driver.until_taken(0, 1)
        driver.engine.broadcast(b"lease")
        driver.until(lambda: driver.reports() == [b"notice lease"] * 2)
        assert driver.ended() == []
        for gate in gates:
            gate.open()
        driver.until_ended(0, 1)

    def test_a_broadcast_comes_before_the_tasks_offered_after_it(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"echo ready")
        driver.until_ended(0)
        driver.engine.broadcast(b"one")
        driver.engine.broadcast(b"two")
        driver.offer(b"notices", first_id=1)
        driver.until_ended(1)
        assert driver.completed()[1] == b"one,two"

    @of_processes
    def test_a_later_worker_hears_what_is_kept_and_the_last_other_broadcast(self, start: Starter) -> None:
        driver = start(1)
        driver.engine.broadcast(b"known", keep=True)
        driver.offer(b"notices")
        driver.until_ended(0)
        assert driver.completed()[0] == b"known"
        driver.engine.broadcast(b"old")
        driver.engine.broadcast(b"recorded", keep=True)
        driver.engine.broadcast(b"new")
        driver.offer(b"die 9", first_id=1)
        driver.until_ended(1)
        driver.offer(b"notices", first_id=2)
        driver.until_ended(2)
        assert driver.completed()[2] == b"known,recorded,new"


class TestIdling:
    def test_a_flush_completes_what_is_held_after_what_is_queued(self, start: Starter, gate: Gate) -> None:
        driver = start(1)
        driver.offer(b"hold", gate.payload, b"hold")
        driver.until_taken(0, 1)
        driver.engine.flush()
        gate.open()
        driver.until_ended(0, 1, 2)
        assert driver.completed() == {0: b"idle", 1: b"gate", 2: b"idle"}

    def test_a_flush_reaches_every_worker(self, start: Starter, tmp_path: Path) -> None:
        gates = [Gate(tmp_path / "first"), Gate(tmp_path / "second")]
        driver = start(2)
        driver.offer(*(gate.payload for gate in gates))
        driver.until_taken(0, 1)
        driver.engine.flush()
        for gate in gates:
            gate.open()
        driver.until(lambda: len({event.worker for event in driver.all(Report)}) == 2)
        assert driver.reports() == [b"idle", b"idle"]

    def test_a_flush_covers_tasks_that_no_worker_has_yet(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"hold", b"hold")
        driver.engine.flush()
        driver.until_ended(0, 1)
        assert driver.completed() == {0: b"idle", 1: b"idle"}

    def test_a_worker_with_nothing_to_do_completes_what_it_holds(self, start: Starter) -> None:
        driver = start(1, idle_seconds=0.05)
        driver.offer(b"hold")
        driver.until_ended(0)
        assert driver.completed() == {0: b"idle"}

    def test_a_worker_is_idle_once_for_each_time_it_worked(self, start: Starter) -> None:
        driver = start(1, idle_seconds=0.02)
        driver.offer(b"hold")
        driver.until_ended(0)
        driver.seen += driver.engine.events(0.3)
        driver.offer(b"hold", first_id=1)
        driver.until_ended(1)
        assert driver.reports() == [b"idle", b"idle"]


class TestTheOwner:
    def test_events_come_back_empty_after_the_time_out(self, start: Starter) -> None:
        driver = start()
        begin = time.monotonic()
        assert list(driver.engine.events(0.05)) == []
        assert time.monotonic() - begin >= 0.05

    def test_another_thread_wakes_the_owner(self, start: Starter) -> None:
        driver = start()
        waker = threading.Timer(0.05, driver.engine.wake)
        waker.start()
        begin = time.monotonic()
        assert list(driver.engine.events(60.0)) == []
        assert time.monotonic() - begin < 30.0
        waker.join()

    def test_a_wake_before_the_wait_counts_once(self, start: Starter) -> None:
        driver = start()
        driver.engine.wake()
        driver.engine.wake()
        begin = time.monotonic()
        driver.engine.events(60.0)
        assert time.monotonic() - begin < 30.0
        driver.engine.events(0.05)
        assert time.monotonic() - begin >= 0.05

    def test_it_hears_that_the_window_has_room_though_no_task_ended(self, start: Starter, gate: Gate) -> None:
        driver = start(1)
        driver.offer(gate.payload.replace(b"gate", b"ponder", 1))
        driver.until_taken(0)
        assert driver.engine.wanted() == 1
        gate.open()
        begin = time.monotonic()
        assert list(driver.engine.events(60.0)) == []
        assert driver.engine.wanted() == 2
        assert time.monotonic() - begin < 30.0

    def test_it_may_stay_away_while_both_sides_send_much(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"echo ready")
        driver.until_ended(0)
        driver.offer(b"pour 40", first_id=1)
        for _ in range(20):
            driver.engine.broadcast(bytes(1024 * 1024))
        driver.until_ended(1)
        driver.until(lambda: sum(report.startswith(b"notice ") for report in driver.reports()) == 20)
        assert sum(len(report) == 1024 * 1024 for report in driver.reports()) == 40

    def test_a_handler_that_cannot_be_made_is_an_error_that_names_the_cause(self, start: Starter) -> None:
        driver = start(2, handler=f"{engine_handlers.__name__}:make_refused")
        driver.offer(b"echo hello")
        with pytest.raises(EngineError, match=r"the store refused the key of bucket/x.*Check the access key"):
            driver.until_ended(0)
        with pytest.raises(EngineError, match="the store refused"):
            driver.engine.events(0)

    @pytest.mark.parametrize(
        ("handler", "words"),
        [
            (f"{engine_handlers.__name__}:make_broken", "KeyError: 'prefix'"),
            (f"{engine_handlers.__name__}:make_nothing", "make_nothing"),
            ("argosy.engine.nowhere:make", "argosy.engine.nowhere"),
            ("argosy", "package.module:callable"),
        ],
    )
    def test_so_is_a_wrong_name(self, start: Starter, handler: str, words: str) -> None:
        driver = start(1, handler=handler)
        driver.offer(b"echo hello")
        with pytest.raises(EngineError, match=words):
            driver.until_ended(0)

    def test_an_expelled_member_was_the_last_one(self, start: Starter, gate: Gate) -> None:
        driver = start(1)
        driver.offer(gate.payload)
        driver.until_taken(0)
        driver.engine.expel(driver.member().name, "it sees another share")
        with pytest.raises(EngineError, match="it sees another share"):
            driver.until(lambda: False)


class TestTheEnd:
    @of_processes
    def test_cancel_kills_at_once(self, start: Starter, gate: Gate) -> None:
        driver = start(2)
        driver.offer(gate.payload, b"busy", b"echo 2", b"echo 3")
        driver.until_taken(0, 1)
        os.kill(driver.worker_of(0).pid, signal.SIGSTOP)
        ends = [ProcessEnd(worker.pid) for worker in driver.workers()]
        begin = time.monotonic()
        driver.engine.cancel()
        assert time.monotonic() - begin < 5.0
        for end in ends:
            end.wait()

    @of_processes
    def test_close_lets_the_handler_close(self, start: Starter, tmp_path: Path) -> None:
        driver = start(1, setup=os.fsencode(tmp_path / "closed"))
        driver.offer(b"echo hello")
        driver.until_ended(0)
        (worker,) = driver.workers()
        end = ProcessEnd(worker.pid)
        driver.engine.close()
        end.wait()
        assert (tmp_path / "closed").read_text() == str(worker.pid)

    def test_close_waits_for_the_current_work_and_drops_what_waits(
        self, start: Starter, tmp_path: Path, gate: Gate
    ) -> None:
        driver = start(1, setup=os.fsencode(tmp_path / "closed"))
        driver.offer(gate.payload, b"busy")
        driver.until_taken(0)
        opener = threading.Timer(0.1, gate.open)
        opener.start()
        driver.engine.close()
        opener.join()
        assert (tmp_path / "closed").exists()

    def test_close_hears_out_a_worker_that_has_much_to_say(self, start: Starter, tmp_path: Path) -> None:
        driver = start(1, setup=os.fsencode(tmp_path / "closed"))
        driver.offer(b"pour 30")
        driver.until_taken(0)
        driver.engine.close()
        assert (tmp_path / "closed").exists()

    def test_a_closed_engine_can_be_closed_again_and_does_nothing_else(self, start: Starter) -> None:
        driver = start(1)
        driver.offer(b"echo hello")
        driver.until_ended(0)
        driver.engine.close()
        driver.engine.close()
        driver.engine.cancel()
        driver.engine.wake()
        with pytest.raises(EngineError, match="closed"):
            driver.engine.offer(Task(1, 1, b"echo late"))
        with pytest.raises(EngineError, match="closed"):
            driver.engine.events(0)

    def test_an_engine_that_never_started_a_worker_closes(self, start: Starter) -> None:
        start().engine.close()
