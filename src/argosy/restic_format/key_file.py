"""Key files: the master key, sealed under a key that scrypt makes of a password.

The files themselves are the only ones of a repository that are stored in clear.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from argosy.errors import Damaged, WrongPassword
from argosy.restic_format.crypto import SALT_BYTES, MasterKey, Opener, Sealer, derive_key
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_base64, decode_document, encode_base64
from argosy.restic_format.early_derivation import EarlyDerivation
from argosy.restic_format.names import json_text

# restic's smallest: 32 MiB of memory and about 0.1 s.
DEFAULT_N = 32_768
DEFAULT_R = 8
DEFAULT_P = 1
# 128 * N * r bytes: a hostile key file must not exhaust this machine's memory. restic's own use at most 64
# MiB.
MAX_SCRYPT_BYTES = 1024 * 1024 * 1024


class KeyFile(msgspec.Struct, frozen=True):
    """One key file: who made it when (RFC 3339), scrypt's numbers, and the sealed master key."""

    created: str
    username: str
    hostname: str
    n: int
    r: int
    p: int
    salt: bytes
    data: bytes
    kdf: str = "scrypt"

    def unlock(self, password: bytes, what: str, early: EarlyDerivation | None = None) -> MasterKey:
        """The master key. WrongPassword if the password is another; Damaged if the file makes no sense."""
        if self.kdf != "scrypt":
            raise damaged(what, f"it uses the unknown key derivation {self.kdf[:40]!r}")
        if 128 * self.n * self.r > MAX_SCRYPT_BYTES:
            raise damaged(what, f"scrypt with N={self.n}, r={self.r} needs more than 1 GiB of memory")
        user_key = derive_key(password, self.salt, self.n, self.r, self.p, early=early)
        try:
            plaintext = Opener(user_key).open(self.data, what)
        except Damaged as error:
            raise WrongPassword(f"the password does not open {what}", hint="Check the password.") from error
        return MasterKey.from_json(plaintext, what)


class _KeyFileJson(msgspec.Struct):
    kdf: str
    N: int
    r: int
    p: int
    salt: str
    data: str
    created: str = ""
    username: str = ""
    hostname: str = ""


_DECODER = msgspec.json.Decoder(_KeyFileJson)


def seal_key_file(
    master: MasterKey,
    password: bytes,
    draw: Callable[[int], bytes],
    *,
    created: str,
    username: str,
    hostname: str,
    n: int = DEFAULT_N,
    r: int = DEFAULT_R,
    p: int = DEFAULT_P,
) -> KeyFile:
    """A new key file that opens ``master`` with ``password``. ``draw(n)`` gives ``n`` unpredictable bytes."""
    salt = draw(SALT_BYTES)
    sealed = Sealer(derive_key(password, salt, n, r, p), draw).seal(master.to_json())
    return KeyFile(created, username, hostname, n, r, p, salt, sealed)


def encode_key_file(key: KeyFile) -> bytes:
    """The file's bytes, as restic writes them; its name is their SHA-256."""
    salt, data = encode_base64(key.salt), encode_base64(key.data)
    return (
        f'{{"created":{json_text(key.created)},"username":{json_text(key.username)},'
        f'"hostname":{json_text(key.hostname)},"kdf":{json_text(key.kdf)},'
        f'"N":{key.n},"r":{key.r},"p":{key.p},"salt":"{salt}","data":"{data}"}}'
    ).encode()


def decode_key_file(data: bytes, what: str) -> KeyFile:
    """The key file with these bytes. Damaged (naming ``what``) if it is none."""
    d = decode_document(_DECODER, data, what, "a key file")
    salt, sealed = decode_base64(d.salt, what), decode_base64(d.data, what)
    return KeyFile(d.created, d.username, d.hostname, d.N, d.r, d.p, salt, sealed, d.kdf)
