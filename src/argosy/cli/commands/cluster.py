"""``argosy cluster``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.certs import certs_directory, certs_flag
from argosy.cli.context import Context
from argosy.cli.decorators import verb, verb_group
from argosy.cli.values import number

if TYPE_CHECKING:
    from argosy.certificates.addresses import Address
    from argosy.certificates.cluster_directory import ClusterDirectory, Issued
    from argosy.certificates.register import Entry

_ROLES = ("member", "operator", "reader")
_DAYS = 365

command = verb_group("cluster", "Manage who may take part in a cluster: certificates of a private authority.")

_days_flag = click.option(
    "--days", type=number, default=str(_DAYS), metavar="N", help=f"how long certificates are valid ({_DAYS})"
)
_address_flag = click.option(
    "--address", "addresses", multiple=True, metavar="HOST:PORT", help="where members reach the master; may be repeated"
)
_output_flag = click.option("--output", metavar="FILE", help="the file to write (NAME.join)")


@verb("init", group=command)
@certs_flag
@_address_flag
@_days_flag
def init(ctx: Context, days: int, addresses: tuple[str, ...], certs: str | None) -> None:
    """Make a private authority, and the certificates of the master's host."""
    from argosy.operations.cluster import run_cluster_init

    directory = certs_directory(ctx, certs)
    register = run_cluster_init(directory, _parsed(addresses), days)
    if ctx.json:
        document = {"cluster_id": register.cluster_id, "directory": str(directory)}
        ctx.output.document({"message_type": "cluster", **document, "addresses": register.addresses})
        return
    ctx.output.line(f"made cluster {register.cluster_id} in {directory}")
    ctx.output.message("this host is ready; `argosy cluster add NAME` writes the file that another host joins with")
    ctx.output.message("whoever can read that directory controls the cluster: guard it, and its backups, like a key")


@verb("add", group=command)
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="member", help="what the certificate is for (member)")
@_output_flag
@certs_flag
@_address_flag
@_days_flag
def add(
    ctx: Context,
    days: int,
    addresses: tuple[str, ...],
    certs: str | None,
    output: str | None,
    role: str,
    name: str,
) -> None:
    """Give NAME a certificate: one file that holds all that it needs.

    A member is a proxy: it takes tasks and reports. An operator submits, attaches and cancels jobs. A
    reader watches the status.
    """
    from argosy.certificates.role import Role

    cluster = _cluster(ctx, certs)
    issued = cluster.add(name, Role(role), Path(output or f"{name}.join"), _parsed(addresses), days)
    _say_issued(ctx, issued)
    _warn(ctx, cluster)


@verb("list", group=command)
@certs_flag
def list_certificates(ctx: Context, certs: str | None) -> None:
    """List all certificates: valid, expiring within 30 days, expired, revoked."""
    from argosy.cli.table import table

    cluster = _cluster(ctx, certs)
    register = cluster.register()
    if ctx.json:
        for entry in register.entries:
            ctx.output.document(certificate_document(entry))
    else:
        ctx.output.line(
            f"cluster {register.cluster_id}, reached at {', '.join(register.addresses) or 'no address yet'}"
        )
        heads = ("Name", "Role", "Serial", "Valid until", "State")
        for line in table(heads, [_row(entry) for entry in register.entries]):
            ctx.output.line(line)
    _warn(ctx, cluster)


@verb("renew", group=command)
@click.argument("name")
@click.option("--revoke-old", is_flag=True, help="cut off whoever still uses the old certificate")
@_output_flag
@certs_flag
@_days_flag
def renew(ctx: Context, days: int, certs: str | None, output: str | None, revoke_old: bool, name: str) -> None:
    """Give NAME a new certificate for its role; the old one stays valid until its end.

    The master's own (server, master, operator, member) are replaced in their place.
    """
    cluster = _cluster(ctx, certs)
    _say_issued(ctx, cluster.renew(name, Path(output) if output else None, days, revoke_old=revoke_old))
    _warn(ctx, cluster)


@verb("revoke", group=command)
@click.argument("name")
@certs_flag
def revoke(ctx: Context, certs: str | None, name: str) -> None:
    """Take all certificates of NAME back for good; reloaded, the server cuts it off."""
    for entry in _cluster(ctx, certs).revoke(name):
        if ctx.json:
            ctx.output.document(certificate_document(entry))
        else:
            ctx.output.line(f"revoked {entry.role.value} {entry.name}, certificate {entry.serial[:8]}")


def _cluster(ctx: Context, certs: str | None) -> ClusterDirectory:
    from argosy.certificates.cluster_directory import ClusterDirectory

    return ClusterDirectory(certs_directory(ctx, certs))


def _parsed(addresses: tuple[str, ...]) -> list[Address]:
    from argosy.certificates.addresses import parse_address

    return [parse_address(text) for text in addresses]


def _say_issued(ctx: Context, issued: Issued) -> None:
    if ctx.json:
        ctx.output.document({**certificate_document(issued.entry), "file": str(issued.path)})
        return
    entry = issued.entry
    ctx.output.line(f"wrote {issued.path}: {entry.role.value} {entry.name}, valid until {_day(entry.valid_until)}")


def _warn(ctx: Context, cluster: ClusterDirectory) -> None:
    from argosy.certificates.expiry import expiry_warnings

    for text in expiry_warnings(cluster.register(), cluster.authority_valid_until(), time.time()):
        ctx.output.warning(text)


def certificate_document(entry: Entry) -> dict[str, Any]:
    """A certificate, as ``--json`` prints it."""
    from argosy.certificates.expiry import state_of
    from argosy.cli.job_words import json_time

    return {
        "message_type": "certificate",
        "name": entry.name,
        "role": entry.role.value,
        "serial": entry.serial,
        "valid_from": json_time(entry.valid_from),
        "valid_until": json_time(entry.valid_until),
        "revoked": json_time(entry.revoked),
        "state": state_of(entry, time.time()).value,
    }


def _row(entry: Entry) -> list[str]:
    from argosy.certificates.expiry import state_of

    state = state_of(entry, time.time()).value
    return [entry.name, entry.role.value, entry.serial[:8], _day(entry.valid_until), state]


def _day(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(unix_seconds))
