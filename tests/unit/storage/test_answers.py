"""The texts of obstore 0.12, as real servers cause them, and what becomes of them."""

from __future__ import annotations

import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from argosy.errors import (
    ArgosyError,
    Damaged,
    StorageDenied,
    StorageError,
    StorageExists,
    StorageFull,
    StorageNotFound,
    StorageUnavailable,
)
from argosy.storage.answers import read_answer, translate

URL = "http://127.0.0.1:9000/bucket/pre/data/ab/x?sig=hunter2"
SERVER_SAID = "Error performing GET {url} in 5ms - Server returned non-2xx status code: {status}: {body}"
NO_ANSWER = "Generic S3 error: Error performing GET {url} in 5ms - HTTP error: {said}\n\nDebug source: {dump}"


def xml(code: str, message: str = "In the server's words") -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message><Resource>/x</Resource></Error>"


def said(status: str, body: str = "") -> str:
    return SERVER_SAID.format(url=URL, status=status, body=body)


def unanswered(dump: str, words: str = "error sending request") -> str:
    return NO_ANSWER.format(url=URL, said=words, dump=dump)


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (FileNotFoundError(said("404 Not Found", xml("NoSuchKey"))), StorageNotFound, "data/ab/x does not exist"),
        (FileNotFoundError(said("404 Not Found", xml("NoSuchBucket"))), StorageNotFound, "no bucket bucket"),
        (GenericError(said("404 Not Found", xml("NoSuchBucket"))), StorageNotFound, "no bucket bucket"),
        (AlreadyExistsError(said("412 Precondition Failed")), StorageExists, "exists already"),
        (PermissionDeniedError(said("403 Forbidden", xml("SignatureDoesNotMatch"))), StorageDenied, "words"),
        (UnauthenticatedError(said("401 Unauthorized")), StorageDenied, "401"),
        (GenericError(said("403 Forbidden", xml("AccessDenied"))), StorageDenied, "AccessDenied"),
        (GenericError(said("400 Bad Request", xml("ExpiredToken"))), StorageDenied, "ExpiredToken"),
        (PermissionDeniedError(said("403 Forbidden", xml("RequestTimeTooSkewed"))), StorageDenied, "Skewed"),
        (GenericError(said("507 Insufficient Storage", xml("XMinioStorageFull"))), StorageFull, "full"),
        (GenericError(said("400 Bad Request", xml("QuotaExceeded"))), StorageFull, "full"),
        (PermissionDeniedError(said("403 Forbidden", xml("QuotaExceeded"))), StorageFull, "full"),
        (GenericError(said("416 Range Not Satisfiable", xml("InvalidRange"))), Damaged, "shorter"),
        (GenericError("Wanted range starting at 10 … source: InvalidRangeRequest {"), Damaged, "shorter"),
        (GenericError(said("503 Service Unavailable", xml("SlowDown"))), StorageUnavailable, "SlowDown"),
        (GenericError(said("500 Internal Server Error")), StorageUnavailable, "500"),
        (GenericError(said("429 Too Many Requests")), StorageUnavailable, "429"),
        (GenericError(said("400 Bad Request", xml("RequestTimeout"))), StorageUnavailable, "RequestTimeout"),
        (GenericError(said("301 Moved", xml("PermanentRedirect"))), StorageError, "region"),
        (GenericError("Generic S3 error: Received redirect without LOCATION"), StorageError, "region"),
        (GenericError(said("400 Bad", xml("AuthorizationHeaderMalformed"))), StorageError, "region"),
        (GenericError(said("400 Bad Request", xml("InvalidArgument"))), StorageError, "InvalidArgument"),
        (GenericError(unanswered('ConnectError("dns error")')), StorageUnavailable, "cannot be resolved"),
        (GenericError(unanswered("kind: Connect, ConnectionRefused")), StorageUnavailable, "refused"),
        (GenericError(unanswered("kind: Timeout, source: TimedOut")), StorageUnavailable, "no answer in time"),
        (GenericError(unanswered("kind: Connect, other")), StorageUnavailable, "cannot be reached"),
        (GenericError(unanswered("InvalidMessage(InvalidContentType)")), StorageError, "TLS"),
        (GenericError(unanswered("IncompleteBody", "request or response body error")), StorageUnavailable, "broke"),
        (GenericError(unanswered("InvalidCertificate(UnknownIssuer)")), StorageError, "certificate"),
        (GenericError(f"Generic S3 error: something new about {URL}"), StorageError, "GenericError"),
        (ValueError(f"odd {URL}"), StorageError, "ValueError"),
    ],
)
def test_a_failure_becomes_the_error_that_tells_what_to_do(
    error: BaseError | OSError | ValueError, expected: type[ArgosyError], words: str
) -> None:
    translated = translate(error, store="s3:host/bucket/pre", bucket="bucket", name="data/ab/x")
    assert type(translated) is expected
    assert words in translated.message
    assert "s3:host/bucket/pre" in translated.message
    assert translated.hint
    assert "hunter2" not in translated.message + translated.hint


def test_a_listing_is_named_by_its_store() -> None:
    translated = translate(GenericError(said("500 X")), store="s3:host/bucket", bucket="bucket", name="")
    assert translated.message.startswith("s3:host/bucket: ")


def test_the_server_cannot_fill_the_screen() -> None:
    answer = read_answer(said("400 Bad Request", xml("Code", "long " * 1_000)))
    assert len(str(answer)) < 300
