"""``argosy proxy``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.certs import certs_flag
from argosy.cli.cluster_flags import join_flag, load_join, master_url, require_cluster_library, say
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import parallel_or_auto, share
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.daemon.proxy import ProxySettings

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
@click.option("--weight", type=share, default="1", metavar="SHARE", help="work only this share of the time: 0.5 (1)")
@click.option(
    "--only-source",
    "only_sources",
    multiple=True,
    metavar="PATH",
    help="take only batches from at or below PATH, as the master names it; may be repeated",
)
@click.option("--own-credentials", is_flag=True, help="use this environment's credentials for the store; be sent none")
@join_flag
@certs_flag
@click.argument("url", required=False)
def command(ctx: Context, /, **flags: Any) -> None:
    """Lend this machine's workers to the master at URL (tls://HOST:PORT; else the address in the join file).

    It dials out and listens on nothing. It keeps no state that matters: it may be stopped or killed at any time, and
    what it was working on is done by others. It must see the source and the repository as the master does.
    """
    require_cluster_library()
    from argosy.cli.log_lines import route_log
    from argosy.daemon.proxy import Proxy

    route_log(ctx.output)
    settings = _settings(ctx, flags)
    with ctx.stopping("stopping") as stop, Proxy(settings, lambda text: say(ctx, text), stop):
        while not stop():
            time.sleep(_POLL_SECONDS)


def _settings(ctx: Context, flags: dict[str, Any]) -> ProxySettings:
    from argosy.archiver.path_map import parse_map
    from argosy.certificates.contexts import client_context
    from argosy.certificates.role import Role
    from argosy.cli.store import storage_options
    from argosy.daemon.proxy import ProxySettings
    from argosy.engine.local import worker_count

    found, name = load_join(ctx, flags["certs"], flags["join"], Role.MEMBER), flags["name"]
    if name is not None and name != found.name:
        raise UsageError(
            f"the certificate is {found.name}'s, not {name}'s", hint="Name the join file that was made for this host."
        )
    return ProxySettings(
        url=master_url(flags["url"], found),
        name=found.name,
        workers=flags["workers"] or worker_count(),
        cache_directory=ctx.cache_directory,
        tls=client_context(found),
        maps=tuple(parse_map(os.fsencode(text)) for text in flags["maps"]),
        weight=flags["weight"],
        only_sources=tuple(_absolute(text) for text in flags["only_sources"]),
        credentials=(
            (lambda location: storage_options(ctx.given, location).credentials) if flags["own_credentials"] else None
        ),
    )


def _absolute(path: str) -> bytes:
    if not path.startswith("/"):
        raise UsageError(f"--only-source {path} is no absolute path", hint="Write it as the master sees it: /mnt/nas.")
    return os.fsencode(os.path.normpath(path))
