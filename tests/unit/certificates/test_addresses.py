from __future__ import annotations

import pytest

from argosy.certificates.addresses import Address, parse_address
from argosy.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("nas.example.org:4222", Address("nas.example.org", 4222)),
        ("NAS_1:1", Address("nas_1", 1)),
        ("192.0.2.1:65535", Address("192.0.2.1", 65535)),
        ("[2001:db8::1]:4222", Address("2001:db8::1", 4222)),
        ("tls://localhost:4222", Address("localhost", 4222)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address
    assert parse_address(address.url) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nas",
        ":4222",
        "nas:",
        "nas:0",
        "nas:65536",
        "nas:4222x",
        "nas:\N{ARABIC-INDIC DIGIT FOUR}",
        "2001:db8::1:4222",
        "[nas]:4222",
        "[192.0.2.1]:4222",
        "192.0.2.300:4222",
        "-nas:4222",
        "nas..org:4222",
        "na s:4222",
        "nas\n:4222",
        f"{'a' * 64}:4222",
        f"{'a.' * 130}a:4222",
        "nats://nas:4222",
    ],
)
def test_what_is_no_address_is_refused_in_words_that_help(text: str) -> None:
    with pytest.raises(UsageError, match="is no address of a master") as refused:
        parse_address(text)
    assert "HOST:PORT" in refused.value.hint
