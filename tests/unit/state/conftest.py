"""A job file, and the two moments that matter: a crash, and the midst of a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy.state.job_database import JobDatabase, Statement, open_job_database


class JobFile:
    """A job file that can crash: ``job`` is the open one, without what was not committed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job = open_job_database(path)

    def crash(self) -> JobDatabase:
        """Lose everything that was not committed, and open the file again; its models are to be made anew."""
        self.job.close()
        self.job = open_job_database(self.path)
        return self.job

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All rows of a table as of the last commit."""
        return self.job.read(f"SELECT * FROM {table}")


class InTheMidst:
    """Does something when all models have handed over their rows and none of them is durable yet."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def changes(self) -> list[Statement]:
        """Act, once."""
        act, self._act = self._act, None
        if act is not None:
            act()
        return []

    def committed(self) -> None:
        """Nothing to forget."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[JobFile]:
    file = JobFile(tmp_path / "20260101-000000-aaaaaa.job")
    yield file
    file.job.close()


@pytest.fixture
def job(file: JobFile) -> JobDatabase:
    """For tests in which nothing crashes."""
    return file.job


@pytest.fixture
def commit_while(file: JobFile) -> Callable[[Callable[[], None]], None]:
    """Commit, and do something meanwhile as another thread would."""

    def commit(act: Callable[[], None]) -> None:
        file.job.attach(InTheMidst(act))
        file.job.commit()

    return commit
