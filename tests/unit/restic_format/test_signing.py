"""Signatures by the holder of a repository's key."""

from __future__ import annotations

import base64

import pytest

from argosy.restic_format.crypto import MasterKey
from argosy.restic_format.signing import SigningKey, signature_holds

MASTER = MasterKey(b"e" * 32, b"k" * 16, b"r" * 16)


def test_a_signature_holds_for_its_message_alone() -> None:
    key = SigningKey(MASTER, b"test")
    signature = key.sign(b"message")
    assert signature_holds(key.public, signature, b"message")
    assert not signature_holds(key.public, signature, b"massage")


def test_the_key_is_the_same_each_time_and_another_for_another_purpose_or_repository() -> None:
    # Also what a report that is years old was signed with.
    assert SigningKey(MASTER, b"test").public == "MCowBQYDK2VwAyEAbEORis/i96Hsb8XTc897qzmp5q113iPkYpESSGwpK0w="
    other = MasterKey(b"f" * 32, b"k" * 16, b"r" * 16)
    assert (
        len({SigningKey(MASTER, b"test").public, SigningKey(MASTER, b"more").public, SigningKey(other, b"test").public})
        == 3
    )


@pytest.mark.parametrize(
    "text", ["", "!", "AAAA", base64.b64encode(bytes(44)).decode(), base64.b64encode(bytes(64)).decode()]
)
def test_what_is_malformed_does_not_hold(text: str) -> None:
    key = SigningKey(MASTER, b"test")
    assert not signature_holds(key.public, text, b"message")
    assert not signature_holds(text, key.sign(b"message"), b"message")
