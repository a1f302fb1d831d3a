"""The cluster directory on the master: the authority, the server's files, the register, and what may be done to them.

    register.json              who may take part (``register``)
    ca.crt  ca.key             the authority; the key is needed by init, add and renew alone
    server.pem                 certificate and key of nats-server, in one file so that they change together
    master.join                the master's own connection
    operator.join member.join  for commands and a proxy on the master's host

Changes are made under a lock on the directory. New files are durable before the register names their certificate:
safe to die between the two, since a certificate that the register does not list opens nothing.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from argosy.certificates.addresses import DEFAULT_PORT, Address, is_host_name, parse_address
from argosy.certificates.join_file import SUFFIX, JoinFile, load_join_file, save_join_file
from argosy.certificates.private_files import (
    exists,
    locked,
    make_private_directory,
    read_private,
    read_public,
    write_private,
)
from argosy.certificates.register import REGISTER_NAME, Entry, Register, load_register, new_register, save_register
from argosy.certificates.role import GIVEN_OUT, Role
from argosy.certificates.x509 import KeyPair, hosts_of, issue, make_authority, read_facts, valid_until
from argosy.errors import CertificateError, UsageError

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
# What init makes for the master's own host: a name each, which is its role's.
_OWN_CLIENTS = (Role.MASTER, Role.OPERATOR, Role.MEMBER)
_OWN_NAMES = frozenset({Role.SERVER.value, *(role.value for role in _OWN_CLIENTS)})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ServerFiles(msgspec.Struct, frozen=True):
    """What nats-server's ``tls`` block names."""

    pair: Path
    authority: Path


class Issued(msgspec.Struct, frozen=True):
    """A certificate just made, and the file that it was written to."""

    entry: Entry
    path: Path


class ClusterDirectory:
    """The cluster in a directory. Each method reads the files anew: several processes may work on them."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self.server_files = ServerFiles(path / "server.pem", path / "ca.crt")

    def init(self, addresses: Sequence[Address] = (), days: int = CERTIFICATE_DAYS) -> Register:
        """Make the authority and all that the master's host needs. CertificateError if a cluster is there."""
        make_private_directory(self.path)
        with locked(self.path):
            self._refuse_a_second()
            register = msgspec.structs.replace(new_register(secrets.token_hex(4)), addresses=tuple(map(str, addresses)))
            authority = make_authority(register.cluster_id, AUTHORITY_DAYS, self._clock())
            write_private(self.path / "ca.key", authority.key)
            write_private(self.server_files.authority, authority.certificate)
            register = register.with_entry(self._issue_server(authority, addresses, days))
            for role in _OWN_CLIENTS:
                issued = self._issue_client(authority, register, role.value, role, days, self.own_file(role))
                register = register.with_entry(issued.entry)
            save_register(self.path, register)
            return register

    def add(self, name: str, role: Role, output: Path, addresses: Sequence[Address], days: int) -> Issued:
        """Issue a certificate and write its join file, which must not exist.

        ``addresses``, if any, become the master's for all join files to come, and the server's certificate is made
        again where it does not stand for them. CertificateError if the name has a valid certificate.
        """
        _check_name(name, role)
        with locked(self.path):
            register = load_register(self.path)
            if any(entry.is_valid(self._clock()) for entry in register.of_name(name)) or name in _OWN_NAMES:
                raise CertificateError(
                    f"the name {name} is taken",
                    hint=f"`argosy cluster renew {name}` writes its file anew; else choose another name.",
                )
            authority = self._authority()
            register = self._with_addresses(register, authority, addresses)
            issued = self._issue_client(authority, register, name, role, days, output, replace=False)
            save_register(self.path, register.with_entry(issued.entry))
            return issued

    def renew(self, name: str, output: Path | None, days: int, *, revoke_old: bool = False) -> Issued:
        """Issue a name's certificate again, for its role. ``output`` is ignored for the master's own.

        The old one stays valid until its end, so that the member goes on until it has the new file; ``revoke_old``
        cuts it off. Renewing a name that is revoked is refused, but for the
        master's own.
        """
        with locked(self.path):
            register = load_register(self.path)
            last = _last(register, name)
            if last.revoked is not None and name not in _OWN_NAMES:
                raise CertificateError(
                    f"{name} is revoked", hint=f"`argosy cluster add {name}` gives the name out again."
                )
            authority = self._authority()
            issued = self._issue_again(authority, register, last, output, days)
            if revoke_old:
                old = {entry.serial for entry in register.of_name(name)}
                register = register.with_revoked(old, int(self._clock()))
            save_register(self.path, register.with_entry(issued.entry))
            return issued

    def revoke(self, name: str) -> list[Entry]:
        """Revoke all certificates of a name; returns those that this revoked."""
        if name in (Role.SERVER.value, Role.MASTER.value):
            raise UsageError(
                f"{name} is the cluster's own and cannot be revoked",
                hint=f"`argosy cluster renew {name} --revoke-old` replaces it.",
            )
        with locked(self.path):
            register = load_register(self.path)
            _last(register, name)
            serials = {entry.serial for entry in register.of_name(name) if entry.revoked is None}
            if not serials:
                raise CertificateError(f"{name} is revoked already", hint="`argosy cluster list` shows since when.")
            register = register.with_revoked(serials, int(self._clock()))
            save_register(self.path, register)
            return [entry for entry in register.entries if entry.serial in serials]

    def register(self) -> Register:
        """Who may take part. CertificateError if there is no cluster."""
        return load_register(self.path)

    def authority_valid_until(self) -> int:
        """When the authority, and with it every certificate, ends (Unix seconds)."""
        path = self.server_files.authority
        return valid_until(read_public(path), str(path))

    def stamp(self) -> tuple[int, int]:
        """Another value after each change of the register; cheap, for a running master to look at every second."""
        try:
            status = (self.path / REGISTER_NAME).stat()
        except OSError as error:
            raise CertificateError(
                f"cannot read the register in {self.path}: {error.strerror}",
                hint="Check the directory, or restore it from a backup of the master.",
            ) from error
        return status.st_ino, status.st_mtime_ns

    def own_file(self, role: Role) -> Path:
        """Where the join file of a role lies for commands on this host."""
        return self.path / f"{role.value}{SUFFIX}"

    def own(self, role: Role) -> JoinFile:
        """The join file of a role for commands on this host.

        CertificateError: there is none, it is another role's, or it cannot be used.
        """
        path = self.own_file(role)
        if not exists(path):
            raise CertificateError(
                f"there is no certificate for this in {self.path} ({path.name})",
                hint="`argosy cluster init` makes it on the master; elsewhere copy a join file there,"
                " or name one with --join.",
            )
        join = load_join_file(path, now=self._clock())
        if join.role is not role:
            raise CertificateError(
                f"{path} holds a certificate of the role {join.role.value}, not {role.value}",
                hint=f"On the master, `argosy cluster add NAME --role {role.value}` makes one.",
            )
        return join

    def _refuse_a_second(self) -> None:
        if exists(self.path / REGISTER_NAME):
            raise CertificateError(
                f"there is a cluster in {self.path} already",
                hint="`argosy cluster list` shows it; `argosy cluster init --certs DIR` makes another elsewhere.",
            )
        if exists(self.path / "ca.key"):
            raise CertificateError(
                f"{self.path} holds an authority without its register: it was lost, or an init was cut short",
                hint="Restore register.json from a backup of the master; after an init cut short, empty the directory.",
            )

    def _issue_again(
        self, authority: KeyPair, register: Register, last: Entry, output: Path | None, days: int
    ) -> Issued:
        if last.role is Role.SERVER:
            entry = self._issue_server(authority, map(parse_address, register.addresses), days)
            return Issued(entry, self.server_files.pair)
        own = last.name in _OWN_NAMES
        path = self.own_file(last.role) if own else output or Path(f"{last.name}{SUFFIX}")
        return self._issue_client(authority, register, last.name, last.role, days, path, replace=own)

    def _issue_client(
        self,
        authority: KeyPair,
        register: Register,
        name: str,
        role: Role,
        days: int,
        output: Path,
        *,
        replace: bool = True,
    ) -> Issued:
        own = name in _OWN_NAMES
        addresses = register.addresses or ((f"localhost:{DEFAULT_PORT}",) if own else ())
        if not addresses:
            raise UsageError(
                "it is not known where other hosts reach the master", hint="Name it once with --address HOST:PORT."
            )
        pair = issue(authority, name, role, days, self._clock())
        facts = read_facts(pair.certificate, "the new certificate")
        join = JoinFile(tuple(map(parse_address, addresses)), authority.certificate, pair, facts)
        save_join_file(output, join, replace=replace)
        return Issued(Entry.of(facts), output)

    def _issue_server(self, authority: KeyPair, addresses: Iterable[Address], days: int) -> Entry:
        here = [socket.gethostname().lower()]
        hosts = dict.fromkeys([*(address.host for address in addresses), *filter(is_host_name, here), *_LOOPBACK])
        pair = issue(authority, Role.SERVER.value, Role.SERVER, days, self._clock(), list(hosts))
        write_private(self.server_files.pair, pair.certificate + pair.key)
        return Entry.of(read_facts(pair.certificate, "the new certificate"))

    def _with_addresses(self, register: Register, authority: KeyPair, addresses: Sequence[Address]) -> Register:
        if not addresses:
            return register
        known = msgspec.structs.replace(
            register, addresses=tuple(dict.fromkeys([*map(str, addresses), *register.addresses]))
        )
        path = self.server_files.pair
        hosts = {address.host for address in addresses}
        if hosts <= set(hosts_of(read_private(path), str(path))):
            return known
        return known.with_entry(self._issue_server(authority, map(parse_address, known.addresses), CERTIFICATE_DAYS))

    def _authority(self) -> KeyPair:
        load_register(self.path)  # its absence has the better message
        return KeyPair(read_public(self.server_files.authority), read_private(self.path / "ca.key"))


def _last(register: Register, name: str) -> Entry:
    found = register.of_name(name)
    if not found:
        raise CertificateError(f"there is no certificate of {name}", hint="`argosy cluster list` shows all names.")
    return found[-1]


def _check_name(name: str, role: Role) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a name",
            hint="Use up to 63 letters, digits, - and _, as in nas-1; no dots: the name is a part of message subjects.",
        )
    if role not in GIVEN_OUT:
        raise UsageError(f"the role {role.value} is not given out", hint="Choose member, operator or reader.")
