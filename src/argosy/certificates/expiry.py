"""When certificates end, and what is said before they do."""

from __future__ import annotations

import time
from enum import StrEnum

from argosy.certificates.register import Entry, Register

WARNING_SECONDS = 30 * 86400
"""From this long before its end a certificate's expiry is shown."""


class State(StrEnum):
    """What a certificate is at some time."""

    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"


def state_of(entry: Entry, now: float) -> State:
    """Whether a certificate still opens anything, and for how long."""
    if entry.revoked is not None:
        return State.REVOKED
    if now >= entry.valid_until:
        return State.EXPIRED
    return State.EXPIRING if entry.valid_until - now < WARNING_SECONDS else State.VALID


def expiry_warning(name: str, valid_until: int, now: float) -> str:
    """What to say of a certificate that ends soon, or has; "" while there is nothing to say."""
    if valid_until - now >= WARNING_SECONDS:
        return ""
    day = time.strftime("%Y-%m-%d", time.localtime(valid_until))
    ends = "expires" if now < valid_until else "expired"
    return f"the certificate of {name} {ends} on {day}: `argosy cluster renew {name}` makes a new one"


def expiry_warnings(register: Register, authority_valid_until: int, now: float) -> list[str]:
    """What to say of a whole cluster. A name whose newest certificate is revoked or long valid is left out."""
    newest = {entry.name: entry for entry in register.entries}
    said = [expiry_warning(name, entry.valid_until, now) for name, entry in newest.items() if entry.revoked is None]
    if authority_valid_until - now < WARNING_SECONDS:
        day = time.strftime("%Y-%m-%d", time.localtime(authority_valid_until))
        said.append(f"the cluster's authority ends on {day}, and all certificates with it: make a new cluster")
    return [text for text in said if text]
