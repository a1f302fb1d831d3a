"""The frontier: every directory is scanned, none is scanned twice but those that a crash cut short."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from argosy.state import frontier as frontier_module
from argosy.state.frontier import Frontier, ScanDirectory
from argosy.state.job_database import JobDatabase
from tests.unit.state.conftest import JobFile

CommitWhile = Callable[[Callable[[], None]], None]


@pytest.fixture
def frontier(job: JobDatabase) -> Frontier:
    return Frontier(job)


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most three directories stay in memory; two come back at a time."""
    monkeypatch.setattr(frontier_module, "IN_MEMORY_MOST", 3)
    monkeypatch.setattr(frontier_module, "_RELOAD", 2)


def new(frontier: Frontier, *names: bytes, parent: int = 0) -> list[ScanDirectory]:
    return [ScanDirectory(frontier.new_id(), parent, name, b"/" + name, None) for name in names]


def take(frontier: Frontier, thread: int = 0) -> ScanDirectory:
    directory = frontier.take(thread)
    assert directory is not None
    return directory


def drain(frontier: Frontier) -> list[bytes]:
    """Take and finish all that is there; the names in the order taken."""
    names = []
    while (directory := frontier.take(0)) is not None:
        names.append(directory.name)
        frontier.finish(directory)
    return names


def reloaded(file: JobFile) -> tuple[Frontier, int]:
    frontier = Frontier(file.crash())
    return frontier, frontier.load()


def test_the_newest_are_handed_out_first_and_siblings_by_name(frontier: Frontier) -> None:
    frontier.add(new(frontier, b"a", b"c"))
    parent = take(frontier)
    assert parent.name == b"a"
    frontier.register_subdirectories(parent, new(frontier, b"aa", b"ab", parent=parent.id))
    frontier.finish(parent)
    assert drain(frontier) == [b"aa", b"ab", b"c"]
    assert frontier.empty
    assert frontier.finished_directories == 4


def test_it_is_empty_only_once_nothing_is_in_progress(frontier: Frontier) -> None:
    assert frontier.empty
    frontier.add(new(frontier, b"a"))
    assert (frontier.empty, frontier.pending, frontier.in_progress) == (False, 1, 0)
    directory = take(frontier)
    assert frontier.take(1) is None
    assert (frontier.empty, frontier.pending, frontier.in_progress) == (False, 0, 1)
    frontier.finish(directory)
    assert frontier.empty


def test_what_came_and_went_between_two_commits_is_never_written(frontier: Frontier, file: JobFile) -> None:
    frontier.add(new(frontier, b"a", b"b"))
    frontier.finish(take(frontier))
    file.job.commit()
    assert [row[2] for row in file.rows("frontier")] == [b"b"]


def test_after_a_crash_what_was_in_progress_comes_again_first(frontier: Frontier, file: JobFile) -> None:
    """S8: and it goes on behind the last name that is sealed, without the subdirectories handed out before."""
    frontier.add(new(frontier, b"a", b"b"))
    cut_short = take(frontier)
    frontier.register_subdirectories(cut_short, new(frontier, b"a1", b"a2", parent=cut_short.id))
    frontier.advance(cut_short, b"middle")
    file.job.commit()
    frontier.advance(cut_short, b"not committed")
    frontier, in_progress = reloaded(file)
    assert in_progress == 1
    assert frontier.pending == 4
    again = take(frontier)
    assert (again.id, again.name, again.path) == (cut_short.id, b"a", b"/a")
    assert again.sealed_through == b"middle"
    assert again.known_subdirectories == frozenset({b"a1", b"a2"})
    frontier.finish(again)
    assert sorted(drain(frontier)) == [b"a1", b"a2", b"b"]


def test_after_a_crash_what_is_finished_does_not_come_again(frontier: Frontier, file: JobFile) -> None:
    frontier.add(new(frontier, b"a", b"b"))
    file.job.commit()
    frontier.finish(take(frontier))
    file.job.commit()
    frontier, _ = reloaded(file)
    assert drain(frontier) == [b"b"]


def test_a_finish_that_was_not_committed_is_done_again(frontier: Frontier, file: JobFile) -> None:
    frontier.add(new(frontier, b"a", b"b"))
    file.job.commit()
    frontier.finish(take(frontier))
    frontier, _ = reloaded(file)
    assert sorted(drain(frontier)) == [b"a", b"b"]


def test_the_parents_tree_and_the_parent_survive(frontier: Frontier, file: JobFile) -> None:
    directory = ScanDirectory(frontier.new_id(), 7, b"\xff", b"/\xff", b"t" * 32)
    frontier.add([directory])
    file.job.commit()
    frontier, _ = reloaded(file)
    again = take(frontier)
    assert (again.parent_id, again.name, again.base_tree) == (7, b"\xff", b"t" * 32)
    assert again.sealed_through is None
    assert again.known_subdirectories is None


def test_a_directory_that_starts_over_keeps_the_subdirectories_that_it_handed_out(
    frontier: Frontier, file: JobFile
) -> None:
    frontier.add(new(frontier, b"a"))
    directory = take(frontier)
    frontier.register_subdirectories(directory, new(frontier, b"sub"))
    frontier.advance(directory, b"z")
    frontier.restart(directory)
    file.job.commit()
    frontier, _ = reloaded(file)
    again = take(frontier)
    assert (again.sealed_through, again.known_subdirectories) == (None, frozenset({b"sub"}))


def test_ids_are_never_used_twice(frontier: Frontier, file: JobFile) -> None:
    """Though every directory that had one is gone: a batch in the queue may name it."""
    frontier.add(new(frontier, b"a", b"b"))
    used = {directory.id for directory in (take(frontier), take(frontier))}
    for directory in list(frontier._in_progress.values()):
        frontier.finish(directory)
    file.job.commit()
    assert file.rows("frontier") == []
    frontier, _ = reloaded(file)
    assert frontier.new_id() not in used
    assert frontier.new_id() > max(used)


@pytest.mark.usefixtures("small_memory")
def test_what_does_not_fit_into_memory_is_handed_out_once(frontier: Frontier, file: JobFile) -> None:
    names = [b"%02d" % number for number in range(20)]
    frontier.add(new(frontier, *names))
    file.job.commit()
    assert len(frontier._stack) == 3
    assert frontier.pending == 20
    assert sorted(drain(frontier)) == names
    assert frontier.empty
    file.job.commit()
    assert file.rows("frontier") == []


@pytest.mark.usefixtures("small_memory")
def test_what_was_left_to_the_file_survives_a_crash(frontier: Frontier, file: JobFile) -> None:
    names = [b"%02d" % number for number in range(20)]
    frontier.add(new(frontier, *names))
    file.job.commit()
    for _ in range(5):
        frontier.finish(take(frontier))
    taken = take(frontier)
    file.job.commit()
    frontier, in_progress = reloaded(file)
    assert (in_progress, frontier.pending) == (1, 15)
    assert take(frontier).name == taken.name
    assert len(drain(frontier)) == 14
    assert not frontier.empty


@pytest.mark.usefixtures("small_memory")
def test_what_is_finished_while_its_row_is_being_deleted_does_not_come_back(
    frontier: Frontier, file: JobFile, commit_while: CommitWhile
) -> None:
    frontier.add(new(frontier, *[b"%02d" % number for number in range(6)]))
    file.job.commit()
    first = [take(frontier) for _ in range(3)]
    for directory in first:
        frontier.finish(directory)
    seen: list[bytes] = []

    def act() -> None:
        seen.extend(drain(frontier))

    commit_while(act)
    seen += drain(frontier)
    assert sorted(seen + [directory.name for directory in first]) == [b"%02d" % number for number in range(6)]
    file.job.commit()
    assert file.rows("frontier") == []
    assert frontier.empty


@pytest.mark.usefixtures("small_memory")
def test_what_is_found_in_the_midst_of_a_commit_is_not_lost(
    frontier: Frontier, file: JobFile, commit_while: CommitWhile
) -> None:
    """Its ids may be lower than those of others in memory, and it has no row yet when the oldest leave memory."""
    early = new(frontier, b"e1", b"e2", b"e3")
    frontier.add(new(frontier, *[b"%02d" % number for number in range(5)]))
    commit_while(lambda: frontier.add(early))
    assert frontier.pending == 8
    seen = drain(frontier)
    file.job.commit()
    seen += drain(frontier)
    assert sorted(seen) == [b"00", b"01", b"02", b"03", b"04", b"e1", b"e2", b"e3"]
    assert frontier.empty
    file.job.commit()
    assert file.rows("frontier") == []
