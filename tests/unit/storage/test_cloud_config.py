"""What obstore is told, for each kind of store and each way to prove who one is."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from argosy.errors import StorageDenied, UsageError
from argosy.storage.cloud_config import MIB, CloudConfig, cloud_config, write_seconds
from argosy.storage.location import parse_location
from argosy.storage.options import StorageOptions

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hunter2"}
PEM = b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


def configured(location: str, credentials: dict[str, str] | None = None, **options: object) -> CloudConfig:
    chosen = msgspec.convert({"credentials": credentials or {}, **options}, StorageOptions)
    return cloud_config(
        parse_location(location),
        chosen,
        timeout_seconds=90,
        reading=False,
        region_of=lambda endpoint, bucket: f"region of {endpoint or 'amazon'}/{bucket}",
    )


def test_a_server_of_ones_own() -> None:
    config = configured("s3:http://host:9000/bucket/pre", KEYS)
    assert config.config["aws_endpoint_url_s3"] == "http://host:9000"
    assert config.config["region"] == "us-east-1"
    assert not config.config["unsigned_payload"]
    assert config.client["allow_http"]
    assert config.keys == {"access_key_id": "AKIA", "secret_access_key": "hunter2", "token": ""}


def test_plain_http_is_refused_unless_it_is_written() -> None:
    assert not configured("s3:host:9000/bucket", KEYS).client["allow_http"]


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_amazon_with_a_region(name: str) -> None:
    config = configured("s3://bucket/pre", {**KEYS, name: "eu-north-1"})
    assert config.config["aws_endpoint_url_s3"] == "https://s3.eu-north-1.amazonaws.com"
    assert config.config["region"] == "eu-north-1"


def test_amazon_without_a_region_is_asked() -> None:
    config = configured("s3:s3.amazonaws.com/bucket", KEYS)
    assert config.config["region"] == "region of https://s3.amazonaws.com/bucket"


def test_a_body_is_hashed_once_and_verified_by_the_server() -> None:
    amazon = configured("s3://bucket", KEYS).config
    own = configured("s3:host/bucket", KEYS).config
    assert (amazon["unsigned_payload"], amazon["checksum_algorithm"]) == (True, "SHA256")
    assert (own["unsigned_payload"], "checksum_algorithm" in own) == (False, False)


def test_a_session_token_goes_with_its_keys() -> None:
    keys = configured("s3://bucket", {**KEYS, "AWS_SESSION_TOKEN": "session"}).keys
    assert keys is not None
    assert keys["token"] == "session"


def test_amazon_without_keys_uses_its_own_chain() -> None:
    config = configured("s3://bucket")
    assert config.keys is None
    assert not config.config["skip_signature"]


def test_a_server_of_ones_own_without_keys_is_refused() -> None:
    """obstore would ask the cloud's metadata address for them, and time out."""
    with pytest.raises(StorageDenied, match="no credentials") as caught:
        configured("s3:http://host:9000/bucket")
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_a_role_of_a_pod_is_credentials_enough() -> None:
    assert configured("s3:host/bucket", {"AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token"}).keys is None


@pytest.mark.parametrize("missing", KEYS)
def test_half_a_key_is_refused(missing: str) -> None:
    with pytest.raises(StorageDenied, match=missing):
        configured("s3://bucket", {name: value for name, value in KEYS.items() if name != missing})


def test_anonymous_requests_are_not_signed() -> None:
    for location in ("s3:host/bucket", "gs:bucket:/", "azure:container:/"):
        config = configured(location, {**KEYS, "AZURE_ACCOUNT_NAME": "account"}, anonymous=True)
        assert config.config["skip_signature"]
        assert config.keys is None


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ({"GOOGLE_ACCESS_TOKEN": "hunter2"}, {"bearer_token": "hunter2"}),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}, {"service_account_key": "{}"}),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/key.json"}, {"application_credentials": "/key.json"}),
        ({}, {}),
    ],
)
def test_google(credentials: dict[str, str], expected: dict[str, str]) -> None:
    assert configured("gs:bucket:/pre", credentials).config == {"skip_signature": False, **expected}


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ({"AZURE_ACCOUNT_KEY": "hunter2"}, {"account_key": "hunter2", "credential_type": "access_key"}),
        ({"AZURE_ACCOUNT_SAS": "?sig=hunter2"}, {"sas_key": "sig=hunter2", "credential_type": "sas_token"}),
        ({"AZURE_FORCE_CLI_CREDENTIAL": "1"}, {"use_azure_cli": True, "credential_type": "azure_cli"}),
        (
            {"AZURE_CLIENT_ID": "id", "AZURE_CLIENT_SECRET": "hunter2", "AZURE_TENANT_ID": "tenant"},
            {
                "client_id": "id",
                "client_secret": "hunter2",
                "tenant_id": "tenant",
                "credential_type": "client_secret",
            },
        ),
        ({}, {}),
    ],
)
def test_azure(credentials: dict[str, str], expected: dict[str, object]) -> None:
    config = configured("azure:container:/pre", {"AZURE_ACCOUNT_NAME": "account", **credentials}).config
    address = {"account_name": "account", "endpoint": "https://account.blob.core.windows.net"}
    assert config == {"skip_signature": False, **address, **expected}


def test_azure_in_another_cloud() -> None:
    variables = {"AZURE_ACCOUNT_NAME": "account", "AZURE_ENDPOINT_SUFFIX": "core.chinacloudapi.cn"}
    config = configured("azure:container:/", variables)
    assert config.config["endpoint"] == "https://account.blob.core.chinacloudapi.cn"


def test_azure_needs_an_account() -> None:
    with pytest.raises(UsageError) as caught:
        configured("azure:container:/")
    assert "AZURE_ACCOUNT_NAME" in caught.value.hint


def test_a_private_authority() -> None:
    assert configured("s3:host/bucket", KEYS, cacert_pem=PEM).client["root_certificate"] == PEM
    with pytest.raises(UsageError, match="no PEM certificate"):
        configured("s3:host/bucket", KEYS, cacert_pem=b"a path?")


def test_certificates_are_checked_unless_told_otherwise() -> None:
    assert not configured("s3:host/bucket", KEYS).client["allow_invalid_certificates"]
    assert configured("s3:host/bucket", KEYS, insecure_tls=True).client["allow_invalid_certificates"]


def test_a_write_has_the_time_that_a_slow_line_takes() -> None:
    """Two Mbit/s, shared by all connections."""
    assert write_seconds(16 * MIB, connections=5) >= 16 * MIB * 5 / 250_000
    assert write_seconds(100, connections=1) < 120
    assert write_seconds(9 * MIB, 5) == write_seconds(16 * MIB, 5)
    times = [write_seconds(1 << bits, 5) for bits in range(33)]
    assert times == sorted(times)


def test_only_reads_are_cut_for_silence() -> None:
    location = parse_location("s3:host/bucket")
    options = StorageOptions(credentials=KEYS)
    reading = cloud_config(location, options, timeout_seconds=3600, reading=True).client
    writing = cloud_config(location, options, timeout_seconds=90, reading=False).client
    assert reading["read_timeout"] < reading["timeout"] == timedelta(seconds=3600)
    assert "read_timeout" not in writing


def test_options_print_no_secret_and_travel() -> None:
    options = StorageOptions(credentials=KEYS, cacert_pem=PEM, connections=7)
    assert "hunter2" not in repr(options)
    assert "hunter2" not in repr(configured("s3:host/bucket", KEYS))
    packed = msgspec.msgpack.encode(options)
    assert msgspec.msgpack.decode(packed, type=StorageOptions) == options
