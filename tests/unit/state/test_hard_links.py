"""Files with several names: one is read, the others wait for it, and none waits in vain."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from argosy.state import hard_links as hard_links_module
from argosy.state.hard_links import HardLinks
from argosy.state.job_database import JobDatabase
from tests.unit.state.conftest import JobFile

CommitWhile = Callable[[Callable[[], None]], None]
WAITER = (7, b"/dir", b"\xff")
OTHER = (8, b"/other", b"name")


@pytest.fixture
def links(job: JobDatabase) -> HardLinks:
    return HardLinks(job)


@pytest.fixture(autouse=True, params=[0, 1000])
def in_memory_most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test once with all links left to the file, once with all in memory."""
    monkeypatch.setattr(hard_links_module, "_HOT_MOST", request.param)


def test_a_file_is_met_for_the_first_time_once(links: HardLinks, job: JobDatabase) -> None:
    assert links.is_first(1, 2)
    assert not links.is_first(1, 2)
    job.commit()
    assert not links.is_first(1, 2)
    assert links.is_first(2, 2)
    assert links.is_first(1, 3)


def test_names_that_wait_are_told_once(links: HardLinks, job: JobDatabase) -> None:
    links.is_first(1, 2)
    links.wait(1, 2, WAITER)
    job.commit()
    links.wait(1, 2, OTHER)
    assert links.node(1, 2) is None
    assert list(links.resolve(1, 2, b"node")) == [WAITER, OTHER]
    assert links.node(1, 2) == b"node"
    job.commit()
    assert links.node(1, 2) == b"node"
    assert list(links.resolve(1, 2, b"node")) == []


def test_everything_survives_a_crash(links: HardLinks, file: JobFile) -> None:
    links.is_first(1, 2)
    links.wait(1, 2, WAITER)
    links.is_first(1, 3)
    links.resolve(1, 3, b"node")
    file.job.commit()
    links.is_first(1, 4)
    links.wait(1, 2, OTHER)
    links = HardLinks(file.crash())
    assert links.is_first(1, 4)
    assert links.node(1, 3) == b"node"
    assert list(links.resolve(1, 2, b"node")) == [WAITER]


def test_after_a_first_name_that_could_not_be_read_another_is_first(links: HardLinks, file: JobFile) -> None:
    links.is_first(1, 2)
    links.wait(1, 2, WAITER)
    file.job.commit()
    assert list(links.forget(1, 2)) == [WAITER]
    assert links.node(1, 2) is None
    assert list(links.forget(1, 2)) == []
    assert list(links.resolve(1, 2, b"node")) == []
    assert links.is_first(1, 2)
    file.job.commit()
    assert not links.is_first(1, 2)
    assert list(links.resolve(1, 2, b"node")) == []


def test_a_forgotten_file_leaves_no_row(links: HardLinks, file: JobFile) -> None:
    links.is_first(1, 2)
    file.job.commit()
    links.forget(1, 2)
    file.job.commit()
    assert file.rows("hard_links") == []


def test_a_forgotten_file_is_not_met_again_while_its_row_is_being_deleted(
    links: HardLinks, file: JobFile, commit_while: CommitWhile
) -> None:
    """Else a name would wait for a first that nobody reads."""
    links.is_first(1, 2)
    links.wait(1, 2, WAITER)
    file.job.commit()
    links.forget(1, 2)
    first: list[bool] = []
    commit_while(lambda: first.append(links.is_first(1, 2)))
    assert first == [True]
    file.job.commit()
    assert list(HardLinks(file.crash()).resolve(1, 2, b"node")) == []


def test_a_name_that_comes_in_the_midst_of_a_commit_is_told(
    links: HardLinks, file: JobFile, commit_while: CommitWhile
) -> None:
    links.is_first(1, 2)
    commit_while(lambda: links.wait(1, 2, WAITER))
    file.job.commit()
    assert list(HardLinks(file.crash()).resolve(1, 2, b"node")) == [WAITER]


def test_numbers_may_have_all_64_bits(links: HardLinks, file: JobFile) -> None:
    most = 2**64 - 1
    assert links.is_first(most, most)
    assert links.is_first(most, 2**63)
    assert links.is_first(0, 2**63 - 1)
    file.job.commit()
    links = HardLinks(file.crash())
    assert not links.is_first(most, most)
    assert not links.is_first(most, 2**63)
    assert not links.is_first(0, 2**63 - 1)
    assert links.is_first(2**63, most)
