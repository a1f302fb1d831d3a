"""Trees are built by threads as their directories become ready; the first failure ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from argosy.archiver.ledger import Ledger
from argosy.archiver.tree_threads import LEAST_SHARED_BYTES, TreeThreads
from argosy.errors import StateFull
from argosy.state.assemblies import Assemblies, Assembly

PATIENCE_SECONDS = 30


@contextmanager
def building(assemblies: Assemblies, build: Callable[[int], int], wake: Callable[[], None]) -> Iterator[TreeThreads]:
    threads = TreeThreads(assemblies, build, wake, threads=3)
    threads.start()
    try:
        yield threads
    finally:
        threads.stop()


@pytest.fixture
def assemblies(ledger: Ledger) -> Assemblies:
    for number in range(10, 110):
        ledger.assemblies.open(Assembly(number, 1, b"%d" % number))
    return ledger.assemblies


@pytest.mark.parametrize("size_bytes", [1, LEAST_SHARED_BYTES])
def test_each_directory_is_built_once_whenever_it_becomes_ready(assemblies: Assemblies, size_bytes: int) -> None:
    built: list[int] = []
    all_built = threading.Event()

    def build(number: int) -> int:
        built.append(number)
        if len(built) == 100:
            all_built.set()
        return size_bytes

    for number in range(10, 40):
        assemblies.settle(number)
    with building(assemblies, build, lambda: None) as threads:
        for number in range(40, 110):
            assemblies.settle(number)
        assert all_built.wait(PATIENCE_SECONDS)
    assert sorted(built) == list(range(10, 110))
    assert threads.error is None


def test_what_is_being_built_at_a_stop_is_finished_and_the_rest_stays_ready(assemblies: Assemblies) -> None:
    begun, may_end = threading.Barrier(4), threading.Event()
    built: list[int] = []

    def build(number: int) -> int:
        if number == 10:
            return LEAST_SHARED_BYTES  # it calls the other threads
        begun.wait(PATIENCE_SECONDS)
        assert may_end.wait(PATIENCE_SECONDS)
        built.append(number)
        return 1

    threads = TreeThreads(assemblies, build, lambda: None, threads=3)
    for number in range(10, 20):
        assemblies.settle(number)
    threads.start()
    begun.wait(PATIENCE_SECONDS)
    stopping = threading.Thread(target=threads.stop)
    stopping.start()
    # The flag is set under the mutex, which a stop takes at once; only then may the trees be finished.
    while not threads.is_stopping:
        pass
    may_end.set()
    stopping.join(PATIENCE_SECONDS)
    assert sorted([*built, *assemblies.ready]) == list(range(11, 20))
    assert len(built) == 3


def test_a_failure_is_kept_and_told(assemblies: Assemblies) -> None:
    told = threading.Event()

    def build(_: int) -> int:
        raise StateFull("no room left", hint="Free some.")

    with building(assemblies, build, told.set) as threads:
        assemblies.settle(10)
        assert told.wait(PATIENCE_SECONDS)
        assert isinstance(threads.error, StateFull)


def test_small_trees_are_built_by_one_thread(assemblies: Assemblies) -> None:
    builders: set[str] = set()
    all_built = threading.Event()

    def build(number: int) -> int:
        builders.add(threading.current_thread().name)
        if number == 109:
            all_built.set()
        return LEAST_SHARED_BYTES - 1

    with building(assemblies, build, lambda: None):
        for number in range(10, 110):
            assemblies.settle(number)
        assert all_built.wait(PATIENCE_SECONDS)
    assert builders == {"trees-0"}
