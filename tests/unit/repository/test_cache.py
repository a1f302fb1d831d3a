"""Copies on this machine's disk: bounded, private, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import StateError
from argosy.repository.cache import SealedCache, repository_cache_directory
from argosy.repository.lookup_file import open_lookup_file


def test_a_copy_is_read_whole_or_in_part(tmp_path: Path) -> None:
    cache = SealedCache(tmp_path)
    cache.put("data/ab/abcd", b"0123456789")
    assert cache.get("data/ab/abcd") == b"0123456789"
    assert cache.get_range("data/ab/abcd", 3, 4) == b"3456"
    assert cache.get_range("data/ab/abcd", 8, 4) is None
    assert cache.get("data/ab/abce") is None
    cache.remove("data/ab/abcd")
    cache.remove("data/ab/abcd")
    assert cache.get("data/ab/abcd") is None


def test_the_least_recently_used_copies_go_first(tmp_path: Path) -> None:
    cache = SealedCache(tmp_path, limit_bytes=1000)
    for number in range(9):
        cache.put(f"snapshots/{number}", bytes(100))
        os.utime(tmp_path / "objects" / "snapshots" / str(number), (number, number))
    again = SealedCache(tmp_path, limit_bytes=1000)
    assert again.get("snapshots/0")
    again.put("snapshots/new", bytes(200))
    assert again.get("snapshots/0")
    assert again.get("snapshots/new")
    assert again.get("snapshots/1") is None
    left_bytes = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert left_bytes <= 800


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = SealedCache(tmp_path, limit_bytes=100)
    cache.put("data/ab/abcd", bytes(101))
    assert cache.get("data/ab/abcd") is None


def test_a_cache_that_cannot_be_written_says_so_and_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"a file where the directory should be")
    cache = SealedCache(tmp_path)
    cache.put("data/ab/abcd", b"content")
    assert str(tmp_path) in cache.trouble
    assert cache.get("data/ab/abcd") is None
    cache.keep_only("snapshots/", set())


def test_a_cache_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="file/cache") as caught:
        repository_cache_directory(tmp_path / "file" / "cache", "ab" * 32)
    assert "--cache-dir" in caught.value.hint
    with pytest.raises(StateError, match="file/cache"):
        open_lookup_file(tmp_path / "file" / "cache" / "lookup.sqlite", read_only=False)


def test_copies_of_what_is_gone_are_forgotten(tmp_path: Path) -> None:
    cache = SealedCache(tmp_path)
    for name in ("snapshots/a", "snapshots/b", "data/ab/abcd"):
        cache.put(name, b"content")
    cache.keep_only("snapshots/", {"snapshots/b"})
    assert cache.get("snapshots/a") is None
    assert cache.get("snapshots/b")
    assert cache.get("data/ab/abcd")


def test_the_cache_is_private_and_marked_as_one(tmp_path: Path) -> None:
    directory = repository_cache_directory(tmp_path / "cache", "ab" * 32)
    SealedCache(directory).put("data/ab/abcd", b"content")
    assert directory.stat().st_mode & 0o077 == 0
    assert (directory / "objects/data/ab/abcd").stat().st_mode & 0o077 == 0
    tag = (tmp_path / "cache" / "CACHEDIR.TAG").read_text(encoding="ascii")
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert repository_cache_directory(tmp_path / "cache", "ab" * 32) == directory


def test_a_lookup_that_was_removed_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is gone") as caught:
        open_lookup_file(tmp_path / "lookup.sqlite", read_only=True)
    assert "Run the command again" in caught.value.hint
