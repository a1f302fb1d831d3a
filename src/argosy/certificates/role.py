"""What a certificate is for."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The roles that certificates carry. The first three are given out, the others belong to the master's host."""

    MEMBER = "member"
    """A proxy: takes tasks and reports; nothing else."""
    OPERATOR = "operator"
    """Submits, attaches and cancels jobs; reads status."""
    READER = "reader"
    """Reads status; nothing else."""
    MASTER = "master"
    """The master's own connection to its server."""
    SERVER = "server"
    """The server's side of the one TLS port."""


GIVEN_OUT = (Role.MEMBER, Role.OPERATOR, Role.READER)
