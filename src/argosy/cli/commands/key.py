"""``argosy key``."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb, verb_group
from argosy.cli.password import read_password_file
from argosy.cli.snapshot_words import local_time, short_id
from argosy.cli.table import table
from argosy.cli.wording import printable
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.operations.key import NewKey
    from argosy.repository.keys import StoredKey

command = verb_group("key", "Manage the repository's passwords.")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _new_key_flags(function: Decorated) -> Decorated:
    for flag in (
        click.option("--host", "hostname", default="", help="the host noted in the key (else: this machine)"),
        click.option("--user", "username", default="", help="the user noted in the key (else: you)"),
        click.option("--new-insecure-no-password", is_flag=True, help="let the new password be empty"),
        click.option("--new-password-file", metavar="FILE", help="file that holds the new password"),
    ):
        function = flag(function)
    return function


@verb("list", group=command)
def list_keys(ctx: Context) -> int:
    """List the keys; a star marks the one that opened the repository."""
    from argosy.operations.key import run_key_list

    result = run_key_list(ctx.access)
    if ctx.json:
        ctx.output.documents([_document(key, result.current) for key in result.keys])
    else:
        rows = [_row(key, result.current) for key in result.keys]
        for line in table([" ID", "User", "Host", "Created"], rows):
            ctx.output.line(line)
    for error in result.damaged:
        ctx.output.error(error.message)
    return result.exit_code


@verb("add", group=command)
@_new_key_flags
def add(
    ctx: Context, new_password_file: str | None, new_insecure_no_password: bool, username: str, hostname: str
) -> None:
    """Add a password; the others stay."""
    from argosy.operations.key import run_key_add

    key_id = run_key_add(ctx.access, _new_key(new_password_file, new_insecure_no_password, username, hostname))
    _say(ctx, f"saved new key with ID {key_id.hex()}", key_id)


@verb("passwd", group=command)
@_new_key_flags
def passwd(
    ctx: Context, new_password_file: str | None, new_insecure_no_password: bool, username: str, hostname: str
) -> None:
    """Change the password: add a new one, then remove the one that opened the repository."""
    from argosy.operations.key import run_key_passwd

    key_id = run_key_passwd(ctx.access, _new_key(new_password_file, new_insecure_no_password, username, hostname))
    _say(ctx, f"saved new key as {key_id.hex()}", key_id)


@verb("remove", group=command)
@click.argument("key_id", metavar="ID")
def remove(ctx: Context, key_id: str) -> None:
    """Remove a key, named by the start of its id; not the one that opened the repository."""
    from argosy.operations.key import run_key_remove

    removed = run_key_remove(ctx.access, key_id)
    _say(ctx, f"removed key {removed.hex()}", removed)


def _say(ctx: Context, text: str, key_id: bytes) -> None:
    if ctx.json:
        ctx.output.document({"message_type": "summary", "id": key_id.hex()})
    else:
        ctx.output.message(text)


def _new_key(file: str | None, empty: bool, username: str, hostname: str) -> NewKey:
    from argosy.operations.key import NewKey

    if file is not None and empty:
        raise UsageError(
            "--new-password-file and --new-insecure-no-password exclude each other", hint="Leave out one of the two."
        )

    def password() -> bytes:
        if empty:
            return b""
        found = _asked_twice() if file is None else read_password_file(file)
        if not found:
            raise UsageError(
                "an empty password is not allowed by default",
                hint="--new-insecure-no-password makes the new one empty on purpose.",
            )
        return found

    return NewKey(password, username, hostname)


def _asked_twice() -> bytes:
    """The new password, typed twice on a terminal; without one, the next line of standard input."""
    if sys.stdin is None or not sys.stdin.isatty():
        return b"" if sys.stdin is None else os.fsencode(sys.stdin.readline().rstrip("\r\n"))
    try:
        password = getpass.getpass("enter new password: ")
        again = getpass.getpass("enter password again: ")
    except EOFError:
        return b""
    if again != password:
        raise UsageError("the two passwords differ", hint="Run the command again and type the same one twice.")
    return os.fsencode(password)


def _document(key: StoredKey, current: bytes) -> dict[str, object]:
    return {
        "current": key.id == current,
        "id": key.id.hex(),
        "userName": key.file.username,
        "hostName": key.file.hostname,
        "created": _created(key),
    }


def _row(key: StoredKey, current: bytes) -> list[str]:
    star = "*" if key.id == current else " "
    return [f"{star}{short_id(key.id)}", printable(key.file.username), printable(key.file.hostname), _created(key)]


def _created(key: StoredKey) -> str:
    """Local time; as it stands where it is none."""
    from argosy.errors import Damaged
    from argosy.restic_format.times import parse_time

    try:
        return local_time(parse_time(key.file.created, "time"))
    except Damaged:
        return printable(key.file.created)
