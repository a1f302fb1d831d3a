"""Signatures by whoever holds a repository's key: Ed25519 (RFC 8032), the private key derived from the master key.

Whoever can open the repository can sign and can prove whose signature it is; everybody else can test it with the public
key and openssl. It is no part of restic's format.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from argosy.restic_format.crypto import MasterKey

# SubjectPublicKeyInfo of an Ed25519 key, but for its 32 bytes (RFC 8410).
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")


class SigningKey:
    """The key of one purpose. ``public`` is base64 of the DER form, which openssl reads."""

    def __init__(self, master: MasterKey, purpose: bytes) -> None:
        # HKDF-SHA256 (RFC 5869) with one block of output.
        extracted = hmac.digest(bytes(32), master.encrypt, "sha256")
        self._private = Ed25519PrivateKey.from_private_bytes(hmac.digest(extracted, purpose + b"\x01", "sha256"))
        self.public = base64.b64encode(_DER_PREFIX + self._private.public_key().public_bytes_raw()).decode()

    def sign(self, message: bytes) -> str:
        """The signature, in base64."""
        return base64.b64encode(self._private.sign(message)).decode()


def signature_holds(public: str, signature: str, message: bytes) -> bool:
    """Whether the holder of the key signed the message; False as well where key or signature is malformed."""
    try:
        key = base64.b64decode(public, validate=True)
        if not key.startswith(_DER_PREFIX):
            return False
        Ed25519PublicKey.from_public_bytes(key[len(_DER_PREFIX) :]).verify(
            base64.b64decode(signature, validate=True), message
        )
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
