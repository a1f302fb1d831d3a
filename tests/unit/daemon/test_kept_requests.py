"""A master that starts again knows what it was asked for, and no secret lies on its disk meanwhile."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from argosy.daemon.kept_requests import KeptRequests
from argosy.daemon.protocol import BackupOrder, Request
from argosy.errors import ArgosyError, StateError
from argosy.filesystem.exclude import ExcludeRules
from argosy.storage.options import StorageOptions

REQUEST = Request(
    1,
    "s3:host/bucket",
    b"open sesame",
    StorageOptions(credentials={"AWS_SECRET_ACCESS_KEY": "hidden"}, connections=7),
    BackupOrder({"paths": [b"/data"]}, ExcludeRules([b"*.tmp"]).given),
)


@pytest.fixture
def kept(tmp_path: Path) -> KeptRequests:
    return KeptRequests(tmp_path / "requests")


def test_a_request_is_kept_without_its_secrets(kept: KeptRequests, tmp_path: Path) -> None:
    kept.keep("job-1", REQUEST)
    ((name, found),) = kept.all()
    assert name == "job-1"
    assert isinstance(found, Request)
    assert (found.password, found.storage_options.credentials) == (b"", {})
    assert (found.location, found.order, found.storage_options.connections) == (REQUEST.location, REQUEST.order, 7)
    (path,) = (tmp_path / "requests").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"sesame" not in path.read_bytes()
    assert b"hidden" not in path.read_bytes()


def test_the_same_request_takes_the_place_of_the_old_one(kept: KeptRequests) -> None:
    kept.keep("job-1", REQUEST)
    kept.keep("job-2", msgspec.structs.replace(REQUEST, location="elsewhere"))
    kept.keep("job-3", msgspec.structs.replace(REQUEST, password=b"another"))
    assert [name for name, _ in kept.all()] == ["job-2", "job-3"]


def test_a_request_is_dropped_once_and_again(kept: KeptRequests) -> None:
    kept.keep("job-1", REQUEST)
    kept.drop("job-1")
    kept.drop("job-1")
    assert list(kept.all()) == []


def test_a_file_that_is_no_request_is_named(kept: KeptRequests, tmp_path: Path) -> None:
    kept.keep("job-2", REQUEST)
    (tmp_path / "requests" / "job-1.request").write_bytes(b"nonsense")
    (first, error), (second, _) = kept.all()
    assert (first, second) == ("job-1", "job-2")
    assert isinstance(error, ArgosyError)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be kept"):
        KeptRequests(tmp_path / "file" / "requests").keep("job-1", REQUEST)
