"""The job file: one holder, one transaction for all models, and nothing after a failure."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from argosy.errors import StateBusy, StateError, StateNewer
from argosy.state.job_database import JobDatabase, Statement, open_job_database
from tests.unit.state.conftest import JobFile


class Rows:
    """A model whose rows are given: keys of the table ``job``."""

    def __init__(self, job: JobDatabase) -> None:
        self.statements: list[Statement] = []
        self.durable = 0
        job.attach(self)

    def put(self, key: str) -> None:
        """Write a row with the next commit."""
        self.statements.append(("INSERT INTO job VALUES (?, x'00')", (key,)))

    def changes(self) -> list[Statement]:
        """As a model does."""
        statements, self.statements = self.statements, []
        return statements

    def committed(self) -> None:
        """Count."""
        self.durable += 1


def keys(job: JobDatabase) -> list[str]:
    return [row[0] for row in job.read("SELECT key FROM job ORDER BY key")]


def test_the_file_is_its_owners_alone(file: JobFile) -> None:
    for path in file.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_second_start_is_told_who_has_the_job(file: JobFile) -> None:
    with pytest.raises(StateBusy, match=f"process {os.getpid()}"):
        open_job_database(file.path)
    file.job.close()
    file.job = open_job_database(file.path)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="missing"):
        open_job_database(tmp_path / "missing" / "a.job")


def test_a_file_of_a_newer_version_is_refused_and_not_held(file: JobFile) -> None:
    file.job.journal("PRAGMA user_version = 999")
    file.job.commit()
    file.job.close()
    for _ in range(2):
        with pytest.raises(StateNewer):
            open_job_database(file.path)
    file.path.unlink()
    file.job = open_job_database(file.path)


def test_a_commit_of_nothing_says_so(job: JobDatabase) -> None:
    assert not job.commit()
    job.journal("INSERT INTO job VALUES ('key', x'00')")
    assert job.commit()
    assert not job.commit()
    assert job.commits == 1


def test_the_journal_is_written_in_its_order_before_the_models(job: JobDatabase) -> None:
    rows = Rows(job)
    rows.put("key")
    job.journal("INSERT INTO job VALUES ('key', x'01')")
    job.journal("UPDATE job SET key = 'other'")
    job.commit()
    assert keys(job) == ["key", "other"]


def test_readers_see_the_last_commit(job: JobDatabase) -> None:
    job.journal("INSERT INTO job VALUES ('key', x'00')")
    assert keys(job) == []
    job.commit()
    assert keys(job) == ["key"]


def test_what_was_not_committed_is_lost(file: JobFile) -> None:
    file.job.journal("INSERT INTO job VALUES ('first', x'00')")
    file.job.commit()
    file.job.journal("INSERT INTO job VALUES ('second', x'00')")
    assert keys(file.crash()) == ["first"]


def test_models_are_told_once_their_rows_are_durable(job: JobDatabase) -> None:
    rows = Rows(job)
    job.commit()
    assert rows.durable == 1


def test_a_failed_commit_writes_nothing_and_is_final(file: JobFile) -> None:
    """What the models handed over is lost: a later commit would make a moment that never was."""
    first, second = Rows(file.job), Rows(file.job)
    first.put("kept")
    file.job.commit()
    first.put("lost")
    second.statements.append(("INSERT INTO missing VALUES (1)", ()))
    with pytest.raises(StateError) as failure:
        file.job.commit()
    assert first.durable == 1
    first.put("later")
    with pytest.raises(StateError) as again:
        file.job.commit()
    assert again.value is failure.value
    assert keys(file.job) == ["kept"]
    assert keys(file.crash()) == ["kept"]


def test_a_job_without_its_models_keeps_nothing_of_theirs(job: JobDatabase) -> None:
    rows = Rows(job)
    rows.put("model")
    job.journal("INSERT INTO job VALUES ('journal', x'00')")
    assert not job.detached().commit()
    assert keys(job) == []


def test_a_deleted_job_leaves_no_file(tmp_path: Path) -> None:
    job = open_job_database(tmp_path / "a.job")
    job.journal("INSERT INTO job VALUES ('key', x'00')")
    job.commit()
    assert keys(job) == ["key"]
    job.close()
    job.close()
    job.delete()
    assert list(tmp_path.iterdir()) == []
    job.delete()
