"""The register: every certificate that a cluster has issued, and which of them are revoked.

It is what decides: a certificate that the authority signed and the register does not list, or lists as revoked, has no
rights. A file on the master, ``register.json``, replaced as a whole with each change.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from argosy.certificates.private_files import exists, read_private, write_private
from argosy.certificates.role import Role
from argosy.certificates.x509 import Facts
from argosy.errors import CertificateError

REGISTER_NAME = "register.json"
_VERSION = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. Times are Unix seconds; ``revoked`` is None while it is not."""

    name: str
    role: Role
    serial: str
    valid_from: int
    valid_until: int
    revoked: int | None = None

    @classmethod
    def of(cls, facts: Facts) -> Entry:
        """The entry of a certificate just issued."""
        return cls(
            name=facts.name,
            role=facts.role,
            serial=facts.serial,
            valid_from=facts.valid_from,
            valid_until=facts.valid_until,
        )

    @property
    def user(self) -> str:
        """The user of nats-server that the certificate maps to."""
        return Facts(self.name, self.role, self.serial, self.valid_from, self.valid_until).user

    def is_valid(self, now: float) -> bool:
        """Whether it opens anything at this time."""
        return self.revoked is None and now < self.valid_until


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """``addresses`` are where members find the master, first choice first."""

    version: int
    cluster_id: str
    addresses: tuple[str, ...]
    entries: tuple[Entry, ...]

    def of_name(self, name: str) -> list[Entry]:
        """All certificates of a name, oldest first."""
        return [entry for entry in self.entries if entry.name == name]

    def users(self, now: float) -> Iterator[Entry]:
        """The certificates that may connect: those of clients, neither revoked nor expired."""
        return (entry for entry in self.entries if entry.role is not Role.SERVER and entry.is_valid(now))

    def with_entry(self, entry: Entry) -> Register:
        """The same and one more."""
        return msgspec.structs.replace(self, entries=(*self.entries, entry))

    def with_revoked(self, serials: set[str], now: int) -> Register:
        """The same, with these certificates revoked."""
        entries = tuple(
            msgspec.structs.replace(entry, revoked=now) if entry.serial in serials else entry for entry in self.entries
        )
        return msgspec.structs.replace(self, entries=entries)


def new_register(cluster_id: str) -> Register:
    """An empty one."""
    return Register(version=_VERSION, cluster_id=cluster_id, addresses=(), entries=())


def load_register(directory: Path) -> Register:
    """The register of a cluster directory; CertificateError if there is none, or it is damaged or newer."""
    path = directory / REGISTER_NAME
    if not exists(path):
        raise CertificateError(
            f"there is no cluster in {directory}",
            hint="`argosy cluster init` makes one; on a member, name its file with --join.",
        )
    raw = read_private(path)
    try:
        found = msgspec.json.decode(raw, type=Register)
    except (msgspec.DecodeError, ValueError) as error:
        raise CertificateError(
            f"the register {path} is damaged: {error}", hint="Restore it from a backup of the master."
        ) from None
    if found.version != _VERSION:
        raise CertificateError(
            f"the register {path} was written by another Argosy (version {found.version})",
            hint="Run the newer Argosy.",
        )
    return found


def save_register(directory: Path, register: Register) -> None:
    """Replace the register, durably."""
    write_private(directory / REGISTER_NAME, msgspec.json.format(msgspec.json.encode(register), indent=1) + b"\n")
