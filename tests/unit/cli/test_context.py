"""From flags and environment to an Access."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from argosy.cli.context import Context
from argosy.cli.globals import Given
from argosy.cli.source_repository import source_context
from argosy.cli.variables import Variables
from argosy.errors import UsageError

SECRETS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AZURE_ACCOUNT_KEY": "other"}


def context(flags: dict[str, Any] | None = None, **environment: str) -> Context:
    return Context(Given(flags or {}, Variables({"HOME": "/home/u", **environment})))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----")
    return path


def test_the_repository_comes_from_a_flag_a_file_or_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "location"
    file.write_text("s3:host/bucket\n")
    assert context({"repo": "/r"}).location == "/r"
    assert context({"repository_file": str(file)}).location == "s3:host/bucket"
    assert context(RESTIC_REPOSITORY="/v").location == "/v"


def test_without_a_repository_it_says_how_to_name_one() -> None:
    with pytest.raises(UsageError, match="no repository") as caught:
        _ = context().location
    assert "-r" in caught.value.hint


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_repository_file_that_says_nothing_is_named(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "location"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match="location"):
        _ = context({"repository_file": str(file)}).location


def test_a_store_gets_the_secrets_of_its_own_cloud_only() -> None:
    s3 = context({"repo": "s3:host/bucket"}, **SECRETS).access.storage_options
    assert s3.credentials == {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert context({"repo": "/r"}, **SECRETS).access.storage_options.credentials == {}


def test_the_flags_reach_the_access(certificate: Path) -> None:
    flags = {
        "repo": "s3:host/bucket",
        "key_hint": "ab",
        "no_lock": True,
        "retry_lock": 300.0,
        "limit_upload": 1024,
        "limit_download": 2048,
        "insecure_tls": True,
        "cacert": str(certificate),
        "option": ("s3.region=eu", "s3.connections=7", "gs.connections=9"),
        "cache_dir": "/cache",
        "state_dir": "/state",
    }
    made = context(flags)
    access = made.access
    assert (access.key_hint, access.no_lock, access.retry_lock_seconds) == ("ab", True, 300.0)
    options = access.storage_options
    assert (options.limit_upload_bytes_per_second, options.limit_download_bytes_per_second) == (1024, 2048)
    assert options.insecure_tls
    assert options.cacert_pem == certificate.read_bytes()
    assert options.credentials == {"AWS_REGION": "eu"}
    assert options.connections == 7
    assert (access.cache_directory, made.state_directory) == (Path("/cache"), Path("/state"))


def test_no_cache_leaves_none() -> None:
    with closing(context({"no_cache": True})) as made:
        directory = made.cache_directory
        assert directory.is_dir()
    assert not directory.exists()


@pytest.mark.parametrize(
    "option", ["s3.storage-class=X", "s3.connections=0", "s3.connections=x", "nothing", "rclone.x=1"]
)
def test_an_extended_option_that_is_not_understood_is_refused(option: str) -> None:
    """Silently ignored it would promise what does not happen."""
    with pytest.raises(UsageError, match=option.partition("=")[0]):
        _ = context({"repo": "s3:host/bucket", "option": (option,)}).storage_options


def test_a_certificate_file_that_holds_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    for path in (tmp_path / "key.pem", tmp_path / "missing"):
        with pytest.raises(UsageError, match=path.name):
            _ = context({"repo": "s3:host/bucket", "cacert": str(path)}).storage_options


def test_a_source_is_another_repository_with_the_same_caches_and_limits() -> None:
    flags = {"repo": "/target", "password_file": "/p", "key_hint": "ab", "limit_download": 2048, "cache_dir": "/cache"}
    ours = context(flags, RESTIC_FROM_KEY_HINT="cd", ARGOSY_KEY_HINT="ab", ARGOSY_PASSWORD="target's")
    given = {f"from_{name}": None for name in ("repository_file", "password_file", "password_command", "key_hint")}
    access = source_context(ours, {**given, "from_repo": "/source", "from_insecure_no_password": True}).access
    assert (access.location, access.key_hint, access.password()) == ("/source", "cd", b"")
    assert access.cache_directory == ours.access.cache_directory
    assert access.storage_options.limit_download_bytes_per_second == 2048


def test_a_source_must_be_named() -> None:
    nothing = dict.fromkeys(("from_repo", "from_repository_file"))
    with pytest.raises(UsageError, match="no source repository"):
        source_context(context({"repo": "/target"}, ARGOSY_REPOSITORY="/target"), nothing)


def test_the_bound_of_a_cache_is_a_flag_or_a_variable() -> None:
    assert context({"repo": "/r"}).access.cache_limit_bytes == 8 << 30
    assert context({"repo": "/r", "cache_limit": 5}).access.cache_limit_bytes == 5
    assert context({"repo": "/r"}, ARGOSY_CACHE_LIMIT="100").access.cache_limit_bytes == 100 << 20
