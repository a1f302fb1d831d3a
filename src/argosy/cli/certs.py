"""``--certs``: where a host's certificates lie."""

from __future__ import annotations

from pathlib import Path

import click

from argosy.cli.context import Context

certs_flag = click.option(
    "--certs", metavar="DIRECTORY", help="where the cluster's certificates lie (the state directory's cluster/)"
)


def certs_directory(ctx: Context, given: str | None) -> Path:
    """The directory after --certs, else the state directory's own; it need not exist."""
    return Path(given) if given else ctx.state_directory / "cluster"
