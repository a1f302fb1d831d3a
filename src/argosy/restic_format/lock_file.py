"""Lock files: who works on the repository since when, and whether alone."""

from __future__ import annotations

import msgspec

from argosy.restic_format.documents import decode_document
from argosy.restic_format.names import json_text
from argosy.restic_format.times import parse_time


class LockFile(msgspec.Struct, frozen=True):
    """One lock. ``time`` is RFC 3339 text of its last refresh, ``since`` of its taking, where Argosy wrote it.

    restic has no ``since``, and passes over it when it reads.
    """

    time: str
    exclusive: bool
    hostname: str
    username: str
    pid: int
    uid: int = 0
    gid: int = 0
    since: str = ""

    def time_ns(self) -> int:
        """When it was taken or last refreshed. Damaged if ``time`` is no time."""
        return parse_time(self.time, "time of a lock")


_DECODER = msgspec.json.Decoder(LockFile)


def encode_lock(lock: LockFile) -> bytes:
    """The lock's JSON, as restic writes it; ``since`` at its end if there is one."""
    since = f',"since":{json_text(lock.since)}' if lock.since else ""
    owner = "".join(f',"{key}":{number}' for key, number in (("uid", lock.uid), ("gid", lock.gid)) if number)
    return (
        f'{{"time":{json_text(lock.time)},"exclusive":{"true" if lock.exclusive else "false"},'
        f'"hostname":{json_text(lock.hostname)},"username":{json_text(lock.username)},'
        f'"pid":{lock.pid}{owner}{since}}}'
    ).encode()


def decode_lock(data: bytes, what: str) -> LockFile:
    """The lock in ``data``. Damaged (naming ``what``) if it is none."""
    lock = decode_document(_DECODER, data, what, "a lock")
    parse_time(lock.time, what)
    return lock
