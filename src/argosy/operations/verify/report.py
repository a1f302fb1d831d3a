"""The report of a verification: one text file that `sha256sum -c` reads and openssl can prove.

    # {"message_type":"report", …}           what was compared: who, when, where, with what options
    # {"message_type":"difference", …}       each difference, where it was found
    <sha256>  <path>                         each file whose content is the same on both sides
    # {"message_type":"summary", …}          the counts
    # {"message_type":"signature", …}        over the hash of every byte above this line

Lines of hashes and of differences stand in the order in which they were found. To `sha256sum` lines with # are
comments. ``STATEMENT`` is what is signed: short, so that a tool need not hold the report in memory.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from argosy.errors import Damaged, UsageError
from argosy.operations.verify.messages import Difference
from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.signing import SigningKey, signature_holds

STATEMENT = "argosy verify report 1 sha256 {}\n"
_PURPOSE = b"argosy verify report"
_ALGORITHM = "ed25519"
_LINE_LIMIT_BYTES = 64 * 1024 * 1024


class ReportWriter:
    """Writes a report beside its final name, and gives it that name when it is whole. Close it at the end."""

    def __init__(self, path: bytes, master: MasterKey) -> None:
        """UsageError if there is a file of this name, or none can be written there."""
        self._path = path
        self._key = SigningKey(master, _PURPOSE)
        self._unfinished: bytes | None = _unfinished(path)
        if os.path.lexists(path):
            raise UsageError(f"{_shown(path)} exists", hint="A report never replaces another one: choose a new name.")
        try:
            self._file = open(self._unfinished, "xb")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise UsageError(
                f"{_shown(self._unfinished)} cannot be made: {error.strerror}", hint="Check the path after --report."
            ) from error
        self._hash = hashlib.sha256()

    def document(self, document: Mapping[str, Any]) -> None:
        """A line of JSON."""
        self.lines(b"# " + msgspec.json.encode(document) + b"\n")

    def lines(self, lines: bytes) -> None:
        """Lines as they are."""
        try:
            self._file.write(lines)
        except OSError as error:
            raise self._unwritten(error) from error
        self._hash.update(lines)

    def finish(self) -> None:
        """Sign it, and give it its name."""
        digest = self._hash.hexdigest()
        self.document(
            {
                "message_type": "signature",
                "algorithm": _ALGORITHM,
                "public_key": self._key.public,
                "sha256": digest,
                "signature": self._key.sign(STATEMENT.format(digest).encode()),
            }
        )
        assert self._unfinished is not None, "finished once"
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._give_name(self._unfinished)
        except OSError as error:
            raise self._unwritten(error) from error

    def _give_name(self, unfinished: bytes) -> None:
        """Unlike a rename a link never replaces a file that came meanwhile; some file systems have none."""
        try:
            os.link(unfinished, self._path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS) or os.path.lexists(self._path):
                raise
            os.rename(unfinished, self._path)
            self._unfinished = None

    def close(self) -> None:
        """Leave the finished report, or nothing."""
        with suppress(OSError):  # a finished one is on disk; an unfinished one goes, full disk or not
            self._file.close()
        if self._unfinished is not None:
            os.unlink(self._unfinished)
            self._unfinished = None

    def _unwritten(self, error: OSError) -> UsageError:
        return UsageError(
            f"{_shown(self._path)} cannot be written: {error.strerror}", hint="Check the disk that it is on."
        )


def remove_unfinished(path: bytes) -> None:
    """Remove what a writer that was killed has left of the report of this name."""
    with suppress(OSError):  # the next writer says what is in its way
        os.unlink(_unfinished(path))


class CheckedReport(msgspec.Struct, frozen=True):
    """A report whose signature holds: its first and its last document."""

    header: dict[str, Any]
    summary: dict[str, Any]


def check_report(path: bytes, master: MasterKey) -> CheckedReport:
    """Prove that a report was written with the repository's key, and that not a byte of it changed. Damaged if not."""
    shown, key = _shown(path), SigningKey(master, _PURPOSE)
    header: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    signature: dict[str, Any] | None = None
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while line := file.readline(_LINE_LIMIT_BYTES):
                if signature is not None:
                    raise _not_proved(shown, "something stands below its signature")
                document = _document(line, shown) if line.startswith(b"# {") else {}
                kind = document.get("message_type")
                if kind == "signature":
                    signature = document
                    continue
                digest.update(line)
                if kind == "report":
                    header = header or document
                elif kind == "summary":
                    summary = document
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}", hint="Check the path.") from error
    if signature is None:
        raise _not_proved(shown, "it has no signature")
    if signature.get("public_key") != key.public:
        raise _not_proved(shown, "it was signed with another key than this repository's")
    if signature.get("sha256") != digest.hexdigest():
        raise _not_proved(shown, "it was changed after it was signed")
    statement = STATEMENT.format(digest.hexdigest()).encode()
    if not signature_holds(key.public, str(signature.get("signature")), statement):
        raise _not_proved(shown, "its signature does not hold")
    return CheckedReport(header, summary)


def difference_document(difference: Difference) -> dict[str, Any]:
    """The JSON of a difference. ``path_raw`` (base64) is there where the path is not UTF-8."""
    path = difference.path
    unreadable = difference.kind == "unreadable"
    document: dict[str, Any] = {
        "message_type": "unreadable" if unreadable else "difference",
        "path": path.decode("utf-8", "replace"),
    }
    try:
        path.decode()
    except UnicodeDecodeError:
        document["path_raw"] = path
    if unreadable:
        return {**document, "error": difference.reason}
    document |= {"kind": difference.kind, "type": difference.type}
    if difference.fields:
        document["fields"] = {
            field: {} if field == "content" else {"snapshot": ours, "source": theirs}
            for field, (ours, theirs) in difference.fields.items()
        }
    if difference.silent:
        document["silent"] = True
    if difference.below:
        document["below"] = difference.below
    return document


def _unfinished(path: bytes) -> bytes:
    return path + b".unfinished"


def _document(line: bytes, shown: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line[2:], type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _not_proved(shown, f"one of its lines is no JSON ({error})") from error


def _not_proved(shown: str, reason: str) -> Damaged:
    return Damaged(f"the report {shown} proves nothing: {reason}", hint="Ask for the report as it was written.")


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
