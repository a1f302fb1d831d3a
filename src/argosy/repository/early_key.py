"""A repository's key, derived in a thread while the program goes on importing: scrypt takes a tenth of a second."""

from __future__ import annotations

import threading
from contextlib import suppress

from argosy.errors import ArgosyError
from argosy.repository.keys import open_with_password
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.early_derivation import EarlyDerivation
from argosy.storage.location import parse_location
from argosy.storage.open import open_storage

FoundKey = tuple[bytes, MasterKey]
"""A key file's id, and the master key that it holds."""


class EarlyKey:
    """The key that a password opens, being looked for since this was made. Nothing that goes wrong is told here.

    ``early`` is a derivation that was begun even before.
    """

    def __init__(
        self, location: str, password: bytes, key_hint: str | None, early: EarlyDerivation | None = None
    ) -> None:
        self._found: FoundKey | None = None
        self._thread = threading.Thread(
            target=self._look, args=(location, password, key_hint, early), name="early-key", daemon=True
        )
        self._thread.start()

    def wait(self) -> FoundKey | None:
        """What was found; None where opening the repository in the ordinary way has to tell why not."""
        self._thread.join()
        return self._found

    def _look(self, location: str, password: bytes, key_hint: str | None, early: EarlyDerivation | None) -> None:
        with suppress(ArgosyError, OSError):
            storage = open_storage(location)
            try:
                self._found = open_with_password(storage, password, key_hint, early)
            finally:
                storage.close()


def is_near(location: str) -> bool:
    """Whether the repository lies on this machine's own file systems: elsewhere the connection is what takes time."""
    with suppress(ArgosyError):
        return parse_location(location).scheme == "local"
    return False
