"""Requests on disk, so that a master that starts again knows what it was asked for. They hold no secret.

A file is written before the job begins and removed when it has ended: done, failed or cancelled. A job that was
interrupted by the master's own end keeps its file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from argosy.daemon import protocol
from argosy.daemon.protocol import Request
from argosy.errors import ArgosyError, StateError

_SUFFIX = ".request"


class KeptRequests:
    """The files of one directory, which is made with mode 0700."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, run: str, request: Request) -> None:
        """Write a run's request, without password and credentials, durably. StateError if that fails.

        It takes the place of the same request that still waits for a password.
        """
        bare = msgspec.structs.replace(
            request, password=b"", storage_options=msgspec.structs.replace(request.storage_options, credentials={})
        )
        data = protocol.encode(bare)
        path = self._directory / f"{run}{_SUFFIX}"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_suffix(".new")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.rename(path)
            for other in self._directory.glob(f"*{_SUFFIX}"):
                if other != path and other.read_bytes() == data:
                    other.unlink()
            self._sync()
        except OSError as error:
            raise StateError(
                f"the request cannot be kept in {path}: {error.strerror}", hint="Is there room in the state directory?"
            ) from error

    def drop(self, run: str) -> None:
        """The run has ended; nothing happens if it has no file."""
        (self._directory / f"{run}{_SUFFIX}").unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, Request | ArgosyError]]:
        """Each run with its request, oldest first, or with what is wrong with its file."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            try:
                yield path.stem, protocol.decode(path.read_bytes(), Request)
            except ArgosyError as error:
                yield path.stem, error
            except OSError as error:
                yield path.stem, StateError(f"{path} cannot be read: {error.strerror}")

    def _sync(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
