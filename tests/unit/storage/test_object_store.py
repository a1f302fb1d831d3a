"""The object store against a server that fails as told: what is repeated, what is believed, what is shown."""

from __future__ import annotations

import hashlib
import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

import pytest

from argosy.errors import (
    ArgosyError,
    StorageDenied,
    StorageError,
    StorageExists,
    StorageNotFound,
    StorageUnavailable,
)
from argosy.storage.interface import Storage
from argosy.storage.open import StorageOptions, open_storage
from tests.support.certificates import server_certificate
from tests.support.servers import OBJECT_HEADERS, SECRET_KEY, Reply, Request, S3Server, rclone, scripted_server

PREFIX = "/argosy-tests/pre/"


def opened(server: S3Server, **options: int) -> Storage:
    return open_storage(server.location("pre"), StorageOptions(credentials=server.credentials, **options))  # type: ignore[arg-type] # only numbers are given


class Bucket:
    """A small S3: objects in a dict. ``before`` may answer in its place, and may change it."""

    def __init__(self, before: Callable[[Request], Reply | None] = lambda _: None) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self._before = before

    def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        name = unquote(request.path).removeprefix(PREFIX)
        if reply := self._before(request):
            return reply
        if request.method == "PUT":
            if request.headers.get("if-none-match") and name in self.objects:
                return Reply(412)
            self.objects[name] = request.body
            return Reply(headers=OBJECT_HEADERS)
        if name not in self.objects:
            return Reply(404)
        return Reply(200, self.objects[name], OBJECT_HEADERS)

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.requests)


def first_time(method: str, reply: Reply) -> Callable[[Request], Reply | None]:
    """The first request of this method gets the reply."""
    left = [reply]
    return lambda request: left.pop() if left and request.method == method else None


@pytest.mark.parametrize("status", [500, 503, 429, 0], ids=["error", "busy", "slow down", "cut"])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_passing_failure_is_repeated(method: str, status: int) -> None:
    bucket = Bucket(first_time(method, Reply(status)))
    with scripted_server(bucket) as server:
        storage = opened(server)
        storage.put("data/ab/x", b"payload")
        assert storage.get("data/ab/x") == b"payload"
    assert bucket.objects == {"data/ab/x": b"payload"}
    assert bucket.count(method) == 2


def test_a_refusal_is_not_repeated() -> None:
    bucket = Bucket(lambda _: Reply(403))
    with scripted_server(bucket) as server, pytest.raises(StorageDenied):
        opened(server).get("config")
    assert len(bucket.requests) == 1


def test_a_body_is_hashed_for_the_server_to_verify() -> None:
    bucket = Bucket()
    with scripted_server(bucket) as server:
        opened(server).put("data/ab/x", b"payload")
    assert bucket.requests[0].headers["x-amz-content-sha256"] == hashlib.sha256(b"payload").hexdigest()


def test_a_body_cut_short_is_read_again() -> None:
    bucket = Bucket(first_time("GET", Reply(200, b"pay", {**OBJECT_HEADERS, "Connection": "close"})))
    bucket.objects["config"] = b"payload"

    def cut(request: Request) -> Reply:
        reply = bucket(request)
        return Reply(200, reply.body, {**reply.headers, "Content-Length": "7"})

    with scripted_server(cut) as server:
        assert opened(server).get("config") == b"payload"


def test_a_create_whose_answer_was_lost_is_a_success() -> None:
    """The first attempt arrived; the second is refused, but what is there is ours."""

    def store_and_cut(request: Request) -> Reply | None:
        if request.method == "PUT" and "locks/one" not in bucket.objects:
            bucket.objects["locks/one"] = request.body
            return Reply(0)
        return None

    bucket = Bucket(store_and_cut)
    with scripted_server(bucket) as server:
        opened(server).put("locks/one", b"mine", create=True)
    assert bucket.count("PUT") == 2


def test_a_create_that_another_won_meanwhile_is_refused() -> None:
    def other_and_cut(request: Request) -> Reply | None:
        if request.method == "PUT" and "locks/one" not in bucket.objects:
            bucket.objects["locks/one"] = b"another's, of the same size"[: len(request.body)]
            return Reply(0)
        return None

    bucket = Bucket(other_and_cut)
    with scripted_server(bucket) as server, pytest.raises(StorageExists):
        opened(server).put("locks/one", b"mine", create=True)


def test_a_conflict_with_nothing_is_tried_again() -> None:
    """S3 answers 409 to one of two uploads under way, though none may succeed (arrow-rs-object-store #852)."""
    bucket = Bucket(first_time("PUT", Reply(409)))
    with scripted_server(bucket) as server:
        opened(server).put("index/one", b"payload", create=True)
    assert bucket.objects == {"index/one": b"payload"}


def test_a_server_that_always_claims_a_conflict_is_given_up() -> None:
    bucket = Bucket(lambda request: Reply(409) if request.method == "PUT" else None)
    with scripted_server(bucket) as server, pytest.raises(StorageUnavailable, match="index/one"):
        opened(server).put("index/one", b"payload", create=True)


def test_a_server_without_conditions_is_written_without() -> None:
    """And what is there is still left alone, since it is looked for first."""
    bucket = Bucket(lambda request: Reply(501) if request.headers.get("if-none-match") else None)
    with scripted_server(bucket) as server:
        storage = opened(server)
        storage.put("index/one", b"payload", create=True)
        storage.put("index/two", b"payload", create=True)
        with pytest.raises(StorageExists):
            storage.put("index/one", b"other", create=True)
    assert bucket.objects == {"index/one": b"payload", "index/two": b"payload"}
    assert sum("if-none-match" in request.headers for request in bucket.requests) == 1


def test_a_server_without_ranges_is_asked_once() -> None:
    bucket = Bucket()
    bucket.objects["data/ab/x"] = bytes(range(100))
    with scripted_server(bucket) as server:
        storage = opened(server)
        for offset in (3, 7, 90):
            assert storage.get_range("data/ab/x", offset, 5) == bytes(range(offset, offset + 5))
    assert sum("range" in request.headers for request in bucket.requests) == 1


def test_a_listing_goes_on_where_it_failed() -> None:
    """Each object once, although the second page failed twice."""
    expected = [f"data/ab/{number}" for number in range(6)]
    failures = [Reply(500), Reply(0)]

    def page(request: Request) -> Reply:
        if "continuation-token" in request.path or "start-after" in request.path:
            if failures:
                return failures.pop()
            return Reply(body=listing(expected[3:], more=False))
        return Reply(body=listing(expected[:3], more=True))

    with scripted_server(page) as server:
        assert [info.name for info in opened(server).list("data/")] == expected
    assert not failures


def listing(names: list[str], *, more: bool) -> bytes:
    objects = "".join(
        f"<Contents><Key>pre/{escape(name)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>e</ETag><Size>1</Size></Contents>"
        for name in names
    )
    token = "<NextContinuationToken>more</NextContinuationToken>" if more else ""
    return (
        f"<ListBucketResult><Name>argosy-tests</Name><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"{objects}{token}</ListBucketResult>"
    ).encode()


def test_a_listing_that_stays_broken_is_an_error() -> None:
    def page(request: Request) -> Reply:
        if "continuation-token" in request.path or "start-after" in request.path:
            return Reply(403)
        return Reply(body=listing(["data/ab/1"], more=True))

    with scripted_server(page) as server, pytest.raises(StorageDenied):
        list(opened(server).list("data/"))


def test_requests_under_way_are_bounded() -> None:
    arrived, gate = threading.Semaphore(0), threading.Event()

    def hold(_: Request) -> None:
        arrived.release()
        gate.wait()

    bucket = Bucket(hold)
    with scripted_server(bucket) as server, ThreadPoolExecutor(6) as pool:
        storage = opened(server, connections=2)
        puts = [pool.submit(storage.put, f"data/ab/{number}", b"x") for number in range(6)]
        assert arrived.acquire()
        assert arrived.acquire()
        assert not arrived.acquire(timeout=0.1)
        gate.set()
        for put in puts:
            put.result()
    assert len(bucket.objects) == 6


def test_a_refused_connection_is_told_soon() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening
        storage = open_storage(
            f"s3:http://127.0.0.1:{unused.getsockname()[1]}/bucket", StorageOptions(anonymous=True, retry_seconds=1)
        )
        for call in (
            lambda: storage.get("config"),
            lambda: storage.put("config", b"x"),
            lambda: list(storage.list("")),
        ):
            with pytest.raises(StorageUnavailable, match="refused") as caught:
                call()
            assert "port" in caught.value.hint


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy has the master's credentials in memory; its own variables may name others."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_REGION": "other",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_S3_EXPRESS": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_UNSIGNED_PAYLOAD": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket()
    with scripted_server(bucket) as server:
        opened(server).put("config", b"x")
        request = bucket.requests[0]
    assert request.path == f"{PREFIX}config"
    assert f"{server.access_key}/" in request.headers["authorization"]
    assert "/us-east-1/" in request.headers["authorization"]
    assert "x-amz-security-token" not in request.headers


def test_google_takes_the_same_objects() -> None:
    bucket = Bucket()
    with scripted_server(bucket) as server:
        variables = {"GOOGLE_BASE_URL": server.endpoint, "GOOGLE_ACCESS_TOKEN": "token"}
        options = StorageOptions(credentials=variables)
        storage = open_storage(f"gs:{server.bucket}:/pre", options)
        storage.put("config", b"first", create=True)
        with pytest.raises(StorageExists):
            storage.put("config", b"second", create=True)
        storage.put("data/ab/x", b"payload")
        assert storage.get("data/ab/x") == b"payload"
        assert storage.size("config") == 5
        storage.delete("data/ab/none")
    assert bucket.objects == {"config": b"first", "data/ab/x": b"payload"}


def shown(error: BaseException) -> str:
    """All that a crash report would show."""
    return "".join(traceback.format_exception(error)) + getattr(error, "hint", "")


@pytest.mark.parametrize("status", [403, 400, 404, 301])
def test_no_error_shows_a_secret(status: int) -> None:
    """A shared access signature stands in the URL, which the library writes into its errors."""
    sas = "sv=2022&sig=hunter2"
    with scripted_server(lambda _: Reply(status)) as server:
        variables = {
            "AZURE_ACCOUNT_NAME": "account",
            "AZURE_ACCOUNT_SAS": sas,
            "AZURE_STORAGE_ENDPOINT": server.endpoint,
        }
        azure = open_storage("azure:container:/pre", StorageOptions(credentials=variables))
        amazon = opened(server)
        for storage in (azure, amazon):
            for call in (storage.get, storage.size, lambda name, s=storage: s.put(name, b"x")):
                with pytest.raises(ArgosyError) as caught:
                    call("config")
                assert "hunter2" not in shown(caught.value)
                assert SECRET_KEY not in shown(caught.value)
                assert "config" in caught.value.message


def test_deleting_in_a_missing_bucket_is_an_error() -> None:
    """A missing object is fine; a mistyped location is not."""
    body = b"<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>"
    with scripted_server(lambda _: Reply(404, body)) as server:
        with pytest.raises(StorageNotFound, match="no bucket argosy-tests") as caught:
            opened(server).delete("locks/one")
        assert "Create it" in caught.value.hint


@pytest.mark.server
def test_a_certificate_is_trusted_through_its_authority_only(tmp_path: Path) -> None:
    pem, key, authority = server_certificate(tmp_path)
    with rclone(tmp_path / "served", certificate=(pem, key)) as server:
        credentials = server.credentials
        location = server.location("pre")
        with pytest.raises(StorageError, match="certificate") as caught:
            open_storage(location, StorageOptions(credentials=credentials)).put("config", b"x")
        assert not isinstance(caught.value, StorageUnavailable)
        assert "--cacert" in caught.value.hint
        trusting = open_storage(location, StorageOptions(credentials=credentials, cacert_pem=authority))
        trusting.put("config", b"x")
        careless = open_storage(location, StorageOptions(credentials=credentials, insecure_tls=True))
        assert careless.get("config") == b"x"


def test_plain_http_where_tls_is_meant_is_told() -> None:
    with scripted_server(lambda _: Reply(200)) as server:
        location = server.location("pre").replace("http://", "https://")
        with pytest.raises(StorageError, match="TLS") as caught:
            open_storage(location, server.options).get("config")
    assert "s3:http://" in caught.value.hint
