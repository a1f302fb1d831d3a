"""The only door to the cipher, the MAC and (but for ``early_derivation``) the key derivation of the format.

A sealed piece is ``IV (16) || ciphertext || MAC (16)``: AES-256-CTR with the IV as counter block, and
Poly1305 over the ciphertext alone under the one-time key ``r || AES-128_k(IV)`` (restic's
internal/repository/crypto).

Sealing happens once a file, so nonces are drawn in bulk, their MAC pads come from one AES-ECB call, and one
CTR context is set back for each piece. ``SealStream`` is for what does not fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.poly1305 import Poly1305

from argosy.native import kernel
from argosy.restic_format.damage import damaged
from argosy.restic_format.documents import decode_base64, encode_base64
from argosy.restic_format.early_derivation import EarlyDerivation

Buffer = bytes | bytearray | memoryview

IV_BYTES = 16
MAC_BYTES = 16
OVERHEAD_BYTES = IV_BYTES + MAC_BYTES
SALT_BYTES = 64

_ENCRYPT_BYTES = 32
_MAC_KEY_BYTES = 16
_KEY_BYTES = _ENCRYPT_BYTES + 2 * _MAC_KEY_BYTES
_ZERO_IV = bytes(IV_BYTES)
# One draw of random bytes serves this many pieces; a larger number gains nothing measurable.
_NONCES_PER_DRAW = 256
# Ciphertexts between these sizes go through one buffer: fresh memory for each costs page faults (1 MiB: 1,000
# µs instead of 220). Smaller ones come from malloc's own store; larger ones are rare, not worth the memory.
_SMALL_BYTES = 64 * 1024
_REUSED_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The repository's key, or one derived from a password: cipher key and the two halves of the MAC key."""

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)

    def __post_init__(self) -> None:
        lengths = (len(self.encrypt), len(self.mac_k), len(self.mac_r))
        if lengths != (_ENCRYPT_BYTES, _MAC_KEY_BYTES, _MAC_KEY_BYTES):
            raise damaged("key", f"its parts have {lengths} bytes, not (32, 16, 16)")
        if not (any(self.encrypt) and any(self.mac_k) and any(self.mac_r)):
            raise damaged("key", "one of its parts is all zero")

    @classmethod
    def generate(cls, draw: Callable[[int], bytes]) -> MasterKey:
        """A fresh key from ``draw(n)``, a source of ``n`` unpredictable bytes."""
        return cls.from_bytes(draw(_KEY_BYTES))

    @classmethod
    def from_bytes(cls, material: bytes) -> MasterKey:
        """The key whose parts stand in ``material`` (64 bytes) in the order encrypt, k, r."""
        return cls(material[:32], material[32:48], material[48:])

    @property
    def material(self) -> bytes:
        """The inverse of ``from_bytes``."""
        return self.encrypt + self.mac_k + self.mac_r

    @classmethod
    def from_json(cls, data: bytes, what: str = "master key") -> MasterKey:
        """The key of restic's JSON. Damaged (naming ``what``) if it is not one."""
        try:
            document = _KEY_DECODER.decode(data)
        except (msgspec.DecodeError, RecursionError):
            # Neither chained nor quoted: the library's message could hold a piece of the key.
            raise damaged(what, "it is not the JSON of a key") from None
        return cls(*(decode_base64(text, what) for text in (document.encrypt, document.mac.k, document.mac.r)))

    def to_json(self) -> bytes:
        """restic's JSON of the key, in clear: to be sealed, or kept in memory."""
        mac = _MacJson(k=encode_base64(self.mac_k), r=encode_base64(self.mac_r))
        return msgspec.json.encode(_KeyJson(mac=mac, encrypt=encode_base64(self.encrypt)))


class _MacJson(msgspec.Struct):
    k: str
    r: str


class _KeyJson(msgspec.Struct):
    mac: _MacJson
    encrypt: str


_KEY_DECODER = msgspec.json.Decoder(_KeyJson)


def derive_key(
    password: bytes, salt: bytes, n: int, r: int, p: int, *, early: EarlyDerivation | None = None
) -> MasterKey:
    """The key that scrypt makes of a password, with ``128 * n * r`` bytes of memory.

    ``early`` may have made it of the same already. Damaged if the salt or the numbers cannot be used.
    """
    made = early.made_of(password, salt, n, r, p, _KEY_BYTES) if early is not None else None
    if made is not None:
        return MasterKey.from_bytes(made)
    native = kernel()
    if native is not None and len(salt) == SALT_BYTES:
        from argosy.native.scrypt import derive

        material = derive(native, password, salt, n, r, p, _KEY_BYTES)
        if material is not None:
            return MasterKey.from_bytes(material)
    return derive_key_plainly(password, salt, n, r, p)


def derive_key_plainly(password: bytes, salt: bytes, n: int, r: int, p: int) -> MasterKey:
    """The same by the library that any program has, in the time that any program takes."""
    if len(salt) != SALT_BYTES:
        raise damaged("key derivation", f"the salt has {len(salt)} bytes, not {SALT_BYTES}")
    try:
        material = Scrypt(salt=salt, length=_KEY_BYTES, n=n, r=r, p=p).derive(password)
    except (ValueError, OverflowError, MemoryError) as error:
        raise damaged("key derivation", f"scrypt refuses N={n}, r={r}, p={p}: {error}") from error
    return MasterKey.from_bytes(material)


class Sealer:
    """Encrypts and signs pieces under one key. Not thread-safe: one for each thread.

    ``draw(n)`` gives ``n`` unpredictable bytes that never come again (os.urandom).
    """

    def __init__(self, key: MasterKey, draw: Callable[[int], bytes]) -> None:
        self._cipher = _counter_mode(key, _ZERO_IV)
        self._pad = _pad_context(key)
        self._mac_r = key.mac_r
        self._draw = draw
        self._ready: list[tuple[bytes, bytes]] = []
        self._buffer = memoryview(b"")

    def seal(self, plaintext: Buffer) -> bytes:
        """The sealed piece, ``OVERHEAD_BYTES`` longer than ``plaintext``."""
        if not self._ready:
            self._refill()
        nonce, mac_key = self._ready.pop()
        cipher = self._cipher
        cipher.reset_nonce(nonce)
        ciphertext: Buffer
        if _SMALL_BYTES < len(plaintext) <= _REUSED_BYTES:
            ciphertext = self._reused(len(plaintext))
            cipher.update_into(plaintext, ciphertext)
        else:
            ciphertext = cipher.update(plaintext)
        return b"".join((nonce, ciphertext, Poly1305.generate_tag(mac_key, ciphertext)))

    def _reused(self, length: int) -> memoryview:
        if len(self._buffer) < length:
            self._buffer = memoryview(bytearray(length))
        return self._buffer[:length]

    def _refill(self) -> None:
        nonces = self._draw(IV_BYTES * _NONCES_PER_DRAW)
        pads = self._pad.update(nonces)
        mac_r = self._mac_r
        self._ready = [
            (nonces[at : at + IV_BYTES], mac_r + pads[at : at + IV_BYTES])
            for at in range(0, IV_BYTES * _NONCES_PER_DRAW, IV_BYTES)
            # restic refuses to open a piece whose nonce is all zero.
            if nonces[at : at + IV_BYTES] != _ZERO_IV
        ]
        if not self._ready:
            raise ValueError("the source of random bytes gives nothing but zeros")


class Opener:
    """Verifies and decrypts pieces under one key. Not thread-safe: one for each thread."""

    def __init__(self, key: MasterKey) -> None:
        self._cipher = _counter_mode(key, _ZERO_IV)
        self._pad = _pad_context(key)
        self._mac_r = key.mac_r

    def open(self, sealed: Buffer, what: str) -> bytes:
        """The plaintext of a sealed piece. Damaged (naming ``what``) unless its MAC holds."""
        view = memoryview(sealed)
        if len(view) < OVERHEAD_BYTES:
            raise damaged(what, f"{len(view)} bytes are too few for anything encrypted")
        nonce = bytes(view[:IV_BYTES])
        if nonce == _ZERO_IV:
            raise damaged(what, "its nonce is all zero")
        ciphertext = view[IV_BYTES:-MAC_BYTES]
        try:
            Poly1305.verify_tag(self._mac_r + self._pad.update(nonce), ciphertext, bytes(view[-MAC_BYTES:]))
        except InvalidSignature as error:
            raise damaged(what, "its signature does not hold (changed bytes, or another repository's key)") from error
        self._cipher.reset_nonce(nonce)
        return self._cipher.update(ciphertext)


class SealStream:
    """Seals one piece as it comes, in bounded memory.

    ``iv``: 16 unpredictable bytes, not all zero, never used before.
    """

    def __init__(self, key: MasterKey, iv: bytes) -> None:
        if len(iv) != IV_BYTES or iv == _ZERO_IV:
            raise ValueError("an IV has 16 bytes, not all zero")
        self._cipher = _counter_mode(key, iv)
        self._mac = Poly1305(key.mac_r + _pad_context(key).update(iv))
        self._unsent = iv

    def update(self, plaintext: Buffer) -> bytes:
        """The next sealed bytes; the first ones are the IV."""
        ciphertext = self._cipher.update(plaintext)
        self._mac.update(ciphertext)
        head, self._unsent = self._unsent, b""
        return head + ciphertext if head else ciphertext

    def finish(self) -> bytes:
        """The last sealed bytes: the MAC (after the IV if nothing was sealed)."""
        return self._unsent + self._mac.finalize()


def _counter_mode(key: MasterKey, iv: bytes) -> CipherContext:
    return Cipher(algorithms.AES(key.encrypt), modes.CTR(iv)).encryptor()


def _pad_context(key: MasterKey) -> CipherContext:
    # ECB of single blocks is what Poly1305-AES asks for: AES_k(nonce).
    return Cipher(algorithms.AES(key.mac_k), modes.ECB()).encryptor()
