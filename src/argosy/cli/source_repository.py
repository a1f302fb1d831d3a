"""--from-repo and its like: the other repository, that `copy` reads and whose chunker parameters `init` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from argosy.cli.context import Context
from argosy.cli.globals import Given
from argosy.errors import UsageError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

# The global flag that each means, and those that concern the one repository alone.
_OWN = ("repo", "repository_file", "password_file", "password_command", "insecure_no_password", "key_hint")

_FLAGS = (
    click.option("--from-repo", metavar="REPOSITORY", help="the source [ARGOSY_FROM_REPOSITORY]"),
    click.option("--from-repository-file", metavar="FILE", help="file that holds the source's location"),
    click.option("--from-password-file", metavar="FILE", help="file that holds the source's password"),
    click.option("--from-password-command", metavar="COMMAND", help="command that prints the source's password"),
    click.option("--from-insecure-no-password", is_flag=True, help="the source has an empty password"),
    click.option("--from-key-hint", metavar="KEY", help="id of the source's key to try first"),
)


def source_flags(function: Decorated) -> Decorated:
    """Give a command the flags, as ``from_repo`` … for ``source_context``."""
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


def source_context(ctx: Context, flags: dict[str, Any]) -> Context:
    """The context of the source: its location and password from ``--from-…`` or the variables ``FROM_…``.

    Caches, limits and certificates are those of the command. UsageError if no source is named.
    """
    variables = ctx.given.variables.of_source()
    locations = {"from_repo": "REPOSITORY", "from_repository_file": "REPOSITORY_FILE"}
    if not any(flags[flag] or variables.first(name) for flag, name in locations.items()):
        raise UsageError(
            "no source repository is named", hint="Name one with --from-repo, or the variable ARGOSY_FROM_REPOSITORY."
        )
    shared = {name: value for name, value in ctx.given.flags.items() if name not in _OWN}
    own = {name: flags[f"from_{name}"] for name in _OWN if flags[f"from_{name}"]}
    return ctx.besides(Given({**shared, **own}, variables), "source repository")
