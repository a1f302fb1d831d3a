"""Directories that wait for results: nothing of them is lost, in memory or in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from argosy.state import assemblies as assemblies_module
from argosy.state.assemblies import Assemblies, Assembly
from argosy.state.job_database import JobDatabase
from tests.unit.state.conftest import JobFile

CommitWhile = Callable[[Callable[[], None]], None]


@pytest.fixture
def assemblies(job: JobDatabase) -> Assemblies:
    return Assemblies(job)


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """No assembly stays in memory."""
    monkeypatch.setattr(assemblies_module, "HOT_MOST", 0)


def opened(assemblies: Assemblies, directory_id: int) -> Assembly:
    return assemblies.open(Assembly(directory_id, 1, b"name", b"prefix", b"b" * 32, b"deleted"))


def reloaded(file: JobFile) -> Assemblies:
    assemblies = Assemblies(file.crash())
    assemblies.load()
    return assemblies


def parts(assemblies: Assemblies, directory_id: int) -> list[bytes]:
    return list(assemblies.parts(assemblies.get(directory_id)))


def test_an_assembly_waits_for_its_own_scan_first(assemblies: Assemblies) -> None:
    opened(assemblies, 7)
    assert not assemblies.ready
    assemblies.settle(7)
    assert list(assemblies.ready) == [7]


def test_it_is_ready_once_all_that_it_waits_for_has_come(assemblies: Assemblies) -> None:
    opened(assemblies, 7)
    assemblies.expect(7, 3)
    assemblies.settle(7, 2)
    assemblies.settle(7)
    assert not assemblies.ready
    assemblies.settle(7)
    assert list(assemblies.ready) == [7]


def test_more_results_than_were_waited_for_are_a_mistake(assemblies: Assemblies) -> None:
    opened(assemblies, 7)
    with pytest.raises(AssertionError, match="directory 7"):
        assemblies.settle(7, 2)


def test_a_directory_without_an_assembly_is_named(assemblies: Assemblies) -> None:
    assert assemblies.find(7) is None
    with pytest.raises(AssertionError, match="directory 7"):
        assemblies.add_part(7, b"")


def test_a_second_scan_finds_the_assembly_that_is_there(assemblies: Assemblies) -> None:
    first = opened(assemblies, 7)
    assert opened(assemblies, 7) is first


def test_new_directories_are_looked_for_in_the_file_only_while_it_has_what_memory_has_not(
    assemblies: Assemblies, file: JobFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = file.job.read

    def counted(sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return read(sql, bindings)

    monkeypatch.setattr(file.job, "read", counted)
    opened(assemblies, 7)
    opened(assemblies, 8)
    file.job.commit()
    assert assemblies.find(9) is None
    assert not asked
    monkeypatch.setattr(assemblies_module, "HOT_MOST", 1)
    file.job.commit()
    assert assemblies.open_count == 1
    assert assemblies.find(9) is None
    assert {assemblies.get(number).directory_id for number in (7, 8)} == {7, 8}
    asked.clear()
    assert assemblies.find(9) is None
    assert not asked


@pytest.mark.usefixtures("cold")
def test_everything_survives_a_crash(assemblies: Assemblies, file: JobFile) -> None:
    opened(assemblies, 7)
    assemblies.expect(7, 1)
    assemblies.add_part(7, b"first")
    file.job.commit()
    assert assemblies.open_count == 0
    assemblies.add_part(7, b"second")
    file.job.commit()
    assemblies.add_part(7, b"not committed")
    assemblies = reloaded(file)
    assembly = assemblies.get(7)
    assert (assembly.parent_id, assembly.name, assembly.prefix) == (1, b"name", b"prefix")
    assert (assembly.base_tree, assembly.deleted, assembly.pending) == (b"b" * 32, b"deleted", 2)
    assert parts(assemblies, 7) == [b"first", b"second"]


def test_after_a_crash_what_was_ready_is_ready_again(assemblies: Assemblies, file: JobFile) -> None:
    opened(assemblies, 7)
    opened(assemblies, 8)
    assemblies.settle(7)
    file.job.commit()
    assert list(reloaded(file).ready) == [7]


@pytest.mark.parametrize("most", [0, 100])
def test_parts_come_in_their_order_wherever_they_are(
    assemblies: Assemblies, file: JobFile, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(assemblies_module, "HOT_MOST", most)
    opened(assemblies, 7)
    expected = [b"%d" % number for number in range(12)]
    for number, part in enumerate(expected):
        assemblies.add_part(7, part)
        if number % 5 == 4:
            file.job.commit()
    assert parts(assemblies, 7) == expected
    file.job.commit()
    assert parts(assemblies, 7) == expected


def test_parts_leave_memory_once_they_are_durable(assemblies: Assemblies, file: JobFile) -> None:
    assembly = opened(assemblies, 7)
    assemblies.add_part(7, b"part")
    file.job.commit()
    assert assembly.unsaved == []


def test_a_part_that_comes_in_the_midst_of_a_commit_is_kept(
    assemblies: Assemblies, file: JobFile, commit_while: CommitWhile
) -> None:
    opened(assemblies, 7)
    assemblies.add_part(7, b"first")
    commit_while(lambda: assemblies.add_part(7, b"second"))
    assert parts(assemblies, 7) == [b"first", b"second"]
    file.job.commit()
    assert parts(reloaded(file), 7) == [b"first", b"second"]


@pytest.mark.usefixtures("cold")
def test_what_changed_in_the_midst_of_a_commit_stays_in_memory(
    assemblies: Assemblies, file: JobFile, commit_while: CommitWhile
) -> None:
    """Its row is older than it is."""
    opened(assemblies, 7)
    opened(assemblies, 8)
    commit_while(lambda: assemblies.expect(7, 4))
    assert assemblies.open_count == 1
    assert assemblies.get(7).pending == 5
    file.job.commit()
    assert assemblies.open_count == 0
    assert assemblies.get(7).pending == 5


@pytest.mark.usefixtures("cold")
def test_fields_changed_after_an_eviction_are_written(assemblies: Assemblies, file: JobFile) -> None:
    opened(assemblies, 7)
    file.job.commit()
    assembly = assemblies.get(7)
    assembly.deleted = b"other"
    assemblies.changed(assembly)
    file.job.commit()
    assert reloaded(file).get(7).deleted == b"other"


@pytest.mark.parametrize("committed", [False, True])
def test_a_closed_assembly_leaves_nothing(assemblies: Assemblies, file: JobFile, committed: bool) -> None:
    opened(assemblies, 7)
    assemblies.add_part(7, b"part")
    if committed:
        file.job.commit()
    assemblies.close(assemblies.get(7))
    assert assemblies.find(7) is None
    file.job.commit()
    assert file.rows("assemblies") == []
    assert file.rows("parts") == []


def test_an_assembly_closed_in_the_midst_of_its_first_commit_leaves_nothing(
    assemblies: Assemblies, file: JobFile, commit_while: CommitWhile
) -> None:
    opened(assemblies, 7)
    assemblies.add_part(7, b"part")
    commit_while(lambda: assemblies.close(assemblies.get(7)))
    assert assemblies.find(7) is None
    file.job.commit()
    assert file.rows("assemblies") == []
    assert file.rows("parts") == []


def test_a_closed_assembly_is_not_found_while_its_row_is_being_deleted(
    assemblies: Assemblies, file: JobFile, commit_while: CommitWhile
) -> None:
    opened(assemblies, 7)
    file.job.commit()
    assemblies.close(assemblies.get(7))
    found: list[Assembly | None] = []
    commit_while(lambda: found.append(assemblies.find(7)))
    assert found == [None]
    assert assemblies.find(7) is None
