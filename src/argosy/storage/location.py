"""The text after ``-r``, as restic writes it and as the clouds' own tools write it, taken apart.

=============================  ==========================================================
``/path``, ``local:path``      a directory
``s3:host/bucket/prefix``      S3 at an endpoint, https (restic's form)
``s3:http://host:9000/b/p``    the same, with the scheme spelled out
``s3://bucket/prefix``         S3 at Amazon, unless the first part can only be a host
``gs:bucket:/prefix``          Google Cloud Storage, also ``gs://bucket/prefix``
``azure:container:/prefix``    Azure Blob Storage, also ``az://container/prefix``
=============================  ==========================================================
"""

from __future__ import annotations

import os
import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from argosy.errors import UsageError

Scheme = Literal["local", "s3", "gs", "azure"]

AMAZON_HOST = re.compile(r"(?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?")
_HOST_ONLY = re.compile(r"localhost|.*:\d+|\[.*\](?::\d+)?|\d+\.\d+\.\d+\.\d+")
_FORMS = "Use a path, s3:…, gs:…, azure:…, s3://…, gs://… or az://…"

# What restic reaches and Argosy does not: named, so that the message can say so.
_RESTIC_ONLY = frozenset({"b2", "rclone", "rest", "sftp", "swift"})


class Location(msgspec.Struct, frozen=True):
    """Where a repository lies. ``path`` is set for "local", the other fields for object stores."""

    scheme: Scheme
    path: str = ""
    endpoint: str = ""  # "https://host[:port]" or "http://…"; empty: the cloud's own
    bucket: str = ""
    prefix: str = ""  # no slash at either end

    def __str__(self) -> str:
        """The location in restic's form, fit to print."""
        if self.scheme == "local":
            # A path may hold any byte; a message must not fail on it.
            return os.fsencode(self.path).decode("utf-8", "backslashreplace")
        if self.scheme == "s3":
            host = self.endpoint.removeprefix("https://") or "s3.amazonaws.com"
            return "/".join(part for part in (f"s3:{host}", self.bucket, self.prefix) if part)
        return f"{self.scheme}:{self.bucket}:/{self.prefix}"


def parse_location(text: str) -> Location:
    """Take a location apart; UsageError if it has none of the known forms."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "s3":
        return _parse_s3(rest)
    if colon and scheme in ("gs", "azure", "az"):
        return _parse_bucket("gs" if scheme == "gs" else "azure", scheme, rest)
    if colon and scheme == "local":
        return _local(rest)
    if colon and not text.startswith(("/", "./", "../")):
        raise _unknown(scheme)
    return _local(text)


def _local(path: str) -> Location:
    if not path:
        raise UsageError("the repository's location is empty", hint=_FORMS)
    return Location("local", path=os.path.abspath(path))


def _unknown(scheme: str) -> UsageError:
    # Only the scheme is shown: what follows may hold a password (rest:https://user:password@host).
    if scheme in _RESTIC_ONLY:
        hint = "Most such stores also speak S3: use s3:https://host/bucket/prefix."
        return UsageError(f"repositories at {scheme}: are not supported", hint=hint)
    hint = f"{_FORMS} If it is a local directory whose name has a colon, write local: before it."
    return UsageError(f"unknown kind of repository location {scheme}:", hint=hint)


def _parse_s3(rest: str) -> Location:
    if rest.startswith(("http://", "https://")):
        url = urlsplit(rest)
        if url.username or url.password or url.query or url.fragment:
            raise UsageError(
                "an s3: location may not hold credentials or parameters",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead.",
            )
        return _s3(f"{url.scheme}://{url.netloc}", url.path)
    if rest.startswith("//"):
        return _parse_s3_url(rest[2:])
    host, _, path = rest.partition("/")
    return _s3(f"https://{host}", path)


def _parse_s3_url(rest: str) -> Location:
    """``s3://bucket/prefix``; restic's older ``s3://host/bucket/prefix`` where that is the only reading."""
    first, _, path = rest.partition("/")
    if _HOST_ONLY.fullmatch(first) or AMAZON_HOST.fullmatch(first):
        return _s3(f"https://{first}", path)
    if "." in first:
        raise UsageError(
            f"s3://{first}/… can be read as a server or as a bucket",
            hint=f"Write s3:{first}/BUCKET/… for a server, or s3:s3.amazonaws.com/{first}/… for a bucket.",
        )
    return _s3("", rest)


def _s3(endpoint: str, path: str) -> Location:
    bucket, _, prefix = path.lstrip("/").partition("/")
    host = endpoint.partition("://")[2]
    if "@" in host:
        raise UsageError("an s3: location may not hold credentials", hint="Set AWS_ACCESS_KEY_ID instead.")
    if not bucket or (endpoint and not host):
        hint = "Write s3:HOST/BUCKET/PREFIX or s3://BUCKET/PREFIX."
        raise UsageError("the s3: location names no bucket", hint=hint)
    return Location("s3", endpoint=endpoint, bucket=bucket, prefix=_clean(prefix))


def _parse_bucket(scheme: Literal["gs", "azure"], written: str, rest: str) -> Location:
    bucket, _, prefix = rest[2:].partition("/") if rest.startswith("//") else rest.partition(":")
    if not bucket or "/" in bucket:
        forms = f"{written}:BUCKET:/PREFIX or {'gs' if scheme == 'gs' else 'az'}://BUCKET/PREFIX"
        raise UsageError(f"the {written}: location names no bucket", hint=f"Write {forms}.")
    return Location(scheme, bucket=bucket, prefix=_clean(prefix))


def _clean(prefix: str) -> str:
    """The prefix as restic's path.Clean leaves it: no empty parts, no dots."""
    parts = [part for part in prefix.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UsageError(f"the prefix {prefix} steps upwards", hint="Write the prefix without '..'.")
    return "/".join(parts)
