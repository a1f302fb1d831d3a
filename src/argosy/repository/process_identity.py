"""Who this process is, for locks and key files: the machine's real name, whatever snapshots call the host."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Host, user and process as other members and restic know them."""

    hostname: str
    username: str
    pid: int
    uid: int
    gid: int


def current_identity() -> ProcessIdentity:
    """This process. A user without a name (in a container) is called by the number."""
    uid = os.getuid()
    try:
        username = pwd.getpwuid(uid).pw_name
    except KeyError:
        username = str(uid)
    return ProcessIdentity(os.uname().nodename, username, os.getpid(), uid, os.getgid())


def process_exists(pid: int) -> bool:
    """Whether a process of this machine has the number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
