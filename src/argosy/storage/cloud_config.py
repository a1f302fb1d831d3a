"""What obstore is told about a store: addresses, credentials, time-outs. Pure: options in, plain values out.

obstore also reads the process's environment (AWS_*, GOOGLE_*, AZURE_*). Whatever decides where a request
goes and who signs it is therefore always given, so that a variable that happens to be set on a proxy
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from argosy.errors import StorageDenied, UsageError
from argosy.storage.amazon import amazon_endpoint, find_region, is_amazon
from argosy.storage.location import Location
from argosy.storage.options import StorageOptions

MIB = 1 << 20

CONNECT_SECONDS = 5
# A server that sends nothing for so long, not even the first byte of its answer, has gone away.
SILENCE_SECONDS = 60
# Bounds a read whose bytes only trickle; packs have at most 128 MiB.
READ_SECONDS = 3600
# The slowest line that is served, for all connections of a process together: 2 Mbit/s.
SLOWEST_BYTES_PER_SECOND = 256 * 1024

# Credentials that obstore finds by itself, beside the keys: a pod's or a container's role.
_AMAZON_ROLES = frozenset(
    {
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    }
)
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """The arguments of one of obstore's store classes; ``keys`` is S3's secret pair, apart from the rest."""

    config: dict[str, Any]
    client: dict[str, Any]
    keys: dict[str, str] | None = field(default=None, repr=False)


def write_seconds(size_bytes: int, connections: int) -> int:
    """The time-out of one PUT: enough for a slow line that all connections share.

    obstore's time-out covers the whole request, so it must grow with the size; the size is rounded up to a
    power of two, since each time-out costs a client with connections of its own.
    """
    rounded = max(MIB, 1 << max(0, size_bytes - 1).bit_length())
    return SILENCE_SECONDS + rounded * connections // SLOWEST_BYTES_PER_SECOND


def cloud_config(
    location: Location,
    options: StorageOptions,
    *,
    timeout_seconds: int,
    reading: bool,
    region_of: Callable[[str, str], str] = find_region,
) -> CloudConfig:
    """The arguments for a store of the location's kind; StorageDenied or UsageError if one is missing."""
    client = _client(options, location.endpoint, timeout_seconds, reading=reading)
    if location.scheme == "s3":
        return _s3(location, options, client, region_of)
    if location.scheme == "gs":
        return CloudConfig(_google(options, client), client)
    return CloudConfig(_azure(options, client), client)


def _client(options: StorageOptions, endpoint: str, timeout_seconds: int, *, reading: bool) -> dict[str, Any]:
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=timeout_seconds),
        "allow_http": endpoint.startswith("http://"),
        "allow_invalid_certificates": options.insecure_tls,
        "user_agent": "argosy",
    }
    if reading:
        # Not for writing: while a body is sent nothing is read, and this clock runs from the request's start.
        client["read_timeout"] = timedelta(seconds=SILENCE_SECONDS)
    if options.cacert_pem:
        if b"-----BEGIN CERTIFICATE-----" not in options.cacert_pem:
            raise UsageError("the file of --cacert holds no PEM certificate", hint="Give the authority's PEM file.")
        client["root_certificate"] = options.cacert_pem
    return client


def _s3(
    location: Location, options: StorageOptions, client: dict[str, Any], region_of: Callable[[str, str], str]
) -> CloudConfig:
    given = options.credentials
    amazon = is_amazon(location.endpoint)
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION")
    endpoint = location.endpoint
    if amazon:
        region = region or region_of(endpoint, location.bucket)
        endpoint = amazon_endpoint(endpoint, region)
    keys = None if options.anonymous else _amazon_keys(given)
    if not amazon and not keys and not options.anonymous and not _AMAZON_ROLES & given.keys():
        raise StorageDenied(
            f"there are no credentials for {location}",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    config: dict[str, Any] = {
        "aws_endpoint_url_s3": endpoint,  # before AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL of the environment
        "region": region or _DEFAULT_REGION,
        "virtual_hosted_style_request": False,  # path style works on every server, and with every bucket name
        "skip_signature": options.anonymous,
        "s3_express": False,
        # A delete is one object's; the bulk call is unknown to some servers.
        "disable_bulk_delete": True,
        # One SHA-256 of each body, and one only: in the signature, which every server verifies; at Amazon
        # in a checksum header, which buckets with Object Lock require.
        "unsigned_payload": amazon,
    }
    if amazon:
        config["checksum_algorithm"] = "SHA256"
    return CloudConfig(config, client, keys)


def _amazon_keys(given: Mapping[str, str]) -> dict[str, str] | None:
    access, secret = given.get("AWS_ACCESS_KEY_ID", ""), given.get("AWS_SECRET_ACCESS_KEY", "")
    if bool(access) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if access else "AWS_ACCESS_KEY_ID"
        raise StorageDenied(f"{missing} is not set", hint="An access key needs its identifier and its secret.")
    if not access:
        return None
    return {"access_key_id": access, "secret_access_key": secret, "token": given.get("AWS_SESSION_TOKEN", "")}


def _google(options: StorageOptions, client: dict[str, Any]) -> dict[str, Any]:
    given = options.credentials
    config: dict[str, Any] = {"skip_signature": options.anonymous}
    if endpoint := given.get("GOOGLE_BASE_URL"):
        config["base_url"] = endpoint
        client["allow_http"] = endpoint.startswith("http://")
    if options.anonymous:
        return config
    if token := given.get("GOOGLE_ACCESS_TOKEN"):
        config["bearer_token"] = token
    elif key := given.get("GOOGLE_SERVICE_ACCOUNT_KEY"):
        config["service_account_key"] = key
    elif path := given.get("GOOGLE_APPLICATION_CREDENTIALS"):
        config["application_credentials"] = path
    return config


def _azure(options: StorageOptions, client: dict[str, Any]) -> dict[str, Any]:
    given = options.credentials
    account = given.get("AZURE_ACCOUNT_NAME") or given.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not account:
        raise UsageError("the Azure storage account is not named", hint="Set AZURE_ACCOUNT_NAME.")
    suffix = given.get("AZURE_ENDPOINT_SUFFIX") or "core.windows.net"
    endpoint = given.get("AZURE_STORAGE_ENDPOINT") or f"https://{account}.blob.{suffix}"
    client["allow_http"] = endpoint.startswith("http://")
    config: dict[str, Any] = {
        "account_name": account,
        "endpoint": endpoint,
        "skip_signature": options.anonymous,
    }
    if options.anonymous:
        return config
    if key := given.get("AZURE_ACCOUNT_KEY") or given.get("AZURE_STORAGE_ACCOUNT_KEY"):
        config |= {"account_key": key, "credential_type": "access_key"}
    elif sas := given.get("AZURE_ACCOUNT_SAS") or given.get("AZURE_STORAGE_SAS_TOKEN"):
        config |= {"sas_key": sas.removeprefix("?"), "credential_type": "sas_token"}
    elif given.get("AZURE_CLIENT_SECRET"):
        config |= {
            "client_id": given.get("AZURE_CLIENT_ID", ""),
            "client_secret": given["AZURE_CLIENT_SECRET"],
            "tenant_id": given.get("AZURE_TENANT_ID", ""),
            "credential_type": "client_secret",
        }
    elif given.get("AZURE_FORCE_CLI_CREDENTIAL"):
        config |= {"use_azure_cli": True, "credential_type": "azure_cli"}
    return config
