"""``--cluster``, ``--certs`` and ``--join``: how a command reaches a master, and as whom."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.cli.certs import certs_directory, certs_flag
from argosy.cli.context import Context
from argosy.errors import UsageError

if TYPE_CHECKING:
    from argosy.certificates.join_file import JoinFile
    from argosy.certificates.role import Role
    from argosy.daemon.client import Client

_PATIENCE_SECONDS = 20.0

cluster_flag = click.option("--cluster", metavar="URL", help="the master that runs the job: tls://HOST:PORT")
join_flag = click.option("--join", metavar="FILE", help="the file that 'argosy cluster add' wrote for this host")
_detach_flag = click.option("--detach", is_flag=True, help="submit the job to the cluster and leave it running")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def reaching_flags(function: Decorated) -> Decorated:
    """Give a command ``cluster``, ``certs`` and ``join``: what ``operator`` needs."""
    for flag in (join_flag, certs_flag, cluster_flag):
        function = flag(function)
    return function


def submitting_flags(function: Decorated) -> Decorated:
    """The same, and ``detach``, for commands that submit a job."""
    return reaching_flags(_detach_flag(function))


def load_join(ctx: Context, certs: str | None, join: str | None, role: Role) -> JoinFile:
    """The certificate to show: of the file after --join, else this host's own for the role."""
    from argosy.certificates.cluster_directory import ClusterDirectory
    from argosy.certificates.join_file import load_join_file

    if certs and join:
        raise UsageError("--certs and --join exclude each other", hint="Name the join file, or the directory.")
    if join is None:
        return ClusterDirectory(certs_directory(ctx, certs)).own(role)
    found = load_join_file(Path(join))
    if found.role is not role:
        raise UsageError(
            f"{join} holds a certificate of the role {found.role.value}; this needs {role.value}",
            hint=f"On the master, 'argosy cluster add NAME --role {role.value}' makes one.",
        )
    return found


def require_cluster_library() -> None:
    """UsageError, with the command to run, where the extra is not installed."""
    from importlib.util import find_spec

    if find_spec("nats") is None:
        raise UsageError("this needs the extra 'cluster'", hint="Install it: pip install 'argosy[cluster]'")


def master_url(given: str | None, join: JoinFile) -> str:
    """The master's address: as given, else the first one in the join file."""
    from argosy.certificates.addresses import parse_address

    if given:
        return parse_address(given).url
    if not join.addresses:
        raise UsageError("it is not known where the master is", hint="Name it: tls://HOST:PORT.")
    return join.addresses[0].url


@contextmanager
def operator(ctx: Context, cluster: str | None, certs: str | None, join: str | None) -> Iterator[Client]:
    """A connection to the master that may submit and stop jobs."""
    from argosy.certificates.contexts import client_context
    from argosy.certificates.role import Role

    require_cluster_library()
    from argosy.daemon.client import connected

    found = load_join(ctx, certs, join, Role.OPERATOR)
    with connected(master_url(cluster, found), found.name, client_context(found), _PATIENCE_SECONDS) as client:
        yield client


def say(ctx: Context, text: str) -> None:
    """What a master or proxy has to say, at once. From any thread."""
    if ctx.json:
        ctx.output.document({"message_type": "daemon", "text": text}, flush=True)
    else:
        ctx.output.line(text)
        ctx.output.flush()


def leave_on_hangup() -> None:
    """A closed terminal ends the command alone: the job goes on at the master."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
