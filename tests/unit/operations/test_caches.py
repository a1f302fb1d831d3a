"""Caches are listed with their age and size, and old ones removed, as restic's `cache` does it; nothing else goes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from argosy.cli.main import run
from argosy.operations.caches import list_caches
from argosy.repository.cache import repository_cache_directory

pytestmark = pytest.mark.usefixtures("process_given_back")

NEW, OLD = "ab" * 32, "cd" * 32
DAY_SECONDS = 86_400


@pytest.fixture
def caches(tmp_path: Path) -> Path:
    """Two caches, one of them not used for 40 days, and a directory that is none."""
    for repository_id, days in ((OLD, 40), (NEW, 1)):
        directory = repository_cache_directory(tmp_path, repository_id)
        (directory / "objects").mkdir()
        (directory / "objects" / "copy").write_bytes(bytes(2048))
        os.utime(directory, (0, time.time() - days * DAY_SECONDS))
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_the_one_used_last_comes_first(caches: Path) -> None:
    assert [(cache.repository_id, cache.size_bytes) for cache in list_caches(caches)] == [(NEW, 2048), (OLD, 2048)]
    repository_cache_directory(caches, OLD)
    assert [cache.repository_id for cache in list_caches(caches, with_sizes=False)] == [OLD, NEW]


def test_a_table_and_documents(caches: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "--cache-dir", str(caches)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Repo", "ID", "Last", "Used", "Old", "Size"]
    assert [lines[2].split(), lines[3].split()] == [
        [NEW[:10], "1", "days", "ago", "2.000", "KiB"],
        [OLD[:10], "40", "days", "ago", "yes", "2.000", "KiB"],
    ]
    assert run(["cache", "--cache-dir", str(caches), "--json", "--no-size"]) == 0
    documents = json.loads(capsys.readouterr().out)
    assert [(document["repository_id"], document["old"], "size" in document) for document in documents] == [
        (NEW, False, False),
        (OLD, True, False),
    ]


def test_old_caches_are_removed_and_nothing_else(caches: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "--cleanup", "--max-age", "50", "--cache-dir", str(caches)]) == 0
    assert "no old caches" in capsys.readouterr().out
    assert run(["cache", "--cleanup", "--cache-dir", str(caches)]) == 0
    assert "removed 1 old cache" in capsys.readouterr().out
    assert sorted(path.name for path in caches.iterdir()) == ["CACHEDIR.TAG", NEW, "notes"]


def test_where_there_is_no_cache_there_is_none_to_list(tmp_path: Path) -> None:
    assert list_caches(tmp_path / "nowhere") == []
