"""Finding out in which region a bucket lies."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from urllib.error import URLError

import pytest

from argosy.storage.amazon import amazon_endpoint, find_region, is_amazon
from tests.support.servers import Reply, Request, scripted_server


def headers(values: Mapping[str, str]) -> Message:
    message = Message()
    for name, value in values.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", True),
        ("https://s3.amazonaws.com", True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://amazonaws.com.example.org", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_which_hosts_are_amazons(endpoint: str, expected: bool) -> None:
    assert is_amazon(endpoint) == expected


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3-ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("https://s3.dualstack.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ],
)
def test_a_host_names_its_region(endpoint: str, region: str) -> None:
    def nobody(url: str) -> Message:
        raise AssertionError(f"asked {url}")

    assert find_region(endpoint, "bucket", ask=nobody) == region


def test_else_the_bucket_is_asked_for() -> None:
    asked = []

    def ask(url: str) -> Message:
        asked.append(url)
        return headers({"x-amz-bucket-region": "eu-central-1"})

    assert find_region("", "bucket", ask=ask) == "eu-central-1"
    assert asked == ["https://s3.amazonaws.com/bucket"]


def test_without_an_answer_it_is_the_default() -> None:
    def unreachable(url: str) -> Message:
        raise URLError(f"no way to {url}")

    assert find_region("", "bucket", ask=unreachable) == "us-east-1"
    assert find_region("", "bucket", ask=lambda _: headers({})) == "us-east-1"


@pytest.mark.parametrize("status", [200, 301, 403, 404])
def test_the_header_counts_whatever_the_status(status: int) -> None:
    def answer(request: Request) -> Reply:
        assert (request.method, request.path) == ("HEAD", "/bucket")
        return Reply(status, headers={"x-amz-bucket-region": "sa-east-1"})

    with scripted_server(answer) as server:
        assert find_region(server.endpoint, "bucket") == "sa-east-1"


@pytest.mark.parametrize(
    ("endpoint", "region", "expected"),
    [
        ("", "eu-west-1", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.amazonaws.com", "eu-west-1", "https://s3.eu-west-1.amazonaws.com"),
        ("", "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1", "https://s3.dualstack.eu-west-1.amazonaws.com"),
    ],
)
def test_requests_go_to_the_region(endpoint: str, region: str, expected: str) -> None:
    assert amazon_endpoint(endpoint, region) == expected
