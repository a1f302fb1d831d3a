"""The kernel remembers where a mount's links lead, until it is told to forget."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from argosy.errors import UsageError
from argosy.operations.mount.browser import Browser
from argosy.operations.mount.fuse import serve, unmount
from argosy.operations.mount.layout import Place
from argosy.operations.mount.quick_fuse import KernelMemory
from argosy.repository.blobs import BlobReader
from argosy.repository.lookup import DedupLookup
from tests.support.command import TIMEOUT_SECONDS
from tests.support.mounts import require_mounts


def test_a_link_is_asked_for_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    require_mounts()
    asked = []

    class Counting(Browser):
        def link_target(self, path: bytes) -> bytes:
            asked.append(path)
            return super().link_target(path)

    place = Place(names={"latest": Place(link="one"), "one": Place(), "two": Place()})
    browser = Counting(lambda: place, cast("BlobReader", SimpleNamespace(load_tree=None)), cast("DedupLookup", None))
    ready, memory = threading.Event(), KernelMemory()
    refused: list[UsageError] = []

    def serving() -> None:
        try:
            serve(browser, str(tmp_path), lambda *_: None, ready, memory)
        except UsageError as error:
            refused.append(error)
            ready.set()

    thread = threading.Thread(target=serving, name="mount", daemon=True)
    thread.start()
    try:
        assert ready.wait(TIMEOUT_SECONDS)
        if refused:
            pytest.skip(f"nothing may be mounted here: {refused[0].message}")
        assert [os.readlink(tmp_path / "latest") for _ in range(3)] == ["one"] * 3
        assert asked == [b"/latest"]
        place.names["latest"].link = "two"
        memory.forget(b"/latest")
        memory.forget(b"/what nobody has asked for")
        assert os.readlink(tmp_path / "latest") == "two"
    finally:
        unmount(str(tmp_path))
        thread.join(TIMEOUT_SECONDS)
    memory.forget(b"/latest")
    assert not thread.is_alive()
