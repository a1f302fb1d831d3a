"""Who this process is, for locks and key files: the machine's real name, whatever snapshots call the host."""

from __future__ import annotations

import os
import pwd
import signal
import threading

import msgspec


class ProcessIdentity(msgspec.Struct, frozen=True):
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


def survive_probes() -> None:
    """Have SIGHUP do nothing, if nobody has decided about it: restic asks with it whether a lock's holder lives.

    It is sent by every `restic unlock` on this machine (internal/restic/lock_unix.go), and ends a process
    that is not prepared. Only the main thread can do this: a program that takes locks in others must handle
    SIGHUP itself.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        # A function rather than SIG_IGN, which processes started from this one would inherit.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def process_exists(pid: int) -> bool:
    """Whether a process of this machine has the number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
