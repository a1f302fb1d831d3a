"""``argosy proxy``."""

from __future__ import annotations

import os
import time

import click

from argosy.cli.certs import certs_flag
from argosy.cli.cluster_flags import join_flag, load_join, master_url, require_cluster_library, say
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import parallel_or_auto
from argosy.errors import UsageError

_POLL_SECONDS = 0.2


@verb("proxy")
@click.option("--workers", type=parallel_or_auto, metavar="N|auto", help="worker processes (auto: one a processor)")
@click.option("--name", metavar="NAME", help="the name in its certificate, to be sure")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="PATH=HERE",
    help="the source that the master sees at PATH is at HERE on this machine; may be repeated",
)
@join_flag
@certs_flag
@click.argument("url", required=False)
def command(
    ctx: Context,
    url: str | None,
    certs: str | None,
    join: str | None,
    name: str | None,
    workers: int | None,
    maps: tuple[str, ...],
) -> None:
    """Lend this machine's workers to the master at URL (tls://HOST:PORT; else the address in the join file).

    It dials out and listens on nothing. It keeps no state that matters: it may be stopped or killed at any time, and
    what it was working on is done by others. It must see the source and the repository as the master does.
    """
    require_cluster_library()
    from argosy.archiver.path_map import parse_map
    from argosy.certificates.contexts import client_context
    from argosy.certificates.role import Role
    from argosy.cli.log_lines import route_log
    from argosy.daemon.proxy import Proxy, ProxySettings
    from argosy.engine.local import worker_count

    route_log(ctx.output)
    found = load_join(ctx, certs, join, Role.MEMBER)
    if name is not None and name != found.name:
        raise UsageError(
            f"the certificate is {found.name}'s, not {name}'s", hint="Name the join file that was made for this host."
        )
    settings = ProxySettings(
        url=master_url(url, found),
        name=found.name,
        workers=workers or worker_count(),
        cache_directory=ctx.cache_directory,
        tls=client_context(found),
        maps=tuple(parse_map(os.fsencode(text)) for text in maps),
    )
    with ctx.stopping("stopping") as stop, Proxy(settings, lambda text: say(ctx, text), stop):
        while not stop():
            time.sleep(_POLL_SECONDS)
