"""HOST:PORT, as users write it and as certificates and URLs need it."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from argosy.errors import UsageError

DEFAULT_PORT = 4222
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_MOST_PORT = 65535


class Address(msgspec.Struct, frozen=True):
    """Where a master listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """``tls://HOST:PORT``."""
        return f"tls://{self}"


def parse_address(text: str) -> Address:
    """``nas.example.org:4222``, ``192.0.2.1:4222``, ``[2001:db8::1]:4222``; with ``tls://`` before it too."""
    host, colon, port = text.removeprefix("tls://").rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    known = _is_ip6(host) if bracketed else _is_ip4(host) or is_host_name(host)
    if not (colon and known and port.isascii() and port.isdigit() and 0 < int(port) <= _MOST_PORT):
        raise UsageError(
            f"{text!r} is no address of a master",
            hint="Write HOST:PORT, as in nas.example.org:4222 or [2001:db8::1]:4222.",
        )
    return Address(host.lower(), int(port))


def _is_ip4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_ip6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def is_host_name(host: str) -> bool:
    """Whether a certificate can stand for it as a name."""
    labels = host.split(".")
    # A last label of digits only would be a mistyped IPv4 address (RFC 1123, 2.1).
    return len(host) < 254 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
