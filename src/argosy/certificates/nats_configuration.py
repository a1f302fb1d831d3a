"""nats-server's ``tls`` and ``authorization`` blocks: the register's valid certificates as users, least rights each.

``RIGHTS`` is the one table of who may do what. A subject with ``{name}`` holds the certificate's own name. What the
table does not list is refused.

What subjects cannot express, so that the master has to see to it: a sender chooses where an answer goes. So the master
answers only below ``inbox_prefix`` of the sender's name, which the request's subject holds; and since a member may have
a task delivered to any subject, the master drops what comes under another subject than it subscribed to, and what is no
declared request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from argosy.certificates.cluster_directory import ServerFiles
from argosy.certificates.join_file import inbox_prefix
from argosy.certificates.register import Entry
from argosy.certificates.role import Role
from argosy.errors import CertificateError


class Subjects(msgspec.Struct, frozen=True):
    """Names that the engine gives its streams; everything else of the protocol lies under ``prefix``.

    ``work_consumer`` may be ``*``: each job has a consumer of its own on the one stream, and they come and go.
    """

    prefix: str = "argosy"
    work_stream: str = "ARGOSY_WORK"
    work_consumer: str = "*"
    status_bucket: str = "argosy_status"


class Rights(msgspec.Struct, frozen=True):
    """Subjects that a role may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_INBOX = inbox_prefix("{name}") + ".>"
# What a watch of a key-value bucket needs: its stream's facts, a consumer of one's own on it with flow control, and its
# current values (NATS ADR-8; clients leave the consumer's name to the server, or choose it).
_READ_STATUS = (
    "$JS.API.STREAM.INFO.KV_{status_bucket}",
    "$JS.API.CONSUMER.CREATE.KV_{status_bucket}",
    "$JS.API.CONSUMER.CREATE.KV_{status_bucket}.>",
    "$JS.API.CONSUMER.INFO.KV_{status_bucket}.>",
    "$JS.API.DIRECT.GET.KV_{status_bucket}.>",
    "$JS.FC.KV_{status_bucket}.>",
)
_HEAR_STATUS = (_INBOX, "{prefix}.status.>")

RIGHTS: dict[Role, Rights] = {
    Role.MASTER: Rights(publish=(">",), subscribe=(">",)),
    Role.MEMBER: Rights(
        publish=(
            "{prefix}.member.{name}.>",
            "$JS.API.CONSUMER.MSG.NEXT.{work_stream}.{work_consumer}",
            "$JS.ACK.{work_stream}.{work_consumer}.>",
        ),
        subscribe=(_INBOX, "{prefix}.all.>"),
    ),
    Role.OPERATOR: Rights(publish=("{prefix}.control.>", *_READ_STATUS), subscribe=_HEAR_STATUS),
    Role.READER: Rights(publish=_READ_STATUS, subscribe=_HEAR_STATUS),
}


def tls_block(files: ServerFiles) -> str:
    """Mutual TLS 1.3 before a byte is said; the certificate's subject is the user."""
    return f"""tls {{
  cert_file: {_quoted(files.pair)}
  key_file: {_quoted(files.pair)}
  ca_file: {_quoted(files.authority)}
  verify_and_map: true
  handshake_first: true
  min_version: "1.3"
  timeout: 10
}}
"""


def authorization_block(users: Iterable[Entry], subjects: Subjects) -> str:
    """A user for each certificate. ``users`` must hold the master's: without any, nats-server would ask for none."""
    entries = list(users)
    if Role.MASTER not in {entry.role for entry in entries}:
        raise CertificateError(
            "the master has no valid certificate", hint="`argosy cluster renew master` on the master makes one."
        )
    return "authorization {\n  users = [\n" + "".join(_user(entry, subjects) for entry in entries) + "  ]\n}\n"


def _user(entry: Entry, subjects: Subjects) -> str:
    rights = RIGHTS[entry.role]
    publish = _filled(rights.publish, entry.name, subjects)
    subscribe = _filled(rights.subscribe, entry.name, subjects)
    permissions = f"{{publish: {{allow: {publish}}}, subscribe: {{allow: {subscribe}}}}}"
    return f"    {{user: {json.dumps(entry.user)}, permissions: {permissions}}}\n"


def _filled(patterns: tuple[str, ...], name: str, subjects: Subjects) -> str:
    return json.dumps(
        [
            pattern.format(
                name=name,
                prefix=subjects.prefix,
                work_stream=subjects.work_stream,
                work_consumer=subjects.work_consumer,
                status_bucket=subjects.status_bucket,
            )
            for pattern in patterns
        ]
    )


def _quoted(path: Path) -> str:
    """A path as the configuration's syntax quotes it, which has JSON's escapes but none of Unicode's."""
    return json.dumps(str(path), ensure_ascii=False)
