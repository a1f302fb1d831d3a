"""Locations as users write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.errors import UsageError
from argosy.storage.location import Location, parse_location


@pytest.mark.parametrize(
    ("text", "endpoint", "bucket", "prefix"),
    [
        # restic's forms (its internal/backend/s3/config_test.go)
        ("s3:s3.amazonaws.com/bucket", "https://s3.amazonaws.com", "bucket", ""),
        ("s3:s3.amazonaws.com/bucket/", "https://s3.amazonaws.com", "bucket", ""),
        ("s3:host/bucket/prefix/directory", "https://host", "bucket", "prefix/directory"),
        ("s3:host:9000/bucket/prefix/", "https://host:9000", "bucket", "prefix"),
        ("s3:https://hostname:9999/foobar", "https://hostname:9999", "foobar", ""),
        ("s3:http://hostname:9999/foobar/a/b/", "http://hostname:9999", "foobar", "a/b"),
        ("s3://s3.eu-west-1.amazonaws.com/bucket/p", "https://s3.eu-west-1.amazonaws.com", "bucket", "p"),
        ("s3://127.0.0.1:9000/bucket", "https://127.0.0.1:9000", "bucket", ""),
        ("s3://localhost/bucket/p", "https://localhost", "bucket", "p"),
        # the clouds' own form
        ("s3://bucket", "", "bucket", ""),
        ("s3://bucket/some//prefix/./here/", "", "bucket", "some/prefix/here"),
    ],
)
def test_s3(text: str, endpoint: str, bucket: str, prefix: str) -> None:
    assert parse_location(text) == Location("s3", endpoint=endpoint, bucket=bucket, prefix=prefix)


@pytest.mark.parametrize(
    ("text", "scheme", "bucket", "prefix"),
    [
        ("gs:bucket:/", "gs", "bucket", ""),
        ("gs:bucket:/prefix/directory", "gs", "bucket", "prefix/directory"),
        ("gs://bucket/prefix", "gs", "bucket", "prefix"),
        ("azure:container:/", "azure", "container", ""),
        ("azure:container:/prefix/", "azure", "container", "prefix"),
        ("az://container/prefix", "azure", "container", "prefix"),
        ("azure://container", "azure", "container", ""),
    ],
)
def test_google_and_azure(text: str, scheme: str, bucket: str, prefix: str) -> None:
    location = parse_location(text)
    assert (location.scheme, location.bucket, location.prefix) == (scheme, bucket, prefix)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/srv/repo", "/srv/repo"),
        ("/srv/with:colon", "/srv/with:colon"),
        ("local:/srv/repo/", "/srv/repo"),
        ("local:s3:odd", f"{Path.cwd()}/s3:odd"),
        ("./with:colon", f"{Path.cwd()}/with:colon"),
        ("relative/path", f"{Path.cwd()}/relative/path"),
    ],
)
def test_a_path_is_made_absolute(text: str, path: str) -> None:
    assert parse_location(text) == Location("local", path=path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local:",
        "s3:",
        "s3:host",
        "s3://",
        "s3:/bucket",
        "s3:http://host",
        "gs:",
        "gs:/prefix",
        "azure::/x",
    ],
)
def test_a_location_without_its_parts_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_location(text)
    assert caught.value.hint


@pytest.mark.parametrize("scheme", ["sftp", "rest", "rclone", "b2", "swift", "ftp", "C"])
def test_an_unknown_scheme_is_named_and_nothing_behind_it(scheme: str) -> None:
    """What follows may be a password."""
    with pytest.raises(UsageError, match=f"{scheme}:") as caught:
        parse_location(f"{scheme}:https://user:hunter2@host/path")
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("text", ["s3:https://key:hunter2@host/bucket", "s3:key:hunter2@host/bucket"])
def test_credentials_in_a_location_are_refused(text: str) -> None:
    """They would end in every message and process list."""
    with pytest.raises(UsageError) as caught:
        parse_location(text)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_bucket_that_looks_like_a_server_is_asked_about() -> None:
    with pytest.raises(UsageError, match="server or as a bucket") as caught:
        parse_location("s3://minio.example.com/bucket")
    assert "s3:minio.example.com/" in caught.value.hint


def test_a_prefix_does_not_step_upwards() -> None:
    with pytest.raises(UsageError, match="upwards"):
        parse_location("s3://bucket/a/../b")


@pytest.mark.parametrize(
    "text",
    [
        "/srv/repo",
        "s3:http://host:9000/bucket/a/b",
        "s3:host/bucket",
        "s3:s3.amazonaws.com/bucket/prefix",
        "gs:bucket:/prefix",
        "azure:container:/prefix",
    ],
)
def test_a_location_prints_in_restics_form(text: str) -> None:
    assert str(parse_location(text)) == text


def test_any_path_can_be_printed() -> None:
    """Names of directories are bytes; a message must not fail on them."""
    printed = str(parse_location(os.fsdecode(b"/srv/\xff\xfe")))
    assert printed == "/srv/\\xff\\xfe"
    printed.encode("utf-8")
