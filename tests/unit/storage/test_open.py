"""From a location to a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from argosy.errors import UsageError
from argosy.storage import open as module
from argosy.storage.limiter import LimitedStorage
from argosy.storage.local import LocalStorage
from argosy.storage.object_store import ObjectStorage
from argosy.storage.open import StorageOptions, open_storage


def test_a_path_is_a_local_store(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "repository"))
    assert isinstance(storage, LocalStorage)
    assert storage.is_local
    assert storage.location == str(tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("location", ["s3:host/bucket/pre", "gs:bucket:/pre", "azure:container:/pre"])
def test_a_bucket_is_an_object_store(location: str) -> None:
    """Nothing is dialled: this works without a network or credentials."""
    storage = open_storage(location)
    assert isinstance(storage, ObjectStorage)
    assert not storage.is_local
    assert storage.location == location
    storage.close()


@pytest.mark.parametrize(
    "options",
    [StorageOptions(limit_upload_bytes_per_second=1), StorageOptions(limit_download_bytes_per_second=1)],
)
def test_a_rate_limits_the_store(tmp_path: Path, options: StorageOptions) -> None:
    storage = open_storage(str(tmp_path), options)
    assert isinstance(storage, LimitedStorage)


def test_an_impossible_location_is_refused() -> None:
    with pytest.raises(UsageError):
        open_storage("sftp:host:/path")


def test_a_local_store_loads_no_object_store_library(tmp_path: Path) -> None:
    """It takes 10 ms of every start, and is of no use to a local repository."""
    program = (
        "import sys\n"
        "from argosy.storage.open import open_storage\n"
        "open_storage(sys.argv[1]).put('config', b'x')\n"
        "print(sorted(name for name in sys.modules if 'obstore' in name or name == 'urllib.request'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        env={"PYTHONPATH": str(Path(module.__file__).parents[2])},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"[]\n"
