"""The join file: all that one member or user needs to reach its master. Whoever has it *is* that member.

Text for people, then PEM: the certificate, its key and the authority's certificate, in this order. OpenSSL's tools read
it as it is.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from argosy.certificates.addresses import Address, parse_address
from argosy.certificates.private_files import read_private, write_private
from argosy.certificates.role import Role
from argosy.certificates.x509 import Facts, KeyPair, check_pair, read_facts
from argosy.errors import CertificateError, UsageError

SUFFIX = ".join"
_TITLE = "Argosy join file, version 1."
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----\n.*?\n-----END \1-----\n", re.DOTALL)
_ADDRESS = re.compile(r"^address: (\S+)$", re.MULTILINE)
_HINT = "Copy the file again as `argosy cluster add` or `renew` wrote it."


@dataclass(frozen=True, slots=True)
class JoinFile:
    """A join file's contents, checked: the key is the certificate's, and the authority signed it."""

    addresses: tuple[Address, ...]
    authority: bytes
    pair: KeyPair
    facts: Facts
    path: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The member's or user's name, as its certificate has it: a part of its subjects."""
        return self.facts.name

    @property
    def role(self) -> Role:
        """What the certificate is for."""
        return self.facts.role

    @property
    def inbox_prefix(self) -> bytes:
        """For ``nats.connect``: below this, and nowhere else, may the holder hear answers."""
        return inbox_prefix(self.name).encode("ascii")


def inbox_prefix(name: str) -> str:
    """Where the holder of a certificate hears answers: nobody else may subscribe there."""
    return f"_INBOX_{name}"


def load_join_file(path: Path, *, now: float | None = None) -> JoinFile:
    """Read and check a join file.

    CertificateError: it cannot be read, others can read it, it is damaged, its certificate has expired or is not valid
    yet.
    """
    raw = read_private(path)
    text = raw.decode("utf-8", "replace")
    blocks = [found[0] for found in _BLOCK.finditer(raw)]
    kinds = [found[1] for found in _BLOCK.finditer(raw)]
    if not text.startswith(_TITLE) or kinds != [b"CERTIFICATE", b"PRIVATE KEY", b"CERTIFICATE"]:
        raise CertificateError(f"{path} is no join file of this Argosy, or is not whole", hint=_HINT)
    try:
        addresses = tuple(parse_address(found) for found in _ADDRESS.findall(text))
    except UsageError as error:
        raise CertificateError(f"in {path}, {error.message}", hint=_HINT) from None
    pair = KeyPair(blocks[0], blocks[1])
    check_pair(pair, blocks[2], str(path))
    facts = read_facts(pair.certificate, str(path))
    _check_time(facts, path, time.time() if now is None else now)
    return JoinFile(addresses, blocks[2], pair, facts, path)


def save_join_file(path: Path, join: JoinFile, *, replace: bool) -> None:
    """Write it with mode 0600, durably."""
    head = [
        f"{_TITLE} It holds a private key: whoever has this file is {join.name}.",
        f"name: {join.name}",
        f"role: {join.role.value}",
        *(f"address: {address}" for address in join.addresses),
        "",
    ]
    data = "\n".join(head).encode("ascii") + join.pair.certificate + join.pair.key + join.authority
    write_private(path, data, replace=replace)


def _check_time(facts: Facts, path: Path, now: float) -> None:
    if now >= facts.valid_until:
        raise CertificateError(
            f"the certificate of {facts.name} in {path} expired on {_day(facts.valid_until)}",
            hint=f"`argosy cluster renew {facts.name}` on the master writes a new file.",
        )
    if now < facts.valid_from:
        raise CertificateError(
            f"the certificate of {facts.name} in {path} is valid from {_day(facts.valid_from)} on",
            hint="This machine's clock is behind the master's: set it.",
        )


def _day(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(unix_seconds))
