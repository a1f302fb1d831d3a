"""``argosy master``."""

from __future__ import annotations

import time

import click

from argosy.cli.certs import certs_directory, certs_flag
from argosy.cli.cluster_flags import load_join, require_cluster_library
from argosy.cli.context import Context
from argosy.cli.decorators import verb
from argosy.cli.values import duration, number_or_auto

_POLL_SECONDS = 0.2
_LEASE_SECONDS = 15.0


@verb("master")
@click.option("--listen", required=True, metavar="HOST:PORT", help="where proxies and commands reach it: 0.0.0.0:4222")
@click.option("--workers", type=number_or_auto, metavar="N|auto", help="its own workers (auto: one a processor)")
@click.option("--no-workers", is_flag=True, help="run jobs, and leave all uploads to the proxies")
@click.option("--lease", type=duration, metavar="DURATION", help="a member silent for so long is struck off (15s)")
@certs_flag
def command(
    ctx: Context, listen: str, workers: int | None, no_workers: bool, lease: float | None, certs: str | None
) -> None:
    """Run the jobs that `--cluster` submits, over this machine's workers and the proxies that join.

    It starts and watches a nats-server of its own. `argosy cluster init` makes the certificates. On SIGTERM or Ctrl-C
    the running job is stopped; started again, the master goes on with it, if it is given the repository's password (-p,
    --password-command or a variable).
    """
    require_cluster_library()
    from argosy.archiver.pipeline import worker_count
    from argosy.certificates.addresses import parse_address
    from argosy.certificates.cluster_directory import ClusterDirectory
    from argosy.certificates.contexts import client_context
    from argosy.certificates.role import Role
    from argosy.cli.log_lines import route_log
    from argosy.cli.store import storage_options
    from argosy.daemon.guarding import RegisterWatch, server_configuration
    from argosy.daemon.master import Master, MasterSettings

    route_log(ctx.output)
    address = parse_address(listen)
    directory = ClusterDirectory(certs_directory(ctx, certs))
    settings = MasterSettings(
        host=address.host,
        port=address.port,
        workers=0 if no_workers else workers or worker_count(),
        state_directory=ctx.state_directory,
        cache_directory=ctx.cache_directory,
        tls=client_context(load_join(ctx, certs, None, Role.MASTER)),
        server_extra=server_configuration(directory),
        password=ctx.passwords.without_asking,
        credentials=lambda location: storage_options(ctx.given, location).credentials,
        lease_seconds=_LEASE_SECONDS if lease is None else lease,
    )
    with ctx.stopping("stopping: the running job is stopped so that it can be resumed") as stop:
        with Master(settings, lambda text: _say(ctx, text)) as master:
            watch = RegisterWatch(directory, master.reload_server, ctx.output.warning)
            watch.start()
            _say(ctx, f"listening on {address}")
            while not stop():
                time.sleep(_POLL_SECONDS)
            watch.stop()
        _say(ctx, "ended")


def _say(ctx: Context, text: str) -> None:
    if ctx.json:
        ctx.output.document({"message_type": "daemon", "text": text}, flush=True)
    else:
        ctx.output.line(text)
        ctx.output.flush()
