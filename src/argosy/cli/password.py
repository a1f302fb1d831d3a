"""Where the password comes from, in restic's ways: a command, a file, a variable, a question."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from argosy.cli.globals import Given
from argosy.errors import UsageError

_SOURCES = {"password_command": "PASSWORD_COMMAND", "password_file": "PASSWORD_FILE", "=password": "PASSWORD"}

Ask = Callable[[str], str]


class Passwords:
    """The password of one command. ``existing`` is asked for at most once, ``new`` twice where a person types it.

    ``what`` is called in the question what the password opens.
    """

    def __init__(self, given: Given, *, ask: Ask | None = None, what: str = "repository") -> None:
        self._given = given
        self._what = what
        self._ask = ask or _ask
        self._known: bytes | None = None

    def existing(self) -> bytes:
        """The password that opens the repository."""
        if self._known is None:
            found = self._from_sources()
            self._known = self._typed(f"enter password for {self._what}: ") if found is None else found
        return self._known

    def without_asking(self) -> bytes | None:
        """The password from a command, a file or a variable; None where a person would be asked."""
        return self._from_sources()

    def at_hand(self) -> bytes | None:
        """The password from a file or a variable, which cost nothing to read; None if there is none that serves."""
        with suppress(UsageError):
            source = self._given.choose(_SOURCES)
            if source is not None and source[0] != "password_command":
                return self.existing()
        return None

    def new(self) -> bytes:
        """The password of a repository that is about to be made."""
        if self._known is None:
            found = self._from_sources()
            self._known = self._typed_twice() if found is None else found
        return self._known

    def leave_standard_input(self) -> None:
        """From now on a question is an error: standard input holds data."""
        self._ask = _refuse_to_ask

    def _from_sources(self) -> bytes | None:
        source = self._given.choose(_SOURCES)
        if self._given.yes("insecure_no_password"):
            if source is not None:
                raise UsageError(
                    "--insecure-no-password excludes a password from a file, a command or a variable",
                    hint="Leave out one of the two.",
                )
            return b""
        if source is None:
            return None
        kind, value = source
        if kind == "password_command":
            password = _from_command(value)
        elif kind == "password_file":
            password = read_password_file(value)
        else:
            password = os.fsencode(value)
        return _refuse_empty(password)

    def _typed(self, question: str) -> bytes:
        return _refuse_empty(os.fsencode(self._ask(question)))

    def _typed_twice(self) -> bytes:
        password = self._typed("enter password for new repository: ")
        if (
            sys.stdin is not None
            and sys.stdin.isatty()
            and os.fsencode(self._ask("enter password again: ")) != password
        ):
            raise UsageError("the two passwords differ", hint="Run the command again and type the same one twice.")
        return password


def read_password_file(path: str) -> bytes:
    """The content of a password file without the white space around it; UsageError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UsageError(
            f"the password file {path} cannot be read: {error.strerror}", hint="Check the path after -p."
        ) from error
    return data.removeprefix(codecs.BOM_UTF8).strip()


def _from_command(command: str) -> bytes:
    # Imported here, like getpass below: 6 ms that no other command waits for.
    import shlex
    import subprocess

    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    except (OSError, ValueError, IndexError) as error:
        # Of the command only the first word is shown: an argument may be a secret.
        raise UsageError(f"the password command {command.split()[:1]} cannot be run: {error}") from error
    if done.returncode:
        raise UsageError(
            f"the password command {words[0]!r} ended with code {done.returncode}", hint="Try it in a shell first."
        )
    return done.stdout.strip()


def _refuse_empty(password: bytes) -> bytes:
    if not password:
        raise UsageError(
            "an empty password is not allowed by default",
            hint="Give one with -p, ARGOSY_PASSWORD_FILE or ARGOSY_PASSWORD; "
            "--insecure-no-password uses an empty one on purpose.",
        )
    return password


def _refuse_to_ask(_question: str) -> str:
    raise UsageError(
        "standard input holds the data to back up, so the password cannot be asked for",
        hint="Give it with -p, ARGOSY_PASSWORD_FILE or ARGOSY_PASSWORD.",
    )


def _ask(question: str) -> str:
    """From the terminal without echo; where standard input is none, its first line."""
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass(question)
        except EOFError:
            return ""
    line = "" if sys.stdin is None else sys.stdin.readline()
    return line.rstrip("\r\n")
