"""A worker's view of the dedup lookup that its master has made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from argosy.errors import StateError
from argosy.repository.layout import FileKind
from argosy.repository.lookup import DedupLookup
from argosy.repository.repository import Repository


def open_worker_lookup(path: Path, repository: Repository, *, job: str = "") -> DedupLookup:
    """The lookup, to be read. If the cache was removed meanwhile it is made anew, without packs that are pending.

    Then a blob of such a pack counts as absent here: it is stored once more, and never taken for stored.
    """
    if not path.exists():
        _make_anew(path, repository, job)
    return DedupLookup(path, repository.key, job=job, read_only=True)


def _make_anew(path: Path, repository: Repository, job: str) -> None:
    """Under another name first: other workers look for it at the same time, and must not read half of it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    made = DedupLookup(unfinished, repository.key, job=job)
    try:
        made.synchronize(repository.list_ids(FileKind.INDEX), repository.load_index)
    finally:
        made.close()
    try:
        with suppress(FileExistsError):  # another worker was quicker
            os.link(unfinished, path)
        unfinished.unlink()
    except OSError as error:
        raise StateError(
            f"cannot write to {path.parent}: {error.strerror}", hint="Check its owner, mode and free space."
        ) from error
