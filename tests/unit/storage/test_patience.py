"""How long and how often a failing request is repeated."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.errors import StorageDenied, StorageUnavailable
from argosy.storage import patience as module
from argosy.storage.patience import FIRST_CONTACT_SECONDS, LONGEST_PAUSE_SECONDS, Patience, interruptible


class Time:
    """A clock that moves only with the pauses."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []

    def patience(self, limit_seconds: float) -> Patience:
        return Patience(limit_seconds, clock=lambda: self.now, pause=self._pause)

    def _pause(self, closed: threading.Event, seconds: float) -> bool:
        self.now += seconds
        self.pauses.append(seconds)
        return closed.is_set()


def failing_times(count: int) -> Callable[[], str]:
    left = [count]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise StorageUnavailable("no answer")
        return "answer"

    return attempt


def test_a_passing_failure_is_repeated() -> None:
    time = Time()
    assert time.patience(300).run(failing_times(3)) == "answer"
    assert len(time.pauses) == 3


def test_a_definite_failure_is_not() -> None:
    time = Time()

    def refused() -> None:
        raise StorageDenied("no")

    with pytest.raises(StorageDenied):
        time.patience(300).run(refused)
    assert time.pauses == []


def test_a_server_that_never_answered_is_given_up_soon() -> None:
    time = Time()
    with pytest.raises(StorageUnavailable):
        time.patience(300).run(failing_times(10_000))
    assert 0 < sum(time.pauses) <= FIRST_CONTACT_SECONDS


def test_a_server_that_has_answered_is_waited_for() -> None:
    time = Time()
    patience = time.patience(300)
    patience.run(lambda: None)
    with pytest.raises(StorageUnavailable):
        patience.run(failing_times(10_000))
    assert 300 - LONGEST_PAUSE_SECONDS <= sum(time.pauses) <= 300


def test_a_refusal_is_an_answer() -> None:
    time = Time()
    patience = time.patience(60)

    def refused() -> None:
        raise StorageDenied("no")

    with pytest.raises(StorageDenied):
        patience.run(refused)
    assert patience.run(failing_times(8)) == "answer"
    assert sum(time.pauses) > FIRST_CONTACT_SECONDS


def test_pauses_grow_to_a_limit() -> None:
    time = Time()
    patience = time.patience(3_000)
    patience.run(lambda: None)
    patience.run(failing_times(40))
    assert time.pauses[0] < 0.3
    assert max(time.pauses) <= LONGEST_PAUSE_SECONDS
    assert min(time.pauses[10:]) >= LONGEST_PAUSE_SECONDS / 2


def test_close_ends_a_pause() -> None:
    patience = Patience(300)
    patience.run(lambda: None)
    failed = threading.Event()
    ended = threading.Event()

    def attempt() -> None:
        failed.set()
        raise StorageUnavailable("no answer")

    def run() -> None:
        with pytest.raises(StorageUnavailable):
            patience.run(attempt)
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    failed.wait()
    patience.close()
    thread.join()
    assert ended.is_set()


@pytest.mark.parametrize("in_main_thread", [True, False])
def test_a_call_gives_its_result_or_its_error_in_any_thread(in_main_thread: bool) -> None:
    outcome: list[object] = []

    def check() -> None:
        outcome.append(interruptible(lambda: 42))
        with pytest.raises(StorageDenied, match="no"):
            interruptible(lambda: (_ for _ in ()).throw(StorageDenied("no")))

    if in_main_thread:
        check()
    else:
        thread = threading.Thread(target=check)
        thread.start()
        thread.join()
    assert outcome == [42]


def test_ctrl_c_ends_the_wait_for_a_server_that_hangs() -> None:
    """A native call in the main thread would hold the signal back until its time-out."""
    program = (
        "import signal, sys\n"
        "from argosy.storage.open import StorageOptions, open_storage\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "storage = open_storage(sys.argv[1], StorageOptions(anonymous=True))\n"
        "try:\n"
        "    storage.get('config')\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        location = f"s3:http://127.0.0.1:{server.getsockname()[1]}/bucket"
        source = Path(module.__file__).parents[2]
        child = subprocess.Popen(
            [sys.executable, "-c", program, location], env={"PYTHONPATH": str(source)}, stdout=subprocess.PIPE
        )
        connection, _ = server.accept()
        with connection:  # the request is there, and will never be answered
            connection.recv(1)
            child.send_signal(signal.SIGINT)
            output, _ = child.communicate()
    assert output == b"interrupted\n"
