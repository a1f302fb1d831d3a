"""Who may speak to the master's server: the cluster directory's register, rendered and watched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from argosy.certificates.cluster_directory import ClusterDirectory
from argosy.certificates.nats_configuration import RIGHTS, Subjects, authorization_block, tls_block
from argosy.engine.nats.wire import STATE_BUCKET, WORK_STREAM
from argosy.errors import ArgosyError

# A look costs a call of stat.
_LOOK_SECONDS = 0.1
_WARN_AGAIN_SECONDS = 10.0


class Users(msgspec.Struct, frozen=True):
    """Whose certificates are valid, and nats-server's ``tls`` and ``authorization`` blocks for them."""

    names: frozenset[str]
    configuration: str


def users_of(directory: ClusterDirectory) -> Users:
    """As the register has them now: mutual TLS, a user for each valid certificate."""
    now = time.time()
    # The server's own certificate is no user's.
    users = [entry for entry in directory.register().entries if entry.is_valid(now) and entry.role in RIGHTS]
    subjects = Subjects(work_stream=WORK_STREAM, work_consumer="*", status_bucket=STATE_BUCKET)
    blocks = tls_block(directory.server_files) + authorization_block(users, subjects)
    return Users(frozenset(entry.name for entry in users), blocks)


class RegisterWatch:
    """Hands over the users whenever the register changes: a revoked certificate is cut off at once."""

    def __init__(self, directory: ClusterDirectory, take: Callable[[Users], None], warn: Callable[[str], None]) -> None:
        self._directory = directory
        self._take = take
        self._warn = warn
        self._stopping = threading.Event()
        self._seen = directory.stamp()
        self._thread = threading.Thread(target=self._watch, name="register-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                stamp = self._directory.stamp()
                if stamp != self._seen:
                    self._take(users_of(self._directory))
                    self._seen = stamp
            except ArgosyError as error:
                # The users stay as they are: without a register nobody would be cut off or let in.
                self._warn(error.message)
                if self._stopping.wait(_WARN_AGAIN_SECONDS):
                    return
