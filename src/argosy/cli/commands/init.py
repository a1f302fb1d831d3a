"""``argosy init``."""

from __future__ import annotations

from typing import Any

import click
from msgspec.structs import replace

from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.output import Output
from argosy.cli.source_repository import source_context, source_flags
from argosy.errors import UsageError


@verb("init")
@click.option(
    "--repository-version",
    type=click.Choice(["2", "latest", "stable"]),
    default="2",
    help="version of restic's format; there is one choice, as restic's own default",
)
@click.option("--copy-chunker-params", is_flag=True, help="cut files as the repository of --from-repo does")
@source_flags
def command(ctx: Context, /, repository_version: str, copy_chunker_params: bool, **flags: Any) -> None:  # noqa: ARG001 - restic's flag: all its values mean 2
    """Make a new repository.

    The password is asked for twice, unless a file, a command or a variable gives it. Without it
    nothing can be restored. What is to be copied from another repository, and backed up as well, is stored once if both
    have the same chunker parameters: --copy-chunker-params --from-repo OTHER.
    """
    from argosy.operations.init import run_init

    if any(flags.values()) and not copy_chunker_params:
        raise UsageError("--from-… is of use with --copy-chunker-params alone", hint="Add that flag.")
    like = source_context(ctx, flags).access if copy_chunker_params else None
    result = run_init(replace(ctx.access, password=ctx.passwords.new), like)
    say_created(ctx.output, result.id, ctx.location, result.location)


def say_created(output: Output, repository_id: str, given: str, location: str) -> None:
    """Say that a repository was made, in restic's words."""
    if output.json:
        output.document({"message_type": "initialized", "id": repository_id, "repository": given}, flush=True)
        return
    output.message(f"created repository {repository_id[:10]} at {location}")
    output.message("")
    output.message("The password is needed for every access to it: without it the data cannot be restored.")
