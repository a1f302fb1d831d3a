"""When a worker takes more work: a member that has a link of its own waits until what it has taken is nearly sent."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest

from argosy.archiver import pipeline
from argosy.archiver.messages import PROTOCOL, BatchWork, DirectoryPart, Notice, WorkerOptions, WorkerSetup, encode
from argosy.engine.interface import Task
from argosy.restic_format.config import encode_config, make_config
from argosy.restic_format.crypto import MasterKey
from argosy.storage.options import StorageOptions
from tests.support.storage_doubles import GatedStorage

PATIENCE_SECONDS = 60.0
PACK_BYTES = 1 << 16


class Heard:
    """What a worker says."""

    def __init__(self) -> None:
        self.completed: list[int] = []

    def report(self, payload: bytes) -> None:
        del payload

    def progress(self, task_id: int, payload: bytes) -> None:
        del task_id, payload

    def complete(self, task_id: int, payload: bytes) -> None:
        del payload
        self.completed.append(task_id)

    def fail(self, task_id: int, payload: bytes) -> None:
        raise AssertionError((task_id, payload))


def filled_directory(path: Path) -> DirectoryPart:
    """A directory with one file, as large as a pack."""
    path.mkdir()
    (path / "file").write_bytes(os.urandom(PACK_BYTES))
    found = (path / "file").stat()
    part = DirectoryPart(1, 0, b"d", os.fsencode(path), b"", found.st_dev, names=[b"file"])
    return msgspec.structs.replace(part, modes=[found.st_mode], inodes=[found.st_ino], sizes=[PACK_BYTES])


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_member_takes_no_more_before_its_link_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """On the master's own machine the store is shared anyway, and a worker reads on."""
    storage, heard = GatedStorage(), Heard()
    monkeypatch.setattr(pipeline, "open_storage", lambda _location, _options: storage)
    options = WorkerOptions("off", True, PACK_BYTES, 2, 1, False, True, False)
    key, config = MasterKey.generate(os.urandom), encode_config(make_config(os.urandom))
    setup = WorkerSetup(PROTOCOL, "job", "memory:", StorageOptions(), key.material, config, "", options, elsewhere)
    worker = pipeline.BackupWorker(setup, heard)
    worker.notice(encode(Notice(1000.0)))
    # In directories of their own: files of one are packed together where there is a kernel.
    parts = [filled_directory(tmp_path / name) for name in ("a", "b")]
    task = Task(1, 1, encode(BatchWork([], {}, {}, parts, [], [])))
    working = threading.Thread(target=worker.work, args=(task,))
    working.start()
    for _ in parts:
        assert storage.arrived.acquire(timeout=PATIENCE_SECONDS)
    if elsewhere:
        assert working.is_alive()
        storage.let_one_pass()
    working.join(PATIENCE_SECONDS)
    assert not working.is_alive()
    assert heard.completed == []
    storage.gate.set()
    worker.idle()
    assert heard.completed == [1]
    worker.close()
