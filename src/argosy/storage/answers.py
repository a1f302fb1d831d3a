"""What obstore says of a failed request, turned into Argosy's errors.

obstore gives most failures as one class with a long text: a first line, the server's XML, and a dump of the
request. Only the HTTP status, the server's code and its message are taken out of it, by pattern: the rest may
hold a URL with its signature, so it is neither shown nor kept as the error's cause.
"""

from __future__ import annotations

import re

import msgspec

from argosy.errors import (
    Damaged,
    StorageDenied,
    StorageError,
    StorageExists,
    StorageFull,
    StorageNotFound,
    StorageUnavailable,
)

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,200})</Message>")

_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset({"RequestTimeout", "SlowDown", "InternalError", "OperationAborted"})
_FULL_CODES = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity", "StorageQuotaExceeded"})
# Codes that some servers send with status 400.
_DENIED_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "UnsupportedAlgorithm"}
)
# How the message begins where not the object but its whole bucket is missing.
NO_BUCKET = "there is no bucket"
_NO_BUCKET_CODES = frozenset({"NoSuchBucket", "ContainerNotFound"})
_BAD_CERTIFICATE = re.compile(r"InvalidCertificate|UnknownIssuer|CertificateRequired")

_CREDENTIALS_HINT = "Check the credentials and what they may do in this bucket."
_DENIED_HINTS = {
    "RequestTimeTooSkewed": "Set this machine's clock: it differs too much from the server's.",
    "ExpiredToken": "Renew the credentials: the session token has expired.",
}
# The rustls and hyper words for why no answer came, most telling first.
_NO_ANSWER = (
    ("dns error", "its host name cannot be resolved", "Check the host name and this machine's DNS."),
    ("ConnectionRefused", "the connection is refused", "Check the host and port, and that the server runs."),
    ("Connection refused", "the connection is refused", "Check the host and port, and that the server runs."),
    ("TimedOut", "no answer in time", "Check the network; over a slow link, use fewer connections."),
    ("kind: Timeout", "no answer in time", "Check the network; over a slow link, use fewer connections."),
    ("kind: Connect", "it cannot be reached", "Check the host and port, and the network."),
)


class Answer(msgspec.Struct, frozen=True):
    """The telling parts of a failure: ``status`` 0 and ``code`` "" where the server gave none."""

    status: int
    code: str
    message: str

    def __str__(self) -> str:
        """The server's own words, for a message to the user."""
        said = ": ".join(part for part in (self.code, self.message) if part)
        return said or f"HTTP status {self.status}"


def read_answer(text: str) -> Answer:
    """The first status, code and message in an error's text."""
    status, code, message = _STATUS.search(text), _CODE.search(text), _MESSAGE.search(text)
    return Answer(
        int(status[1]) if status else 0,
        code[1] if code else "",
        " ".join(message[1].split()) if message else "",
    )


def translate(error: BaseException, *, store: str, bucket: str, name: str) -> StorageError | Damaged:
    """Argosy's error for what obstore raised about ``name`` ("" for a listing). Nothing secret is in it."""
    text = str(error)
    answer = read_answer(text)
    what = f"{store}/{name}" if name else store
    if answer.code in _NO_BUCKET_CODES:
        return StorageNotFound(f"{NO_BUCKET} {bucket} at {store}", hint="Create it, or check the name.")
    kind = type(error).__name__  # by name: object_store.py alone imports obstore
    if kind == "AlreadyExistsError":
        return StorageExists(f"{what} exists already", hint="It was left as it is.")
    if answer.status == 507 or answer.code in _FULL_CODES:
        return StorageFull(f"{what}: the store is full ({answer})", hint="Make room or raise the quota there.")
    if _is_denied(kind, answer):
        return StorageDenied(
            f"{what}: access refused ({answer})", hint=_DENIED_HINTS.get(answer.code, _CREDENTIALS_HINT)
        )
    if isinstance(error, FileNotFoundError) or answer.status == 404:
        return StorageNotFound(f"{what} does not exist", hint="Check the repository's location.")
    if answer.status == 416 or "InvalidRangeRequest" in text:
        return Damaged(f"{what} is shorter than it should be", hint="Run argosy check to see what is damaged.")
    if "Received redirect" in text or answer.code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
        hint = "Set AWS_DEFAULT_REGION to the bucket's region."
        return StorageError(f"{what}: the server wants another region ({answer})", hint=hint)
    if answer.status in _PASSING_STATUS or answer.code in _PASSING_CODES:
        hint = "Try again later; if it stays, look at the server's own log."
        return StorageUnavailable(f"{what}: the server has trouble ({answer})", hint=hint)
    if answer.status:
        hint = "The server does not take this request: check the location and the server's log."
        return StorageError(f"{what}: refused ({answer})", hint=hint)
    return _no_answer(kind, text, what)


def _is_denied(kind: str, answer: Answer) -> bool:
    denied = ("PermissionDeniedError", "UnauthenticatedError")
    return kind in denied or answer.status in (401, 403) or answer.code in _DENIED_CODES


def _no_answer(kind: str, text: str, what: str) -> StorageError:
    if _BAD_CERTIFICATE.search(text):
        hint = "Give the authority's certificate with --cacert."
        return StorageError(f"{what}: the server's TLS certificate cannot be trusted", hint=hint)
    if "InvalidMessage" in text:
        hint = "Write s3:http://… if the server speaks plain HTTP."
        return StorageError(f"{what}: the server does not speak TLS", hint=hint)
    if "HTTP error" not in text:
        # Something in obstore or its configuration; its class is all that is safe to show.
        return StorageError(
            f"{what}: the request could not be made ({kind})",
            hint="Check the credentials and the options of the store.",
        )
    for mark, reason, hint in _NO_ANSWER:
        if mark in text:
            return StorageUnavailable(f"{what}: {reason}", hint=hint)
    return StorageUnavailable(f"{what}: the connection broke", hint="Check the network, then run it again.")
