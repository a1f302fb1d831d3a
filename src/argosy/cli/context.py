"""What a command works with: the repository's access, directories, output and signals, from flags and environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from argosy import native
from argosy.cli import directories, foresight
from argosy.cli.globals import Given
from argosy.cli.output import Output
from argosy.cli.password import Passwords
from argosy.cli.signals import Stop
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.api import Repository
    from argosy.engine.nursery import Nursery
    from argosy.operations.session import Access
    from argosy.repository.early_key import EarlyKey
    from argosy.storage.options import StorageOptions

_LOCATIONS = {"repo": "REPOSITORY", "repository_file": "REPOSITORY_FILE"}


class Context:
    """Given to each command function as its first argument. Everything is made when it is asked for."""

    def __init__(self, given: Given, what: str = "repository") -> None:
        self.given = given
        self.json = given.yes("json")
        self.quiet = given.yes("quiet")
        self.verbosity = 0 if self.quiet else int(given.flags.get("verbose", 0))
        self.output = Output(json=self.json, quiet=self.quiet, verbosity=self.verbosity)
        self.passwords = Passwords(given, what=what)
        if given.variables.refuses("NATIVE"):
            native.turn_off("ARGOSY_NATIVE says so")
        self.nursery: Nursery | None = None
        self._early_key: EarlyKey | None = None
        self._stack = ExitStack()
        self._stop_requested: Callable[[], bool] = lambda: False

    @cached_property
    def location(self) -> str:
        """The repository's location as given; UsageError if none is."""
        chosen = self.given.choose(_LOCATIONS)
        if chosen is None:
            raise UsageError(
                "no repository is named",
                hint="Name one with -r, --repository-file, or the variable ARGOSY_REPOSITORY.",
            )
        kind, value = chosen
        return _read_location(value) if kind == "repository_file" else value

    def start_nursery(self, handler: str) -> None:
        """Start the process that will fork the workers of this command; it ends with the command at the latest."""
        from argosy.engine.nursery import Nursery

        # What the system refuses now is asked for again, and told, when workers are needed.
        with suppress(OSError):
            self.nursery = Nursery(handler)
            self._stack.callback(self.nursery.close)

    def unlock_early(self) -> None:
        """Begin to derive the repository's key, if its password is at hand, while the verb's modules are imported."""
        from argosy.repository.early_key import EarlyKey, is_near

        password = self.passwords.at_hand()
        # That no repository is named is told when one is needed.
        with suppress(UsageError):
            if password is not None and is_near(self.location):
                key_hint = self.given.text("key_hint", "KEY_HINT")
                self._early_key = EarlyKey(self.location, password, key_hint, foresight.begun())

    @cached_property
    def access(self) -> Access:
        """How to get at the repository. Nothing is opened or asked for yet."""
        from argosy.cli.values import size_in_mib
        from argosy.operations.session import Access
        from argosy.repository.cache import DEFAULT_LIMIT_BYTES

        return Access(
            location=self.location,
            password=self.passwords.existing,
            cache_directory=self.cache_directory,
            storage_options=self.storage_options,
            key_hint=self.given.text("key_hint", "KEY_HINT"),
            no_lock=self.given.yes("no_lock"),
            retry_lock_seconds=float(self.given.flags.get("retry_lock") or 0.0),
            early_key=self._early_key,
            on_wait=self._say_waiting,
            stop_requested=lambda: self._stop_requested(),
            cache_limit_bytes=self.given.value("cache_limit", "CACHE_LIMIT", size_in_mib, DEFAULT_LIMIT_BYTES),
        )

    @cached_property
    def repository(self) -> Repository:
        """The same as the Python API has it."""
        from argosy.api import Repository

        return Repository.of(self.access, self.state_directory)

    @cached_property
    def storage_options(self) -> StorageOptions:
        """How to reach the store."""
        from argosy.cli.store import storage_options

        return storage_options(self.given, self.location)

    @cached_property
    def state_directory(self) -> Path:
        """Where jobs are recorded; it need not exist."""
        return directories.state_directory(
            self.given.text("state_dir"), self.given.variables, is_root=os.geteuid() == 0
        )

    @cached_property
    def cache_directory(self) -> Path:
        """Where caches lie; with --no-cache a directory that goes with the command."""
        if self.given.yes("no_cache"):
            import tempfile

            return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-cache-")))
        return directories.cache_directory(
            self.given.text("cache_dir"), self.given.variables, is_root=os.geteuid() == 0
        )

    @contextmanager
    def stopping(self, note: str = "stopping; once more: at once") -> Iterator[Callable[[], bool]]:
        """Within, the first signal only makes the yielded function true; see ``argosy.cli.signals``."""
        with Stop(lambda: self.output.message(note)) as stop:
            self._stop_requested = stop.requested
            yield stop.requested

    def _say_waiting(self, text: str) -> None:
        if not self.json:
            self.output.message(text)
            self.output.flush()

    def besides(self, given: Given, what: str) -> Context:
        """A context for another repository of the same command; it ends with this one."""
        other = Context(given, what)
        self._stack.callback(other.close)
        return other

    def close(self) -> None:
        """Remove what was made for this command."""
        self._stack.close()


def _read_location(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            location = file.read().strip()
    except OSError as error:
        raise UsageError(
            f"the repository file {path} cannot be read: {error.strerror}",
            hint="Check the path after --repository-file.",
        ) from error
    if not location:
        raise UsageError(f"the repository file {path} is empty", hint="Write the repository's location into it.")
    return location
