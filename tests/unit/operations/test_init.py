"""Making a repository on purpose, and never by mistake (R8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import RepositoryExists, RepositoryMissing, WrongPassword
from argosy.operations.init import InitResult, open_or_create, run_init
from argosy.operations.jobs import job_path, open_history, open_job, prepare_state_directory
from argosy.operations.session import Access
from argosy.state.history import JobHistory
from argosy.state.record import JobRecord, JobState
from argosy.storage.open import open_storage


class Place:
    """A repository's place, a state directory, and what was made."""

    def __init__(self, home: Path) -> None:
        self.state = home / "state"
        self.storage = open_storage(str(home / "repository"))
        self.made: list[InitResult] = []
        self.access = Access(str(home / "repository"), lambda: b"old", home / "cache")

    def open(self) -> str:
        """Open or make the repository, as `backup --init` does; returns its id."""
        opener = open_or_create(self.access, self.state, lambda: b"new", self.made.append)
        return opener(self.storage).id

    def note_job(self, location: str) -> None:
        """Let the history have an ended job."""
        prepare_state_directory(self.state)
        open_history(self.state).add(JobHistory("id", "backup", location, ["/a"], 1.0, 2.0, "done"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_init_makes_a_repository_once(place: Place) -> None:
    made = run_init(place.access)
    assert made.location == place.access.location
    assert len(made.id) == 64
    with pytest.raises(RepositoryExists):
        run_init(place.access)


def test_a_backup_with_init_opens_what_is_there(place: Place) -> None:
    made = run_init(place.access)
    assert place.open() == made.id
    assert place.made == []


def test_a_backup_with_init_makes_what_is_not_there(place: Place) -> None:
    identity = place.open()
    assert [made.id for made in place.made] == [identity]
    with pytest.raises(WrongPassword):
        place.open()  # made with the new password, and now opened with the other


def test_a_dry_run_makes_none(place: Place) -> None:
    opener = open_or_create(place.access, place.state, lambda: b"new", place.made.append, dry_run=True)
    assert opener(place.storage).id
    assert place.made == []
    assert list(place.storage.list("")) == []


def test_a_history_of_other_places_does_not_matter(place: Place) -> None:
    place.note_job("/elsewhere")
    assert place.open()


def test_where_this_machine_has_used_a_repository_none_is_made(place: Place) -> None:
    """A disk that is not mounted must not silently begin a new repository in its mount point."""
    place.note_job(place.storage.location)
    with pytest.raises(RepositoryMissing, match="1970-01-01") as caught:
        place.open()
    assert "argosy init" in caught.value.hint
    assert list(place.storage.list("")) == []


def test_an_unfinished_job_is_a_use_too(place: Place) -> None:
    job = open_job(job_path(prepare_state_directory(place.state), "20260101-000000-aaaaaa"))
    JobState(job).create(JobRecord("20260101-000000-aaaaaa", "backup", "", place.storage.location, 10**18, b""))
    job.commit()
    job.close()
    with pytest.raises(RepositoryMissing, match="this machine used one there"):
        place.open()


def test_init_itself_may_begin_anew_there(place: Place) -> None:
    place.note_job(place.storage.location)
    assert run_init(place.access).id
