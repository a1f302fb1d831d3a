"""Where a bucket at Amazon lies: requests must be signed for its region, and go to that region's host."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message

from argosy.storage.location import AMAZON_HOST

AMAZON_REGION = "us-east-1"
LOOKUP_SECONDS = 5.0

_ANY_REGION = "https://s3.amazonaws.com"
_REGION_IN_HOST = re.compile(r"s3[.-](?:dualstack\.|fips\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.")

AskHeaders = Callable[[str], Message]


def is_amazon(endpoint: str) -> bool:
    """Whether the endpoint ("" is Amazon's own) belongs to Amazon."""
    return not endpoint or AMAZON_HOST.fullmatch(endpoint.partition("://")[2]) is not None


def find_region(endpoint: str, bucket: str, ask: AskHeaders | None = None) -> str:
    """The bucket's region: from the host's name, else asked of S3, else ``us-east-1``.

    S3 names the region in a header to anyone, whatever the status:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    if found := _REGION_IN_HOST.search(endpoint):
        return found[1]
    try:
        headers = (ask or _ask)(f"{endpoint or _ANY_REGION}/{bucket}")
    except (OSError, ValueError):
        # No way to Amazon from here: the first request says so, with the right words.
        return AMAZON_REGION
    return headers.get("x-amz-bucket-region") or AMAZON_REGION


def amazon_endpoint(endpoint: str, region: str) -> str:
    """The host to talk to: as the user wrote it, or the region's own where it was left open."""
    if endpoint not in ("", _ANY_REGION):
        return endpoint
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _ask(url: str) -> Message:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=LOOKUP_SECONDS) as response:
            headers: Message = response.headers
            return headers
    except urllib.error.HTTPError as error:
        with error:
            return error.headers
