"""``argosy mount``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from argosy.cli.choosing import snapshot_flags
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.output import Output

if TYPE_CHECKING:
    from argosy.errors import ArgosyError
    from argosy.repository.snapshots import SnapshotFilter


@verb("mount", unlocks=True)
@snapshot_flags
@click.option("--allow-other", is_flag=True, help="let other users in")
@click.option("--no-default-permissions", is_flag=True, help="with --allow-other: let them read every file")
@click.option("--owner-root", is_flag=True, help="all files belong to root")
@click.option("--no-xattrs", is_flag=True, help="leave extended attributes and ACLs out: long listings are quicker")
@click.option("--path-template", "templates", multiple=True, help="where snapshots appear (again: and there)")
@click.option("--time-template", help="how their times are written, as in Go")
@click.argument("directory", metavar="DIRECTORY")
def command(
    ctx: Context,
    directory: str,
    wanted: SnapshotFilter,
    allow_other: bool,
    no_default_permissions: bool,
    owner_root: bool,
    no_xattrs: bool,
    templates: tuple[str, ...],
    time_template: str | None,
) -> None:
    """Show snapshots as a read-only file system, until Ctrl-C or umount.

    \b
    Templates: %i, %I  short and long id    %h  host    %u  user
               %t  each tag                 %T  time, as --time-template says
    """
    from argosy.operations.mount.layout import DEFAULT_PATHS, DEFAULT_TIME
    from argosy.operations.mount.run import MountOptions, run_mount

    options = MountOptions(
        directory=os.path.abspath(directory),
        wanted=wanted,
        paths=templates or DEFAULT_PATHS,
        time=DEFAULT_TIME if time_template is None else time_template,
        allow_other=allow_other,
        owner_root=owner_root,
        check_permissions=not no_default_permissions,
        xattrs=not no_xattrs,
    )
    with ctx.stopping("unmounting") as stopping:
        run_mount(ctx.access, options, _Said(ctx.output), stopping)


class _Said:
    """What is said meanwhile."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def mounted(self, directory: str) -> None:
        """How to use it."""
        self._output.message(f"Now serving the repository at {directory}")
        self._output.message("Use another terminal or tool to browse the contents of this folder.")
        self._output.message("When finished, quit with Ctrl-c here or umount the mountpoint.")

    def problem(self, what: str, error: ArgosyError) -> None:
        """A line in the log."""
        self._output.error(error.message, item=what, during="mount")
