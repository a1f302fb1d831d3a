"""From flags and environment to the options of the store."""

from __future__ import annotations

from argosy.cli.globals import Given
from argosy.errors import UsageError
from argosy.storage.location import parse_location
from argosy.storage.options import DEFAULT_CONNECTIONS, StorageOptions

_EXTENDED = "s3.region, s3.connections, gs.connections, azure.connections, s3.unsafe-anonymous-auth"


def storage_options(given: Given, location: str) -> StorageOptions:
    """The options for the store at ``location``; UsageError names what is wrong."""
    scheme = parse_location(location).scheme
    credentials = given.variables.credentials(scheme)
    connections, anonymous = DEFAULT_CONNECTIONS, False
    for key, value in _extended_options(given):
        if key == "s3.region":
            credentials["AWS_REGION"] = value
        elif key == "s3.unsafe-anonymous-auth":
            anonymous = value.lower() in ("true", "1", "yes")
        elif key in ("s3.connections", "gs.connections", "azure.connections"):
            connections = _positive(key, value) if key.startswith(scheme) else connections
        else:
            raise UsageError(f"the extended option {key} is not known", hint=f"Known are {_EXTENDED}.")
    return StorageOptions(
        credentials=credentials,
        anonymous=anonymous,
        cacert_pem=_certificates(given.text("cacert", "CACERT")),
        insecure_tls=given.yes("insecure_tls"),
        limit_upload_bytes_per_second=given.flags.get("limit_upload", 0),
        limit_download_bytes_per_second=given.flags.get("limit_download", 0),
        connections=connections,
    )


def _extended_options(given: Given) -> list[tuple[str, str]]:
    pairs = []
    for text in given.flags.get("option", ()):
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"-o {text}: there is no value", hint="Write -o KEY=VALUE.")
        pairs.append((key.strip(), value.strip()))
    return pairs


def _positive(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) >= 1):
        raise UsageError(f"-o {key}={value}: the value is no number from 1 on", hint=f"Write -o {key}=10.")
    return int(value)


def _certificates(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UsageError(
            f"the certificates in {path} cannot be read: {error.strerror}", hint="Check the path after --cacert."
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise UsageError(f"{path} holds no certificate in PEM form", hint="--cacert takes a file of PEM certificates.")
    return data
