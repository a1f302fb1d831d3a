"""``argosy init``."""

from __future__ import annotations

from dataclasses import replace

import click

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.output import Output


@verb("init")
@click.option(
    "--repository-version",
    type=click.Choice(["2", "latest", "stable"]),
    default="2",
    help="version of restic's format; there is one choice, as restic's own default",
)
def command(ctx: Context, repository_version: str) -> None:  # noqa: ARG001 - restic's flag: all its values mean 2
    """Make a new repository.

    The password is asked for twice, unless a file, a command or a variable gives it. Without it
    nothing can be restored.
    """
    from argosy.api import Repository

    result = Repository.of(replace(ctx.access, password=ctx.passwords.new), ctx.state_directory).create()
    say_created(ctx.output, result.id, ctx.location, result.location)


def say_created(output: Output, repository_id: str, given: str, location: str) -> None:
    """Say that a repository was made, in restic's words."""
    if output.json:
        output.document({"message_type": "initialized", "id": repository_id, "repository": given}, flush=True)
        return
    output.message(f"created repository {repository_id[:10]} at {location}")
    output.message("")
    output.message("The password is needed for every access to it: without it the data cannot be restored.")
