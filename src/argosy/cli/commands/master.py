"""``argosy master``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.certs import certs_directory, certs_flag
from argosy.cli.cluster_flags import load_join, require_cluster_library, say
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import duration, parallel_or_auto
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.certificates.cluster_directory import ClusterDirectory
    from argosy.daemon.master import MasterSettings

_POLL_SECONDS = 0.2
_LEASE_SECONDS = 15.0


@verb("master")
@click.option("--listen", metavar="HOST:PORT", help="where proxies and commands reach it: 0.0.0.0:4222")
@click.option("--nats", metavar="URL", help="use this NATS (tls://HOST:PORT) and start none")
@click.option("--workers", type=parallel_or_auto, metavar="N|auto", help="its own workers (auto: one a processor)")
@click.option("--no-workers", is_flag=True, help="run jobs, and leave all uploads to the proxies")
@click.option("--lease", type=duration, metavar="DURATION", help="a member silent for so long is struck off (15s)")
@certs_flag
def command(ctx: Context, /, **flags: Any) -> None:
    """Run the jobs that `--cluster` submits, over this machine's workers and the proxies that join.

    It starts and watches a nats-server of its own, which listens at HOST:PORT, or uses the one at --nats.
    `argosy cluster init` makes the certificates. On SIGTERM or Ctrl-C the running job is stopped; started again, the
    master goes on with it, if it is given the repository's password (-p, --password-command or a variable).
    """
    require_cluster_library()
    from argosy.certificates.cluster_directory import ClusterDirectory
    from argosy.cli.log_lines import route_log
    from argosy.daemon.guarding import RegisterWatch
    from argosy.daemon.master import Master

    route_log(ctx.output)
    directory = ClusterDirectory(certs_directory(ctx, flags["certs"]))
    settings = _settings(ctx, flags, directory)
    with ctx.stopping("stopping: the running job is stopped so that it can be resumed") as stop, ExitStack() as stack:
        master = stack.enter_context(Master(settings, lambda text: say(ctx, text)))
        if not settings.nats_url:
            watch = RegisterWatch(directory, master.take_users, ctx.output.warning)
            watch.start()
            stack.callback(watch.stop)
        say(ctx, f"listening on {flags['listen']}" if flags["listen"] else f"connected to {settings.nats_url}")
        while not stop():
            time.sleep(_POLL_SECONDS)
    say(ctx, "ended")


def _settings(ctx: Context, flags: dict[str, Any], directory: ClusterDirectory) -> MasterSettings:
    from argosy.certificates.addresses import parse_address
    from argosy.certificates.contexts import client_context
    from argosy.certificates.role import Role
    from argosy.cli.store import storage_options
    from argosy.daemon.guarding import users_of
    from argosy.daemon.master import MasterSettings
    from argosy.engine.local import worker_count

    if bool(flags["listen"]) == bool(flags["nats"]):
        raise UsageError("a master needs --listen or --nats, and not both", hint="--listen 0.0.0.0:4222 is usual.")
    address = parse_address(flags["listen"] or flags["nats"])
    return MasterSettings(
        host=address.host,
        port=address.port,
        workers=0 if flags["no_workers"] else flags["workers"] or worker_count(),
        state_directory=ctx.state_directory,
        cache_directory=ctx.cache_directory,
        tls=client_context(load_join(ctx, flags["certs"], None, Role.MASTER)),
        server_extra=users_of(directory).configuration,
        nats_url=address.url if flags["nats"] else "",
        lease_seconds=_LEASE_SECONDS if flags["lease"] is None else flags["lease"],
        password=ctx.passwords.without_asking,
        credentials=lambda location: storage_options(ctx.given, location).credentials,
    )
